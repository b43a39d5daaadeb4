"""The benchmark of restarts itself: it runs, and would see a visit that was lost too late."""

import pytest

from tests.benchmarks.restarts import _seconds_before_next, main


def test_kills_are_run_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--restarts", "0", "--kills", "1", "--workers", "1"])
    printed = capsys.readouterr().out
    assert "1 kills of one of 1 workers" in printed
    assert "and has 0 twice" in printed


def test_a_visit_that_is_over_counts_until_the_next_kill() -> None:
    assert _seconds_before_next(99.5, [100.0, 200.0]) == 0.5
    assert _seconds_before_next(150.0, [100.0, 200.0]) == 50.0
    assert _seconds_before_next(201.0, [100.0, 200.0]) == float("inf")
