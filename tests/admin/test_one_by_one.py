"""Rounds about many things: one that fails holds up no other, and is not hidden."""

import sqlite3

import pytest

from admin.asking import NotAllowedError
from admin.one_by_one import OneByOne, RoundError


def go_round(failing: set[int], error: Exception, done: list[int]) -> None:
    with OneByOne() as each:
        for number in range(1, 10):
            with each.about(f"REQ-{number}"):
                if number in failing:
                    raise error
                done.append(number)


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ({2}, "REQ-2: KeyError('head')"),
        ({2, 4, 5}, "REQ-2: KeyError('head'); also REQ-4, REQ-5"),
        (set(range(1, 9)), "REQ-1: KeyError('head'); also REQ-2, REQ-3, REQ-4, REQ-5, REQ-6 and 2 more"),
    ],
)
def test_what_fails_for_some_is_done_for_the_others_and_said_in_the_end(failing: set[int], said: str) -> None:
    done: list[int] = []
    why = KeyError("head")
    with pytest.raises(RoundError) as raised:
        go_round(failing, why, done)
    assert str(raised.value) == said and raised.value.__cause__ is why
    assert done == [number for number in range(1, 10) if number not in failing]


def test_what_somebody_may_not_do_is_about_that_one_alone() -> None:
    done: list[int] = []
    with pytest.raises(RoundError):
        go_round({1}, NotAllowedError("not theirs"), done)
    assert done == [*range(2, 10)]


def test_round_in_which_nothing_fails_ends_well() -> None:
    done: list[int] = []
    go_round(set(), KeyError(), done)
    assert done == [*range(1, 10)]


@pytest.mark.parametrize("error", [OSError("disk full"), sqlite3.OperationalError("database is locked")])
def test_what_is_the_fault_of_none_of_them_ends_the_round_at_once(error: Exception) -> None:
    done: list[int] = []
    with pytest.raises(type(error)):
        go_round({1}, error, done)
    assert done == []
