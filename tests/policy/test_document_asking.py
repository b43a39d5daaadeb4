"""The sections `asking` and `holidays` of a policy document."""

from datetime import date, time, timedelta

import pytest

from categories.taxonomy import taxonomy
from policy.access_duration import Duration
from policy.business_time import OFFICE_HOURS, BusinessTime
from policy.document import load_document
from policy.leaving import without
from policy.problem import PolicyError
from policy.schedule import Schedule
from policy.snapshot import PolicySnapshot
from policy.town_policy import Approver, Asking, EmergencyAccess, OwnDevice, PersonalUse, SocialMedia
from tests.policy.test_snapshot import SNAPSHOT

TOWN = """\
town: {name: T, timezone: America/New_York}
schedules: {open: {days: mon-thu, from: "7:30", to: "17:00"}}
"""


def asking_of(text: str) -> Asking:
    return load_document(TOWN + text, taxonomy()).policy.asking


def test_every_key_is_read() -> None:
    assert asking_of(
        "holidays: [2026-07-03, 2026-11-26]\n"
        "asking: {hours: open, remind_after: 30m, pass_on_after: 6h, pass_on_to: [it_security],"
        " usual: week, longest: year, per_day: 5, never: [adult, malware],"
        " personal_use: {categories: [sports], longest: 90m, approval: [it_security]}}"
    ) == Asking(
        time=BusinessTime(
            Schedule(frozenset(range(4)), time(7, 30), time(17)),
            frozenset({date(2026, 7, 3), date(2026, 11, 26)}),
        ),
        remind_after=timedelta(minutes=30),
        pass_on_after=timedelta(hours=6),
        pass_on_to=(Approver.IT_SECURITY,),
        usual=Duration.WEEK,
        longest=Duration.YEAR,
        per_day=5,
        never=frozenset({"adult", "malware"}),
        personal_use=PersonalUse(frozenset({"sports"}), timedelta(minutes=90), (Approver.IT_SECURITY,)),
    )


def test_what_is_left_out_is_answered_within_a_day_of_the_office() -> None:
    terms = asking_of("")
    assert terms == Asking()
    assert (terms.time.hours, terms.remind_after, terms.pass_on_after) == (
        OFFICE_HOURS,
        timedelta(hours=4),
        timedelta(hours=8),
    )
    assert terms.pass_on_to == (Approver.TOWN_ADMINISTRATOR, Approver.IT_SECURITY)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("asking: {nevr: [adult]}", "asking.nevr: 'nevr' is not a key here (nearest: 'never')"),
        ("asking: {hours: opn}", "asking.hours: 'opn' is not a schedule (nearest: 'open')"),
        (
            "asking: {remind_after: 4}",
            'asking.remind_after: \'4\' is no amount of time; write it like "4h" or "30m"',
        ),
        (
            "asking: {remind_after: 9h}",
            "asking.remind_after: a request is passed on before anybody is reminded of it",
        ),
        (
            "asking: {pass_on_to: [department_head]}",
            "asking.pass_on_to[0]: 'department_head' is not a role to pass requests on to"
            " (there are: town_administrator, it_security)",
        ),
        ("asking: {longest: yaer}", "asking.longest: 'yaer' is not a duration (nearest: 'year')"),
        ("asking: {usual: year}", "asking.usual: 'year' is longer than the longest, 'month'"),
        ("asking: {per_day: 0}", "asking.per_day: '0' is no number of requests from 1 to 1000"),
        ("asking: {never: [adlt]}", "asking.never[0]: 'adlt' is not a category (nearest: 'adult')"),
        ("asking: {never: []}", "asking.never: the list is empty; fill it in, or leave the key out"),
        (
            "asking: {never: [adult], personal_use: {categories: [adult, sports]}}",
            "asking.personal_use.categories: 'adult' is a security risk, or never allowed",
        ),
        (
            "asking: {social_media: {terms: x, longest: 6h}}",
            "asking.social_media.longest: '6h' is no number of days up to 1825; write it like \"365d\"",
        ),
        (
            "asking: {social_media: {terms: x, approval: [department_head]}}",
            "asking.social_media.approval: a head can propose it: name who agrees beside the head",
        ),
        (
            "asking: {social_media: {terms: x, coordinators: {fin: it}}}",
            "asking.social_media.coordinators.fin: 'fin' is not a department",
        ),
        (
            "asking: {emergency_access: {people: [], reviewed_by: head}}",
            "asking.emergency_access.reviewed_by: 'head' is not a role that reviews (there are: "
            "town_administrator, it_security)",
        ),
        (
            "asking: {emergency_access: {people: [], reviewed_by: it_security}}",
            "asking.emergency_access.reviewed_by: nobody has the role 'it_security'",
        ),
        (
            "asking: {standing_permission: {departments: [], approval: [department_head]}}",
            "asking.standing_permission.approval: a head can propose it: name who agrees beside the head",
        ),
        (
            "asking: {standing_permission: {departments: [police]}}",
            "asking.standing_permission.departments[0]: 'police' is not a department",
        ),
        (
            "asking: {own_device: {approval: [help_desk]}}",
            "asking.own_device.approval[0]: 'help_desk' is not an approver (there are: department_head,"
            " it_security, town_administrator)",
        ),
        ("asking: {social_media: {}}", "asking.social_media: 'terms' is missing"),
        ("holidays: [July 4]", "holidays[0]: 'July 4' is not a date; write it like \"2026-12-01\""),
    ],
)
def test_problem_says_where_and_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_document(TOWN + text, taxonomy())
    assert [str(found) for found in refused.value.problems] == [f"line 3: {problem}"]


def test_social_media_has_a_version_of_its_terms_and_one_coordinator_a_department() -> None:
    town = "people: {ann: {name: A}, bob: {name: B}}\ndepartments: {finance: {name: F, head: ann}}\n"
    text = f"{town}asking: {{social_media: {{terms: Be kind., coordinators: {{finance: bob}}}}}}"
    terms, other = asking_of(text).social_media, asking_of(text.replace("kind", "brief")).social_media
    assert terms is not None and other is not None
    assert terms.version != other.version
    assert terms == SocialMedia(
        "Be kind.",
        terms.version,
        (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR),
        timedelta(days=365),
        {"finance": "bob"},
    )
    with pytest.raises(PolicyError, match="'finance' is given twice"):
        asking_of(text.replace("{finance: bob}", "{finance: bob, finance: ann}"))


def test_a_coordinator_of_another_department_is_warned_of() -> None:
    people = "people: {ann: {name: A, department: finance}, bob: {name: B}}\n"
    departments = "departments: {finance: {name: F, head: ann}}\n"
    text = (
        f"{TOWN}{people}{departments}asking: {{social_media: {{terms: x, coordinators: {{finance: WHO}}}}}}"
    )
    assert load_document(text.replace("WHO", "ann"), taxonomy()).warnings == ()
    (warning,) = load_document(text.replace("WHO", "bob"), taxonomy()).warnings
    assert str(warning) == (
        "line 5: asking.social_media.coordinators.finance: 'bob' is not of finance, and proposes its people"
    )


def test_who_left_coordinates_nothing() -> None:
    town = "people: {ann: {name: A}, bob: {name: B}}\ndepartments: {finance: {name: F, head: ann}}\n"
    text = f"{TOWN}{town}asking: {{social_media: {{terms: Be kind., coordinators: {{finance: bob}}}}}}"
    terms = without(load_document(text, taxonomy()).policy, {"bob"}).asking.social_media
    assert terms is not None and terms.coordinators == {}


ROLES = "people: {ann: {name: A}, bob: {name: B}}\nroles: {it_security: [ann]}\n"


def test_emergency_access_is_for_four_hours_at_most() -> None:
    text = (
        f"{ROLES}asking: {{emergency_access: {{people: [bob], reviewed_by: it_security, longest: LONGEST}}}}"
    )
    terms = asking_of(text.replace("LONGEST", "4h")).emergency_access
    assert terms is not None and terms.longest == timedelta(hours=4)
    with pytest.raises(PolicyError, match=r"emergency_access\.longest: 4h is the longest: nobody was asked"):
        asking_of(text.replace("LONGEST", "241m"))


def test_emergency_access_names_people_and_who_reviews_and_has_its_defaults() -> None:
    text = f"{ROLES}asking: {{emergency_access: {{people: [bob], reviewed_by: it_security}}}}"
    assert asking_of(text).emergency_access == EmergencyAccess(
        ("bob",), Approver.IT_SECURITY, timedelta(hours=1), 3
    )
    own = text.replace("[bob]", "[bob, ann]")
    with pytest.raises(PolicyError, match=r"people\[1\]: nobody else is 'it_security'"):
        asking_of(own)
    left = without(load_document(f"{TOWN}{text}", taxonomy()).policy, {"bob"}).asking.emergency_access
    assert left is not None and left.people == ()


def test_own_device_goes_to_the_head_and_then_to_it_where_the_policy_says_no_more() -> None:
    assert asking_of("asking: {own_device: {}}").own_device == OwnDevice(
        (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY), timedelta(days=365)
    )


def test_snapshot_carries_it_unharmed() -> None:
    document = load_document(TOWN + "asking: {hours: open, never: [adult]}", taxonomy())
    snapshot = PolicySnapshot(1, SNAPSHOT.published_at, document.policy, SNAPSHOT.admin_url)
    assert PolicySnapshot.from_bytes(snapshot.to_bytes()).policy.asking == document.policy.asking
