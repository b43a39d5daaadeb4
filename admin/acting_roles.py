"""In what role somebody acts: what they are in the town at that moment, kept with the event that tells of it.

What people are changes, what they were when they decided does not. Events of before this was kept tell who
acted by what people are now.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from admin import audit
from admin.audit import AT_THE_COMMAND_LINE
from policy.town_policy import Department, Policy

COMMAND_LINE = "command_line"
EMPLOYEE = "employee"
STAND_IN = "stand_in"
DELEGATE = "delegate"
DEPARTMENT_HEAD = "department_head"
NOT_KNOWN = "not_known"
ITSELF = "itself"
ROLES = (
    *("it_security", "town_administrator", "help_desk", "auditor"),
    *(DEPARTMENT_HEAD, DELEGATE, STAND_IN, EMPLOYEE, COMMAND_LINE),
)
"""Who acted, as events can be filtered by it; a person counts as the first that they are."""

ROLE, DEPARTMENT = "acting_role", "acting_in"
"""Under what names an event's details have them."""

# Who acted where Towngate did by itself: it takes up a document, begins, keeps times, reads lists.
_OF_ITSELF = frozenset({"policy.yaml", "first start", audit.CLOCK, "the lists", "the visit log"})


@dataclass(frozen=True, slots=True)
class Who:
    """`role` is one of ROLES, or NOT_KNOWN for who has left, or ITSELF for Towngate."""

    role: str
    department: str | None = None


def who_is(policy: Policy, actor: str, department: str | None = None, asked_as: str | None = None) -> Who:
    """Return what someone is in the town, where they are several things:

    1. the role that was asked, `asked_as`, where they have it
    2. head, delegate or stand-in of the department whose matter it is
    3. the first of ROLES
    """
    if actor.endswith(AT_THE_COMMAND_LINE):
        return Who(COMMAND_LINE)
    record = policy.people.get(actor)
    if record is None:
        return Who(ITSELF if actor in _OF_ITSELF else NOT_KNOWN)
    if asked_as is not None and asked_as in ROLES[:4] and actor in policy.roles.get(asked_as, ()):
        return Who(asked_as, record.department)
    own = policy.departments.get(department or "")
    if own is not None and (part := _part_in(own, actor)):
        return Who(part, department)
    for role in ROLES[:4]:
        if actor in policy.roles.get(role, ()):
            return Who(role, record.department)
    parts = [Who(part, id_) for id_, each in policy.departments.items() if (part := _part_in(each, actor))]
    return min(parts, key=lambda who: ROLES.index(who.role), default=Who(EMPLOYEE, record.department))


def acting(policy: Policy, actor: str, department: str | None, asked_as: str | None) -> Mapping[str, str]:
    """Return what an event's details have of its actor, as `who_is` says; nothing for who is no person."""
    who = who_is(policy, actor, department, asked_as)
    if who.role in (COMMAND_LINE, NOT_KNOWN, ITSELF):
        return {}
    return {ROLE: who.role} | ({DEPARTMENT: who.department} if who.department is not None else {})


def who_acted(details: Mapping[str, object]) -> Who | None:
    """Return in what role an event's actor did it; None where that was not kept."""
    role, department = details.get(ROLE), details.get(DEPARTMENT)
    return Who(str(role), str(department) if department is not None else None) if role is not None else None


def _part_in(department: Department, actor: str) -> str | None:
    if actor == department.head:
        return DEPARTMENT_HEAD
    if actor in department.stand_ins:
        return STAND_IN
    return DELEGATE if actor in department.delegates else None
