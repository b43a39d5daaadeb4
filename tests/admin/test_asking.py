from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from admin.asked import Kind
from admin.asking import InvalidRequestError, site_of
from admin.asking_terms import asked_end, durations_of, latest_end
from admin.database import Database
from admin.deciders import deciders_of
from policy.access_duration import Duration
from policy.town_policy import Approver, Limit, LimitAction, Quota
from tests.admin.small_town import DELEGATE, MONDAY, PARKS_CLERK, SECOND_IT, TOWN, submitted
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT, PARKS_HEAD

NEW_YORK = ZoneInfo("America/New_York")
HEAD_ROLE, IT_ROLE, TOWN_ROLE = Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY, Approver.TOWN_ADMINISTRATOR


@pytest.mark.parametrize(
    ("case", "role", "asker", "department", "expected"),
    [
        ("the head, or a delegate", HEAD_ROLE, CLERK, "finance", {HEAD, DELEGATE}),
        ("another department's head", HEAD_ROLE, PARKS_CLERK, "parks", {PARKS_HEAD}),
        ("a delegate's own goes to the head", HEAD_ROLE, DELEGATE, "finance", {HEAD}),
        ("a head's own goes up, not to the delegate", HEAD_ROLE, HEAD, "finance", {ADMINISTRATOR}),
        ("who is in no department goes up", HEAD_ROLE, IT, None, {ADMINISTRATOR}),
        ("a department that is no more goes up", HEAD_ROLE, CLERK, "dissolved", {ADMINISTRATOR}),
        ("IT security", IT_ROLE, CLERK, "finance", {IT, SECOND_IT}),
        ("one of IT asks the other", IT_ROLE, IT, None, {SECOND_IT}),
        ("the town administrator", TOWN_ROLE, HEAD, "finance", {ADMINISTRATOR}),
        ("the administrator's own goes to IT", TOWN_ROLE, ADMINISTRATOR, None, {IT, SECOND_IT}),
    ],
)
def test_who_decides(
    case: str, role: Approver, asker: str, department: str | None, expected: set[str]
) -> None:
    assert deciders_of(TOWN, role, asker, department) == expected, case


def test_the_only_person_of_it_asks_the_town_administrator() -> None:
    alone = replace(TOWN, roles={"it_security": (IT,), "town_administrator": (ADMINISTRATOR,)})
    assert deciders_of(alone, Approver.IT_SECURITY, IT, None) == {ADMINISTRATOR}


def test_nobody_ever_decides_their_own() -> None:
    for role in Approver:
        for person, record in TOWN.people.items():
            assert person not in deciders_of(TOWN, role, person, record.department)


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("www.cardroom.example", "cardroom.example"),
        ("cardroom.example", "cardroom.example"),
        ("play.cardroom.example", "play.cardroom.example"),
        ("www.example.co.uk", "example.co.uk"),
        ("www.co.uk", "www.co.uk"),
        ("www.www.com", "www.com"),
        ("www.com", "www.com"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::7]", "[2001:db8::7]"),
    ],
)
def test_a_site_is_the_host_without_its_www(host: str, site: str) -> None:
    assert site_of(host) == site


@pytest.mark.parametrize("host", ["com", "co.uk", "github.io", "intranet"])
def test_what_is_not_one_site_cannot_be_asked_for(host: str) -> None:
    with pytest.raises(InvalidRequestError, match="not one site"):
        site_of(host)


@pytest.mark.parametrize(
    ("duration", "starts_at", "ends_at"),
    [
        (Duration.HOUR, datetime(2026, 3, 2, 15, tzinfo=UTC), datetime(2026, 3, 2, 16, tzinfo=UTC)),
        (Duration.TODAY, datetime(2026, 3, 2, 15, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)),
        # Late in the evening here it is tomorrow in UTC already.
        (Duration.TODAY, datetime(2026, 3, 3, 4, 59, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)),
        (Duration.ONCE, datetime(2026, 3, 7, 15, tzinfo=UTC), datetime(2026, 3, 8, 14, tzinfo=UTC)),
        # Clocks go forward on March 8, back on November 1: the wall says the same time.
        (Duration.WEEK, datetime(2026, 3, 2, 15, tzinfo=UTC), datetime(2026, 3, 9, 14, tzinfo=UTC)),
        (Duration.MONTH, datetime(2026, 10, 15, 14, tzinfo=UTC), datetime(2026, 11, 14, 15, tzinfo=UTC)),
        (Duration.TODAY, datetime(2026, 3, 8, 6, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC)),
        (Duration.HOUR, datetime(2026, 3, 8, 6, 30, tzinfo=UTC), datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
    ],
)
def test_how_long_access_lasts(duration: Duration, starts_at: datetime, ends_at: datetime) -> None:
    assert duration.end(starts_at, NEW_YORK) == ends_at
    assert duration.end(starts_at.astimezone(NEW_YORK), NEW_YORK) == ends_at


@pytest.mark.parametrize(
    ("kind", "rule", "longest", "durations"),
    [
        (Kind.SITE, "not-town-business", Duration.WEEK, ["hour", "today", "week"]),
        (Kind.DOWNLOAD, "large", Duration.WEEK, ["once", "today"]),
        (Kind.DOWNLOAD, "no-programs", Duration.WEEK, ["once", "today"]),
        (Kind.DOWNLOAD, "large", Duration.HOUR, ["once", "hour"]),
        (Kind.DOWNLOAD, "a-day", Duration.WEEK, ["hour", "today"]),
    ],
)
def test_one_download_can_be_asked_for_where_one_was_stopped(
    kind: Kind, rule: str, longest: Duration, durations: list[str]
) -> None:
    limits = (
        Limit("large", LimitAction.ASK, larger_than=500),
        Limit("a-day", LimitAction.ASK, quota=Quota(500)),
    )
    policy = replace(TOWN, limits=limits, asking=replace(TOWN.asking, longest=longest))
    assert durations_of(policy, kind, rule) == tuple(durations)


@pytest.mark.parametrize(
    ("longest", "lasts"), [(Duration.MONTH, timedelta(days=1)), (Duration.HOUR, timedelta(hours=1))]
)
async def test_one_download_is_open_for_a_day_or_as_long_as_the_policy_allows(
    longest: Duration, lasts: timedelta, db: Database
) -> None:
    policy = replace(TOWN, asking=replace(TOWN.asking, longest=longest))
    request = await submitted(db, kind=Kind.DOWNLOAD, duration=Duration.ONCE)
    assert asked_end(policy, request, MONDAY) == latest_end(policy, request, MONDAY) == MONDAY + lasts
