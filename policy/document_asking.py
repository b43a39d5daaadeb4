"""The sections of a policy document that say how access is asked for, and by when it is answered."""

from collections.abc import Collection, Mapping

from categories.taxonomy import Taxonomy
from policy import notation
from policy.access_duration import Duration
from policy.business_time import OFFICE_HOURS, BusinessTime
from policy.document_authorising import read_internet_account, read_social_media
from policy.document_privileges import read_emergency_access, read_own_device, read_standing_permission
from policy.document_rules import read_categories
from policy.document_value import Value
from policy.schedule import Schedule
from policy.town_policy import Approver, Asking, Person, PersonalUse

_KEYS = (
    "hours",
    "remind_after",
    "pass_on_after",
    "pass_on_to",
    "usual",
    "longest",
    "per_day",
    "never",
    "personal_use",
    "social_media",
    "emergency_access",
    "standing_permission",
    "own_device",
    "internet_account",
)


def read_asking(
    value: Value,
    holidays: Value,
    schedules: Mapping[str, Schedule],
    taxonomy: Taxonomy,
    *,
    people: Mapping[str, Person],
    departments: Collection[str] = (),
    roles: Mapping[str, Collection[str]] | None = None,
) -> Asking:
    """Read `asking` and `holidays`; what is left out has its default."""
    fields = value.fields(optional=_KEYS)
    default = Asking()
    hours = fields["hours"].one_of(schedules, "a schedule")
    longest = _duration(fields["longest"]) or default.longest
    usual = _duration(fields["usual"])
    if usual is not None and usual not in longest.up_to():
        fields["usual"].report(f"{usual.value!r} is longer than the longest, {longest.value!r}")
    remind_after = fields["remind_after"].parsed(notation.amount_of_time) or default.remind_after
    pass_on_after = fields["pass_on_after"].parsed(notation.amount_of_time) or default.pass_on_after
    if remind_after > pass_on_after:
        fields["remind_after"].report("a request is passed on before anybody is reminded of it")
    pass_on_to = fields["pass_on_to"].each_of([role.value for role in _UP], "a role to pass requests on to")
    never = read_categories(fields["never"], taxonomy)
    return Asking(
        time=BusinessTime(
            hours=schedules[hours] if hours is not None else OFFICE_HOURS,
            holidays=frozenset(holidays.parsed_items(notation.date_of)),
        ),
        remind_after=remind_after,
        pass_on_after=pass_on_after,
        pass_on_to=tuple(Approver(role) for role in pass_on_to) or default.pass_on_to,
        usual=usual,
        longest=longest,
        per_day=fields["per_day"].parsed(notation.requests_per_day) or default.per_day,
        never=never,
        personal_use=_personal_use(fields["personal_use"], never, taxonomy),
        social_media=read_social_media(fields["social_media"], people, departments),
        emergency_access=read_emergency_access(fields["emergency_access"], people, roles or {}),
        standing_permission=read_standing_permission(fields["standing_permission"], departments),
        own_device=read_own_device(fields["own_device"]),
        internet_account=read_internet_account(fields["internet_account"]),
    )


def _duration(value: Value) -> Duration | None:
    word = value.one_of([each.value for each in Duration.YEAR.up_to()], "a duration")
    return Duration(word) if word is not None else None


def _personal_use(value: Value, never: frozenset[str], taxonomy: Taxonomy) -> PersonalUse | None:
    if not value.is_given:
        return None
    fields = value.fields(required=("categories",), optional=("longest", "approval"))
    categories = read_categories(fields["categories"], taxonomy)
    for shut in sorted(categories & (never | taxonomy.members("security_risk"))):
        fields["categories"].report(f"{shut!r} is a security risk, or never allowed")
    approval = fields["approval"].each_of([role.value for role in Approver], "an approver")
    default = PersonalUse(categories)
    return PersonalUse(
        categories,
        fields["longest"].parsed(notation.amount_of_time) or default.longest,
        tuple(Approver(role) for role in approval) or default.approval,
    )


_UP = (Approver.TOWN_ADMINISTRATOR, Approver.IT_SECURITY)
