"""Business hours: counted by the town's clock, without holidays, right across daylight saving."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.business_time import BusinessTime
from policy.schedule import Schedule

NEW_YORK = ZoneInfo("America/New_York")
OFFICE = BusinessTime(
    Schedule(frozenset(range(5)), time(8), time(16, 30)), frozenset({date(2026, 7, 3), date(2026, 11, 26)})
)
NIGHTS = BusinessTime(Schedule(frozenset(range(7)), time(22), time(6)))
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
NEVER_OPEN = BusinessTime(Schedule(frozenset(), time(8), time(16)))


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("case", "time_", "since", "amount", "expected"),
    [
        ("within a day", OFFICE, "2026-03-02 10:00", 4, "2026-03-02 14:00"),
        ("over the night", OFFICE, "2026-03-02 14:30", 4, "2026-03-03 10:00"),
        ("to the very end of a day", OFFICE, "2026-03-02 12:30", 4, "2026-03-02 16:30"),
        ("asked in the evening", OFFICE, "2026-03-02 20:00", 4, "2026-03-03 12:00"),
        ("over a weekend", OFFICE, "2026-03-06 15:30", 4, "2026-03-09 11:00"),
        ("over a weekend in which the clock goes forward", OFFICE, "2026-03-06 16:29", 8, "2026-03-09 15:59"),
        ("over a holiday and a weekend", OFFICE, "2026-07-02 14:30", 4, "2026-07-06 10:00"),
        ("asked on a holiday", OFFICE, "2026-11-26 10:00", 4, "2026-11-27 12:00"),
        ("a night of seven hours", NIGHTS, "2026-03-07 22:00", 8, "2026-03-08 23:00"),
        ("a night of nine hours", NIGHTS, "2026-10-31 22:00", 9, "2026-11-01 06:00"),
        ("an office that never opens", NEVER_OPEN, "2026-03-02 10:00", 4, "2026-03-02 14:00"),
    ],
)
def test_business_time_is_counted(
    case: str, time_: BusinessTime, since: str, amount: int, expected: str
) -> None:
    found = time_.after(wall(since), timedelta(hours=amount), NEW_YORK)
    assert found.astimezone(NEW_YORK).replace(tzinfo=None) == wall(expected).replace(tzinfo=None), case
    assert found.tzinfo is UTC


@settings(max_examples=60)
@given(
    since=st.integers(0, 525_599).map(lambda minute: NEW_YEAR + timedelta(minutes=minute)),
    minutes=st.integers(1, 1200),
)
def test_between_an_instant_and_its_end_lies_just_that_much_business_time(
    since: datetime, minutes: int
) -> None:
    end = OFFICE.after(since, timedelta(minutes=minutes), NEW_YORK)
    steps = int((end - since) / timedelta(minutes=1))
    assert sum(OFFICE.counts_at(since + timedelta(minutes=n), NEW_YORK) for n in range(steps)) == minutes
