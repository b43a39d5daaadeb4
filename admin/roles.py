"""Who may see what, by the policy's roles. Who decides requests: `deciders`."""

from collections.abc import Callable

from admin.asking import NotAllowedError
from admin.proposing import decides_for, proposes_for_social_media
from admin.sessions import Session
from policy.town_policy import Policy

type Permission = Callable[[Policy, str], bool]


# Said in this order to the people whose visits they are.
_SEE_VISITS = ("it_security", "help_desk", "auditor")
_SHOW_NAMES = ("it_security", "auditor")
_AGREES_AT_LAST = "town_administrator"


def person_with(duty: Permission, policy: Policy, session: Session, otherwise: str) -> str:
    """Return who has signed in and has a duty. Raises NotAllowedError, which says `otherwise`, for others."""
    person = session.person
    if person is None or not session.is_signed_in or not duty(policy, person):
        raise NotAllowedError(otherwise)
    return person


def runs_towngate(policy: Policy, person: str) -> bool:
    """Whether the person is told what is broken inside, in the machine's words."""
    return _has_any(policy, person, "it_security")


def acts_in_emergencies(policy: Policy, person: str) -> bool:
    """Whether the person may limit the web, take devices off it and switch the filter off."""
    return _has_any(policy, person, "it_security")


def sees_visits(policy: Policy, person: str) -> bool:
    """Whether the person may look at the visit log, persons hidden."""
    return _has_any(policy, person, *_SEE_VISITS)


def may_show_names(policy: Policy, person: str) -> bool:
    """Whether the person may have names shown in the visit log, for a reason."""
    return _has_any(policy, person, *_SHOW_NAMES)


def agree_to_names(policy: Policy, asker: str, about: str | None) -> frozenset[str]:
    """Return who may agree that somebody sees names, or searches by one: others who may see names.

    Neither who asks nor whom it is about. Where that leaves nobody, the town administrator. Nobody, once
    who asks may not see names any more.
    """
    if not may_show_names(policy, asker):
        return frozenset()
    own = {asker, about}
    showing = {person for role in _SHOW_NAMES for person in policy.roles.get(role, ())} - own
    return frozenset(showing or {*policy.roles.get(_AGREES_AT_LAST, ())} - own)


def shows_or_agrees_to_names(policy: Policy, person: str) -> bool:
    """Whether the person may have names shown, or may have to agree that somebody else has."""
    return _has_any(policy, person, *_SHOW_NAMES, _AGREES_AT_LAST)


def seeing_visits(policy: Policy) -> tuple[str, ...]:
    """Return the roles that may look at the visit log and that somebody has."""
    return tuple(role for role in _SEE_VISITS if policy.roles.get(role))


def showing_names(policy: Policy) -> tuple[str, ...]:
    """Return the roles that may have names shown and that somebody has."""
    return tuple(role for role in _SHOW_NAMES if policy.roles.get(role))


def weekly_reports_of(policy: Policy, person: str) -> tuple[str | None, ...]:
    """Return what the person has a weekly report of: for IT the town (None), and where they decide."""
    town = (None,) if _has_any(policy, person, "it_security") else ()
    return (*town, *decides_for(policy, person))


def has_weekly_report(policy: Policy, person: str) -> bool:
    """Whether the person has a weekly report of anything."""
    return bool(weekly_reports_of(policy, person))


def reviews(policy: Policy, person: str) -> bool:
    """Whether the person answers what is on IT's board: corrects categories, stops access."""
    return _has_any(policy, person, "it_security")


def sees_exemptions(policy: Policy, person: str) -> bool:
    """Whether the person may see access that is open: all, or that of their department."""
    return sees_all_requests(policy, person) or bool(decides_for(policy, person))


def sees_all_requests(policy: Policy, person: str) -> bool:
    """Whether the person may look at everybody's requests and open access."""
    return _has_any(policy, person, "it_security", "help_desk", "town_administrator", "auditor")


def social_media_of(policy: Policy, person: str) -> frozenset[str] | None:
    """Return the departments whose social media register the person sees; None: of all."""
    if _has_any(policy, person, "it_security", "town_administrator", "auditor"):
        return None
    return frozenset(proposes_for_social_media(policy, person))


def sees_social_media(policy: Policy, person: str) -> bool:
    """Whether the person sees the social media register, of their department or of all."""
    of = social_media_of(policy, person) if policy.asking.social_media is not None else frozenset[str]()
    return of is None or bool(of)


def decides(policy: Policy, person: str) -> bool:
    """Whether the person answers for others: a head or a delegate, or whose role opens and stops access."""
    leads = bool(decides_for(policy, person))
    return leads or _has_any(policy, person, "it_security", "help_desk", "town_administrator")


def closes_people(policy: Policy, person: str) -> bool:
    """Whether the person sees who is in the town's service, and closes who leaves."""
    return _has_any(policy, person, "it_security")


def sees_records(policy: Policy, person: str) -> bool:
    """Whether the person may look at the audit log and have it verified."""
    return _has_any(policy, person, "it_security", "town_administrator", "auditor")


def only_reads(policy: Policy, person: str) -> bool:
    """Whether the person is an auditor, who decides nothing."""
    return _has_any(policy, person, "auditor")


def duties_of(policy: Policy, person: str) -> frozenset[str]:
    """Return all that a person may do beyond what everyone may: roles, and departments they decide for."""
    roles = {role for role, members in policy.roles.items() if person in members}
    decides_for = {
        f"decides for {id_}"
        for id_, department in policy.departments.items()
        if person in (department.head, *department.delegates)
    }
    return frozenset(roles | decides_for)


def _has_any(policy: Policy, person: str, *roles: str) -> bool:
    return any(person in policy.roles.get(role, ()) for role in roles)
