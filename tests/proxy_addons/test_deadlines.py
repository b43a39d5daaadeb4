"""Deadlines: who has waited long enough."""

from proxy_addons.deadlines import Deadlines


def test_time_is_over_at_the_end_of_it_and_in_the_order_of_the_ends() -> None:
    waiting: Deadlines[str] = Deadlines(10.0)
    waiting.start("first", 0.0)
    waiting.start("second", 1.0)
    waiting.start("third", 5.0)
    assert waiting.over(9.9) == []
    assert waiting.over(11.0) == ["first", "second"]
    assert waiting.over(11.0) == []
    assert len(waiting) == 1


def test_who_starts_again_waits_from_then_on() -> None:
    waiting: Deadlines[str] = Deadlines(10.0)
    waiting.start("first", 0.0)
    waiting.start("second", 1.0)
    waiting.start("first", 2.0)
    assert waiting.over(11.5) == ["second"]
    assert waiting.over(12.0) == ["first"]


def test_who_stops_is_not_among_them() -> None:
    waiting: Deadlines[str] = Deadlines(10.0)
    waiting.start("first", 0.0)
    waiting.stop("first")
    waiting.stop("first")
    assert waiting.over(99.0) == []
