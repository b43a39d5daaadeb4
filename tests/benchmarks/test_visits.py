"""The benchmark of the visit log itself: it runs, and what it asks is answered."""

import asyncio
from pathlib import Path

from tests.benchmarks.visits import killed, measured, recording

HOSTS = ["www.library.example", "cdn.library.example", "news.test.com", "cardroom.test.com"] * 5


def test_visits_are_recorded_taken_in_and_asked_for(tmp_path: Path) -> None:
    figures = [recording(tmp_path, HOSTS, 100), *asyncio.run(measured(tmp_path, HOSTS, 300))]
    assert all(figure.value >= 0 for figure in figures)
    said = "\n".join(map(str, figures))
    assert "| a visit at rest, indexes included |" in said
    assert "| at most 120 |" in said and "| at least 25,000 |" in said
    assert "one person's week" in said


def test_visits_are_counted_while_ingest_is_killed(tmp_path: Path) -> None:
    lost, doubled = killed(tmp_path, HOSTS[0], kills=1)
    assert str(lost).startswith("| 1 kills of ingest at ")
    assert (lost.value, doubled.value) == (0, 0)
