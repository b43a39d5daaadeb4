"""The benchmark of workers itself: both parts run, and what gets through would be seen."""

from pathlib import Path

import pytest

from tests.benchmarks import workers
from tests.benchmarks.client import Target


def test_both_parts_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TOWNGATE_TEST_DATA", raising=False)
    workers.main(["--rounds", "1", "--tunnels", "20", "--policies", "2", "--swaps", "1"])
    printed = capsys.readouterr().out
    assert "connections per CPU second with two" in printed
    assert "2 policies and 1 swaps of lists" in printed
    assert "; 0 failed, 0 unfiltered\n" in printed
    assert "scrapes meanwhile: the longest" in printed


def test_a_site_that_gets_through_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TOWNGATE_TEST_DATA", raising=False)
    open_site = Target("site-1.bench.example", 80, "site-1.bench.example")
    monkeypatch.setattr(workers, "BLOCKED_SITE", open_site)
    with workers.running_origin(tmp_path) as origin:
        found = workers.change_under_load(tmp_path, origin, policies=1, swaps=0)
    assert " 0 unfiltered" not in found
