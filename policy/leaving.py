"""A policy without people who have left, before its document says so."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from policy.town_policy import Asking, Department, Policy


def without(policy: Policy, people: Collection[str]) -> Policy:
    """Return the policy as it is for a town without these people; the same one where it names none of them.

    1. they are no people of the town: nobody is signed in as them, no device is theirs
    2. they have no role and are nobody's delegate
    3. a department whose head left is headed by its first delegate without dates, by nobody ("") where there
       is none
    4. nobody of them coordinates the social media of a department, or opens sites in an emergency
    5. rules stay as they are: one for people who left is for nobody, and never for everybody

    `version` stays that of the document.
    """
    gone = frozenset(people) & policy.people.keys()
    if not gone:
        return policy
    return replace(
        policy,
        people=_but(policy.people, gone),
        departments={id_: _department(department, gone) for id_, department in policy.departments.items()},
        devices={
            address: replace(device, person=None) if device.person in gone else device
            for address, device in policy.devices.items()
        },
        roles={
            role: tuple(person for person in members if person not in gone)
            for role, members in policy.roles.items()
        },
        asking=_asking(policy.asking, gone),
    )


def _asking(asking: Asking, gone: Collection[str]) -> Asking:
    social_media, emergency = asking.social_media, asking.emergency_access
    if social_media is not None:
        left = {id_: person for id_, person in social_media.coordinators.items() if person not in gone}
        social_media = replace(social_media, coordinators=left)
    if emergency is not None:
        named = tuple(person for person in emergency.people if person not in gone)
        emergency = replace(emergency, people=named)
    return replace(asking, social_media=social_media, emergency_access=emergency)


def _but[V](mapping: Mapping[str, V], gone: Collection[str]) -> dict[str, V]:
    return {id_: value for id_, value in mapping.items() if id_ not in gone}


def _department(department: Department, gone: Collection[str]) -> Department:
    delegates = tuple(person for person in department.delegates if person not in gone)
    dated = tuple(one for one in department.dated_delegates if one.person not in gone)
    department = replace(department, dated_delegates=dated)
    if department.head not in gone:
        return replace(department, delegates=delegates)
    return replace(department, head=delegates[0] if delegates else "", delegates=delegates[1:])
