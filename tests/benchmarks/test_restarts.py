"""The benchmark of restarts itself: it runs, and would see a visit that was lost too late."""

import pytest

from tests.benchmarks.restarts import Seen, _age_when_killed, main


def test_kills_are_run_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--restarts", "0", "--kills", "1", "--workers", "1"])
    printed = capsys.readouterr().out
    assert "1 kills of one of 1 workers" in printed
    assert "and has 0 twice" in printed


def test_what_was_over_long_before_a_kill_is_told_from_what_was_cut_off() -> None:
    killed_at = [100.0, 200.0]
    assert _age_when_killed(Seen(99.0, 101.0), killed_at) == 0.0
    assert _age_when_killed(Seen(98.0, 99.5), killed_at) == 0.5
    assert _age_when_killed(Seen(101.0, 150.0), killed_at) == 50.0
