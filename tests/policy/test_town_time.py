"""Times as people say them."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from policy.schedule import Schedule
from policy.town_time import ENGLISH, SPANISH, said_end

NEW_YORK = ZoneInfo("America/New_York")
SUMMER = datetime(2026, 7, 3, 21, 5, tzinfo=UTC)


def unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")


def test_moment_is_by_the_clock_on_the_towns_wall() -> None:
    assert ENGLISH.moment(SUMMER, NEW_YORK) == unbroken("Fri, July 3, 5:05 PM")
    assert SPANISH.moment(SUMMER, NEW_YORK) == unbroken("vie 3 de julio, 5:05 p. m.")


def test_moment_of_another_year_says_the_year() -> None:
    assert ENGLISH.moment(SUMMER, NEW_YORK, SUMMER) == unbroken("Fri, July 3, 5:05 PM")
    next_year = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert ENGLISH.moment(SUMMER, NEW_YORK, next_year) == unbroken("Fri, July 3, 2026, 5:05 PM")
    # In the town it is still the old year.
    new_years_eve = datetime(2027, 1, 1, 2, tzinfo=UTC)
    assert ENGLISH.moment(SUMMER, NEW_YORK, new_years_eve) == unbroken("Fri, July 3, 5:05 PM")


def test_day_says_the_year_only_of_another() -> None:
    assert SPANISH.day(date(2026, 3, 6)) == unbroken("vie 6 de marzo")
    assert SPANISH.day(date(2026, 3, 6), date(2027, 3, 6)) == unbroken("vie 6 de marzo de 2026")


@pytest.mark.parametrize(
    ("at", "said"),
    [(time(0), "12 AM"), (time(0, 30), "12:30 AM"), (time(12), "12 PM"), (time(13, 5, 59), "1:05 PM")],
)
def test_clock(at: time, said: str) -> None:
    assert ENGLISH.clock(at) == unbroken(said)


@pytest.mark.parametrize(
    ("days", "start", "end", "english", "spanish"),
    [
        ({0, 1, 2, 3, 4}, time(12), time(13), "12 to 1 PM, Mon to Fri", "de 12 a 1 p. m., de lun a vie"),
        ({0, 1, 2, 3, 4}, time(8), time(16, 30), "8 AM to 4:30 PM, Mon to Fri", None),
        ({5, 6}, time(0), time(0), "12 to 12 AM, Sat and Sun", None),
        ({0, 2, 4}, time(9), time(10), "9 to 10 AM, Mon, Wed and Fri", None),
        ({3}, time(9), time(10), "9 to 10 AM, Thu", None),
        ({0, 1, 2, 3, 4, 5, 6}, time(22), time(6), "10 PM to 6 AM, every day", None),
    ],
)
def test_window(days: set[int], start: time, end: time, english: str, spanish: str | None) -> None:
    schedule = Schedule(frozenset(days), start, end)
    assert ENGLISH.window(schedule).replace("\u00a0", " ") == english
    if spanish:
        assert SPANISH.window(schedule).replace("\u00a0", " ") == spanish


def test_end_at_midnight_is_said_as_the_last_minute_of_the_day_before() -> None:
    midnight = datetime(2026, 7, 4, 4, tzinfo=UTC)
    assert ENGLISH.moment(said_end(midnight, NEW_YORK), NEW_YORK) == unbroken("Fri, July 3, 11:59 PM")
    assert said_end(SUMMER, NEW_YORK) == SUMMER
