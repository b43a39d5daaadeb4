"""When sites were first visited: what is newly seen by it, and that damage is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from categories.first_visits import FirstVisits, FirstVisitsError

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
VISITED = FirstVisits.of(
    {
        "old.example": NOW - timedelta(days=300),
        "week.example": NOW - WEEK,
        "new.example": NOW - WEEK + SECOND,
        "93.184.216.34": NOW - timedelta(days=30),
    },
    NOW,
)


@pytest.mark.parametrize(
    ("host", "is_new"),
    [
        ("old.example", False),
        ("never-asked-for.old.example", False),
        ("week.example", False),
        ("new.example", True),
        ("www.new.example", True),
        ("never.example", True),
        ("93.184.216.34", False),
        ("93.184.216.35", True),
    ],
)
def test_site_is_newly_seen_until_its_first_visit_is_that_old(host: str, is_new: bool) -> None:
    assert VISITED.is_newly_seen(host, NOW, WEEK) is is_new


def test_visit_of_before_is_looked_at_as_of_then() -> None:
    assert VISITED.is_newly_seen("week.example", NOW - SECOND, WEEK)
    assert not VISITED.is_newly_seen("new.example", NOW + SECOND, WEEK)


@pytest.mark.parametrize(("age", "is_new"), [(WEEK - SECOND, False), (WEEK, True)])
def test_nothing_is_newly_seen_before_the_towns_own_first_visit_is_that_old(
    age: timedelta, is_new: bool
) -> None:
    visited = FirstVisits.of({"first.example": NOW - age}, NOW)
    assert visited.is_newly_seen("other.example", NOW, WEEK) is is_new


def test_town_without_visits_has_nothing_newly_seen() -> None:
    assert not FirstVisits.of({}, NOW).is_newly_seen("other.example", NOW, WEEK)


def test_bytes_say_the_same_again() -> None:
    again = FirstVisits.from_bytes(VISITED.to_bytes())
    assert (again.published_at, len(again)) == (NOW, 4)
    assert again.is_newly_seen("new.example", NOW, WEEK)
    assert not again.is_newly_seen("old.example", NOW, WEEK)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no first visits of this version"),
        (VISITED.to_bytes().replace(b"-1 ", b"-9 ", 1), "no first visits of this version"),
        (VISITED.to_bytes()[:-1], "cut or altered"),
        (VISITED.to_bytes()[:-1] + b"\xff", "cut or altered"),
    ],
)
def test_damaged_bytes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(FirstVisitsError, match=message):
        FirstVisits.from_bytes(data)
