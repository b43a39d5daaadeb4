"""Delegates whom the document names for some days, among those who stand in at an instant."""

from dataclasses import replace
from datetime import datetime

from policy.town_policy import Policy
from policy.town_time import zone_of


def with_dated_delegates(policy: Policy, at: datetime) -> Policy:
    """Return the policy with those whose days hold `at` (aware) among the delegates of each department.

    The same one where there are none. Days are the town's.
    """
    today = at.astimezone(zone_of(policy)).date()
    found = {
        id_: [one.person for one in department.dated_delegates if one.first <= today <= one.last]
        for id_, department in policy.departments.items()
        if department.dated_delegates
    }
    departments = {
        id_: replace(named, delegates=tuple(dict.fromkeys((*named.delegates, *people))))
        for id_, people in found.items()
        if people and (named := policy.departments[id_])
    }
    return replace(policy, departments={**policy.departments, **departments}) if departments else policy
