"""Schedules across midnight, weeks and daylight saving."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.schedule import Schedule

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
MON, TUE, SAT, SUN = 0, 1, 5, 6
WEEKDAYS = frozenset(range(5))
EVERY_DAY = frozenset(range(7))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("case", "wall", "is_open"),
    [
        ("a minute before", "2026-03-02 07:59", False),
        ("its first instant", "2026-03-02 08:00", True),
        ("its last instant", "2026-03-02 16:29:59.999999", True),
        ("the instant it ends", "2026-03-02 16:30", False),
        ("a Saturday", "2026-03-07 10:00", False),
    ],
)
def test_window_holds_from_its_start_until_just_before_its_end(case: str, wall: str, is_open: bool) -> None:
    schedule = Schedule(WEEKDAYS, time(8), time(16, 30))
    at = datetime.fromisoformat(wall).replace(tzinfo=NEW_YORK).astimezone(UTC)
    assert schedule.holds_at(at, NEW_YORK) is is_open, case


@pytest.mark.parametrize(
    ("case", "wall", "is_open"),
    [
        ("Monday evening", "2026-03-02 22:00", True),
        ("past midnight it is still Monday's", "2026-03-03 05:59", True),
        ("its end on Tuesday", "2026-03-03 06:00", False),
        ("Tuesday evening", "2026-03-03 22:30", False),
        ("Monday before dawn is Sunday's", "2026-03-02 03:00", False),
    ],
)
def test_window_past_midnight_belongs_to_the_day_it_starts_on(case: str, wall: str, is_open: bool) -> None:
    schedule = Schedule(frozenset({MON}), time(22), time(6))
    at = datetime.fromisoformat(wall).replace(tzinfo=NEW_YORK).astimezone(UTC)
    assert schedule.holds_at(at, NEW_YORK) is is_open, case


def test_window_from_midnight_to_midnight_is_the_whole_day() -> None:
    schedule = Schedule(frozenset({SAT}), time(0), time(0))
    assert schedule.next_edge_after(utc("2026-03-06 12:00"), NEW_YORK) == utc("2026-03-07 05:00")
    assert schedule.next_edge_after(utc("2026-03-07 05:00"), NEW_YORK) == utc("2026-03-08 05:00")


def test_edges_between_two_instants_are_those_after_the_first_up_to_the_last() -> None:
    lunch = Schedule(WEEKDAYS, time(12), time(13))
    noon, one, next_noon = utc("2026-03-06 17:00"), utc("2026-03-06 18:00"), utc("2026-03-09 16:00")
    assert [*lunch.edges_between(noon, next_noon, NEW_YORK)] == [one, next_noon]
    assert [*lunch.edges_between(one, next_noon - timedelta(seconds=1), NEW_YORK)] == []


def test_window_that_never_closes_has_no_edge() -> None:
    always = Schedule(EVERY_DAY, time(0), time(0))
    assert always.holds_at(utc("2026-03-08 07:30"), NEW_YORK)
    assert always.next_edge_after(utc("2026-03-02 12:00"), NEW_YORK) is None


@pytest.mark.parametrize(
    ("case", "schedule", "after", "edge"),
    [
        (
            "the same wall time is an hour earlier in UTC once clocks are forward",
            Schedule(WEEKDAYS, time(8), time(16, 30)),
            utc("2026-03-06 22:00"),
            utc("2026-03-09 12:00"),
        ),
        (
            "and an hour later once they are back",
            Schedule(WEEKDAYS, time(8), time(16, 30)),
            utc("2026-10-30 21:00"),
            utc("2026-11-02 13:00"),
        ),
        (
            "a start that the clock skips is when it is put forward",
            Schedule(frozenset({SUN}), time(2, 30), time(4)),
            utc("2026-03-08 06:00"),
            utc("2026-03-08 07:00"),
        ),
        (
            "a window that the clock skips whole opens a week later",
            Schedule(frozenset({SUN}), time(2, 10), time(2, 50)),
            utc("2026-03-02 00:00"),
            utc("2026-03-15 06:10"),
        ),
        (
            "a window from within the hour that comes twice opens in the first pass",
            Schedule(frozenset({SUN}), time(1, 30), time(3)),
            utc("2026-11-01 05:00"),
            utc("2026-11-01 05:30"),
        ),
        (
            "closes when the clock is put back before its start",
            Schedule(frozenset({SUN}), time(1, 30), time(3)),
            utc("2026-11-01 05:30"),
            utc("2026-11-01 06:00"),
        ),
        (
            "and opens again in the second pass",
            Schedule(frozenset({SUN}), time(1, 30), time(3)),
            utc("2026-11-01 06:00"),
            utc("2026-11-01 06:30"),
        ),
    ],
)
def test_next_edge_is_right_when_clocks_change(
    case: str, schedule: Schedule, after: datetime, edge: datetime
) -> None:
    assert schedule.next_edge_after(after, NEW_YORK) == edge, case


def test_half_an_hour_of_daylight_saving_is_half_an_hour() -> None:
    schedule = Schedule(frozenset({SUN}), time(1, 45), time(2))
    # On 2026-04-05 the clock of Lord Howe goes from 02:00 back to 01:30: the window opens twice.
    edges = []
    at = utc("2026-04-04 12:00")
    for _ in range(4):
        at = schedule.next_edge_after(at, LORD_HOWE) or at
        edges.append(at)
    assert edges == [
        utc("2026-04-04 14:45"),
        utc("2026-04-04 15:00"),
        utc("2026-04-04 15:15"),
        utc("2026-04-04 15:30"),
    ]


def test_edge_is_found_behind_a_day_that_a_zone_left_out() -> None:
    # Samoa went from Thursday to Saturday at the end of 2011.
    schedule = Schedule(frozenset({4}), time(8), time(9))
    edge = schedule.next_edge_after(utc("2011-12-29 12:00"), ZoneInfo("Pacific/Apia"))
    assert edge == utc("2012-01-05 18:00")


CLOCK_CHANGES = [
    (NEW_YORK, utc("2026-03-08 07:00")),
    (NEW_YORK, utc("2026-11-01 06:00")),
    (LORD_HOWE, utc("2026-04-04 15:00")),
    (LORD_HOWE, utc("2026-10-03 15:30")),
    (ZoneInfo("America/Havana"), utc("2026-11-01 05:00")),
]
wall_minutes = st.builds(time, hour=st.sampled_from([0, 1, 2, 3, 12, 23]), minute=st.integers(0, 59))


@settings(max_examples=60)
@given(
    change=st.sampled_from(CLOCK_CHANGES),
    minutes=st.integers(-2 * 24 * 60, 24 * 60),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    starts_at=wall_minutes,
    ends_at=wall_minutes,
)
def test_next_edge_agrees_with_a_walk_minute_by_minute(
    change: tuple[ZoneInfo, datetime], minutes: int, days: frozenset[int], starts_at: time, ends_at: time
) -> None:
    zone, around = change
    schedule = Schedule(days, starts_at, ends_at)
    at = around + timedelta(minutes=minutes)
    edge = schedule.next_edge_after(at, zone)
    now = schedule.holds_at(at, zone)
    # Three days of minutes reach from any start past the change; a later edge is only not before.
    walk = (at + timedelta(minutes=i) for i in range(1, 3 * 24 * 60))
    walked = next((minute for minute in walk if schedule.holds_at(minute, zone) is not now), None)
    if walked is not None:
        assert edge == walked
    else:
        assert edge is None or edge >= at + timedelta(days=3)
