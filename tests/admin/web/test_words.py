"""Times, amounts and states as the pages say them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from admin.asking import AccessRequest, ForWhom, State
from admin.visits import VisitRow, Who
from admin.web.words import (
    Times,
    amount,
    host,
    kinds_of_files,
    lasted,
    number,
    request_status,
    span,
    visit_status,
)
from policy.access_duration import Duration
from policy.decision import Cause, Lane, Verdict
from policy.town_policy import Approver, Policy, Town
from policy.visit_record import NOT_TRUSTED

NOW = datetime(2026, 3, 6, 15, 14, tzinfo=UTC)
TIMES = Times(ZoneInfo("America/New_York"), NOW)
REQUEST = AccessRequest(
    id=123,
    state=State.SUBMITTED,
    host="cardroom.example",
    person="clerk",
    department="finance",
    for_whom=ForWhom.PERSON,
    reason="For the grant file.",
    duration=Duration.WEEK,
    rule="not-town-business",
    category="gambling",
    entry="cardroom.example",
    source="starter",
    code="K7M-4QP",
    policy_version="1",
    browser=None,
    risks=(),
    chain=(Approver.DEPARTMENT_HEAD,),
    step=0,
    submitted_at=NOW,
    due_at=NOW + timedelta(days=1),
    decided_at=None,
    decided_by=None,
    note=None,
    exemption=None,
    expires_at=None,
    approved_until=None,
    hosts=(),
    paused_for=(),
    reviewed_by=None,
)


def plain(text: object) -> str:
    return str(text).partition(">")[2].partition("<")[0] if str(text).startswith("<time") else str(text)


def test_moment_is_in_the_towns_zone_and_never_breaks() -> None:
    said = TIMES.moment(datetime(2026, 3, 6, 22, 0, tzinfo=UTC))
    assert said == '<time datetime="2026-03-06T22:00:00Z">Fri,\u00a0March\u00a06,\u00a05\u00a0PM</time>'


def test_moment_of_another_year_says_the_year() -> None:
    assert "2025" in plain(TIMES.moment(datetime(2025, 12, 31, 17, 0, tzinfo=UTC)))
    # New Year's Eve in the town, though it is January in UTC.
    assert "2027" not in plain(TIMES.moment(datetime(2027, 1, 1, 2, 0, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(hours=2), "today, 12:14 PM"),
        (timedelta(hours=26), "tomorrow, 12:14 PM"),
        (timedelta(days=4), "Tue, March 10, 11:14 AM"),
    ],
)
def test_near_says_today_and_tomorrow_by_the_towns_calendar(after: timedelta, said: str) -> None:
    assert plain(TIMES.near(NOW + after)).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("ends_at", "said"),
    [
        (datetime(2026, 3, 7, 5, 0, tzinfo=UTC), "Fri, March 6"),  # the town's midnight
        (datetime(2026, 3, 6, 22, 0, tzinfo=UTC), "Fri, March 6"),
        (datetime(2026, 3, 7, 5, 1, tzinfo=UTC), "Sat, March 7"),
    ],
)
def test_last_day_of_what_ends_at_midnight_is_the_day_before(ends_at: datetime, said: str) -> None:
    assert plain(TIMES.last_day(ends_at)).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1449, "1.4 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (412_000, "412 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_431_000_000, "1.4 GB"),
        (2**50, "1126 TB"),
    ],
)
def test_amount_has_two_digits_where_they_say_something(size_bytes: int, said: str) -> None:
    assert amount(size_bytes) == said.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (12, "12 s"),
        (59.6, "1 min"),
        (185, "3 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
    ],
)
def test_lasted_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert lasted(timedelta(seconds=seconds)) == said.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (30, "30 minutes"),
        (60, "one hour"),
        (90, "1 hour 30 minutes"),
        (120, "2 hours"),
        (24 * 60, "one day"),
        (7 * 24 * 60, "7 days"),
    ],
)
def test_span_is_said_as_people_say_it(minutes: int, said: str) -> None:
    assert span(timedelta(minutes=minutes)) == said.replace(" ", "\u00a0")


def test_number_agrees_with_its_word() -> None:
    assert number(1, "try", "tries") == "1\u00a0try"
    assert number(18204, "visit", "visits") == "18,204\u00a0visits"
    assert number(18204) == "18,204"


def test_host_is_cut_at_200_letters() -> None:
    assert host("a" * 200) == "a" * 200
    assert host("a" * 201) == "a" * 200 + "…"


def in_force(ends_in: timedelta, granted: timedelta) -> AccessRequest:
    return replace(REQUEST, state=State.APPROVED, decided_at=NOW - granted, expires_at=NOW + ends_in)


@pytest.mark.parametrize(
    ("request_", "kind", "begins"),
    [
        (REQUEST, "wait", "Waiting for your department head"),
        (in_force(timedelta(days=5), timedelta(days=2)), "ok", "Allowed until "),
        (in_force(timedelta(hours=1), timedelta(0)), "ok", "Allowed until "),
        (in_force(timedelta(hours=20), timedelta(days=6)), "warn", "Ends "),
        (in_force(timedelta(0), timedelta(days=6)), "off", "Ended "),
        (
            replace(in_force(timedelta(days=5), timedelta(days=2)), paused_for=("phishing",)),
            "danger",
            "Paused: now a security risk",
        ),
        (
            replace(in_force(timedelta(days=5), timedelta(days=2)), paused_for=("gambling",)),
            "danger",
            "Paused: now never allowed",
        ),
        (
            replace(in_force(timedelta(0), timedelta(days=6)), paused_for=("phishing",)),
            "off",
            "Ended ",
        ),
        (replace(REQUEST, state=State.DENIED), "no", "Not approved"),
        (replace(REQUEST, state=State.WITHDRAWN), "off", "Withdrawn"),
        (replace(REQUEST, state=State.STOPPED), "no", "Stopped by your department head"),
    ],
)
def test_request_status_is_the_pages_word(request_: AccessRequest, kind: str, begins: str) -> None:
    head = "your department head"
    status = request_status(request_, TIMES, waits_for=head, decided_by=head)
    assert status.kind == kind
    assert status.words.startswith(begins)


def test_access_stopped_by_it_is_marked_as_danger() -> None:
    stopped = replace(REQUEST, state=State.STOPPED)
    status = request_status(stopped, TIMES, waits_for="", decided_by="IT")
    assert (status.kind, status.words) == ("danger", "Stopped by IT")


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ((Verdict.ALLOW, Lane.TUNNEL, Cause.DEFAULT, None), "Allowed"),
        ((Verdict.ALLOW, Lane.PLAIN, Cause.DEFAULT, None), "Allowed"),
        ((Verdict.ALLOW, Lane.INSPECT, Cause.DEFAULT, None), "Allowed and checked inside"),
        ((Verdict.VIEW_ONLY, Lane.INSPECT, Cause.RULE, "social_networks"), "Read only"),
        ((Verdict.BLOCK, Lane.BLOCK, Cause.RULE, "gambling"), "Blocked"),
        ((Verdict.BLOCK, Lane.BLOCK, Cause.RULE, "phishing"), "Blocked for security"),
        ((Verdict.BLOCK, Lane.BLOCK, Cause.SECURITY_RISK, None), "Blocked for security"),
        ((Verdict.ALLOW, Lane.BLOCK, Cause.UNREACHABLE, None), "Not connected"),
        ((Verdict.ALLOW, Lane.BLOCK, Cause.CERTIFICATE, None), "Not connected"),
        ((Verdict.WARN, Lane.BLOCK, Cause.RULE, "shopping"), "Warned"),
        ((Verdict.ALLOW, Lane.TUNNEL, Cause.FILTER_OFF, "phishing"), "Allowed"),
        ((Verdict.BLOCK, Lane.BLOCK, Cause.LOCKDOWN, None), "Blocked"),
        ((Verdict.BLOCK, Lane.BLOCK, Cause.DEVICE_OFF, None), "Blocked"),
        ((Verdict.BLOCK, Lane.BLOCK, Cause.NOTICE, None), "Blocked"),
    ],
)
def test_visit_status_says_what_came_of_it(came: tuple[Verdict, Lane, Cause, str | None], said: str) -> None:
    verdict, lane, cause, category = came
    row = structs.replace(ROW, verdict=verdict, lane=lane, cause=cause, category=category)
    assert visit_status(row, POLICY).words == said


@pytest.mark.parametrize(("verdict", "said"), [(Verdict.ALLOW, "Not connected"), (Verdict.BLOCK, "Blocked")])
def test_program_that_does_not_trust_the_certificate_was_not_connected(verdict: Verdict, said: str) -> None:
    row = structs.replace(ROW, verdict=verdict, lane=Lane.INSPECT, cause=Cause.RULE, refusal=NOT_TRUSTED)
    assert visit_status(row, POLICY).words == said


POLICY = Policy("1", Town("Exampleton", "America/New_York"), security_categories=frozenset({"phishing"}))
ROW = VisitRow(
    id=1,
    who=Who("finance", None),
    started_at=NOW,
    ended_at=NOW,
    code="K7M-4QP",
    scheme="https",
    host="site.example",
    port=443,
    verdict=Verdict.ALLOW,
    lane=Lane.TUNNEL,
    cause=Cause.DEFAULT,
    rule=None,
    exemption=None,
    category=None,
    entry=None,
    source=None,
    refusal=None,
    connections=1,
    requests=0,
    pages=0,
    bytes_up=0,
    bytes_down=0,
    policy_sequence=1,
    policy_version="1",
    category_version="1",
    is_reported=False,
)


def test_rule_of_files_is_told_as_what_people_download() -> None:
    assert kinds_of_files({"torrent", "executable"}) == ["programs", "torrents"]
