"""Which of many sites a policy would open, for whom ever and at whatever hour.

Pure, as `policy.judging`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from categories.host_name import is_address
from categories.taxonomy import UNCATEGORISED
from policy.deciding import next_edge_after
from policy.judging import SiteListing, judge
from policy.rule_matching import site_listed_in
from policy.state import State
from policy.town_policy import Policy
from policy.town_time import zone_of
from policy.visit import Client, Visit

_A_WEEK = timedelta(days=7)


def opened_by_rule(
    policy: Policy, listing: SiteListing, hosts: Iterable[str], at: datetime
) -> Mapping[str, tuple[str, ...]]:
    """Return, for each rule that may open sites, those of the canonical hosts that it would open.

    A host counts when it is opened for anybody of the policy, at any hour of the week from `at` (aware
    UTC) on. In the order of rules and hosts; a host may be opened by several rules.
    """
    opening = [rule for rule in policy.rules if rule.opens_sites]
    found: dict[str, list[str]] = {rule.id: [] for rule in opening}
    wanted = frozenset[str]().union(*(rule.categories for rule in opening))
    circumstances = [(client, instant) for client in _clients(policy) for instant in _instants(policy, at)]
    port = 443 if 443 in policy.ports else min(policy.ports)
    answers: dict[object, frozenset[str]] = {}
    for host in hosts:
        listed = tuple(match.category for match in listing.matches(host, None))
        urls = listing.url_categories(host)
        if wanted.isdisjoint((*listed, *urls, *(() if listed else (UNCATEGORISED,)))):
            continue
        # Hosts that are listed alike, and that the policy does not name, are decided alike.
        named = tuple(
            site_listed_in(sites, host) for sites in (policy.essentials, policy.never_inspect_sites)
        )
        alike = (listed, urls, named, host if is_address(host) else "")
        if alike not in answers:
            visits = (Visit(client, "https", host, port, None, instant) for client, instant in circumstances)
            answers[alike] = frozenset(
                rule
                for visit in visits
                for rule in judge(visit, policy, State(), listing)[0].decision.inspect_rules
            )
        for rule in answers[alike]:
            found[rule].append(host)
    return {rule: tuple(names) for rule, names in found.items()}


def _clients(policy: Policy) -> Iterator[Client]:
    """Yield one of each department, each person whom a rule names, and one of no department."""
    for department in policy.departments:
        yield Client("192.0.2.1", device="any", department=department)
    for person in sorted({person for rule in policy.rules for person in rule.people}):
        yield Client("192.0.2.1", person=person, department=policy.people[person].department)
    yield Client("192.0.2.1", device="any")


def _instants(policy: Policy, at: datetime) -> tuple[datetime, ...]:
    """Return an instant of the coming week for each set of schedules that hold together."""
    zone = zone_of(policy)
    found: dict[frozenset[str], datetime] = {}
    instant: datetime | None = at
    while instant is not None and instant < at + _A_WEEK:
        holding = frozenset(
            name for name, schedule in policy.schedules.items() if schedule.holds_at(instant, zone)
        )
        found.setdefault(holding, instant)
        instant = next_edge_after(instant, policy, State())
    return tuple(found.values())
