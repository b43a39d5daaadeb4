"""The parts of `asking` in a policy document about what some people have that others have not."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from policy import notation
from policy.document_authorising import read_chain
from policy.document_value import Value
from policy.town_policy import Approver, EmergencyAccess, OwnDevice, StandingPermission

_LONGEST_EMERGENCY = timedelta(hours=4)
_REVIEWERS = (Approver.TOWN_ADMINISTRATOR, Approver.IT_SECURITY)


def read_emergency_access(
    value: Value, people: Collection[str], roles: Mapping[str, Collection[str]]
) -> EmergencyAccess | None:
    """Read `emergency_access`; None where it is left out. Somebody else than the person reviews it."""
    if not value.is_given:
        return None
    fields = value.fields(required=("people", "reviewed_by"), optional=("longest", "per_day"))
    role = fields["reviewed_by"].one_of([role.value for role in _REVIEWERS], "a role that reviews")
    if role is not None and not roles[role]:
        fields["reviewed_by"].report(f"nobody has the role {role!r}")
    named = fields["people"].each_of(people, "a person")
    if role is not None:
        for item in fields["people"].items():
            if set(roles[role]) == {item.parsed(str)}:
                item.report(f"nobody else is {role!r}: they would review their own access")
    longest = fields["longest"].parsed(notation.amount_of_time)
    if longest is not None and longest > _LONGEST_EMERGENCY:
        fields["longest"].report(
            "4h is the longest: nobody was asked; what is needed for longer is asked for"
        )
    default = EmergencyAccess(tuple(named), Approver(role) if role else Approver.IT_SECURITY)
    return EmergencyAccess(
        default.people,
        default.reviewed_by,
        longest or default.longest,
        fields["per_day"].parsed(notation.requests_per_day) or default.per_day,
    )


def read_standing_permission(value: Value, departments: Collection[str]) -> StandingPermission | None:
    """Read `standing_permission`; None where it is left out. A head asks: somebody else agrees."""
    if not value.is_given:
        return None
    fields = value.fields(required=("departments",), optional=("approval", "longest"))
    default = StandingPermission(tuple(fields["departments"].each_of(departments, "a department")))
    return StandingPermission(
        default.departments,
        read_chain(fields["approval"]) or default.approval,
        fields["longest"].parsed(notation.number_of_days) or default.longest,
    )


def read_own_device(value: Value) -> OwnDevice | None:
    """Read `own_device`; None where it is left out, and nobody can ask for a device."""
    if not value.is_given:
        return None
    fields = value.fields(optional=("approval", "longest"))
    approval = fields["approval"].each_of([role.value for role in Approver], "an approver")
    default = OwnDevice()
    return OwnDevice(
        tuple(Approver(role) for role in approval) or default.approval,
        fields["longest"].parsed(notation.number_of_days) or default.longest,
    )
