"""The benchmark of restarts itself: it runs, and would see a visit that was lost too late."""

import pytest

from tests.benchmarks.restarts import main, seconds_over_at_kill


def test_kills_are_run_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--restarts", "0", "--kills", "1", "--workers", "1"])
    printed = capsys.readouterr().out
    assert "1 kills of one of 1 workers" in printed
    assert "and has 0 twice" in printed


def test_a_visit_that_is_over_counts_until_the_next_kill() -> None:
    assert seconds_over_at_kill(99.0, 99.5, [100.0, 200.0]) == 0.5
    assert seconds_over_at_kill(101.0, 150.0, [100.0, 200.0]) == 50.0
    assert seconds_over_at_kill(200.5, 201.0, [100.0, 200.0]) == float("inf")


def test_a_visit_under_way_at_a_kill_is_that_kills_not_the_next_ones() -> None:
    assert seconds_over_at_kill(99.99, 100.02, [100.0, 200.0]) == pytest.approx(-0.02)
