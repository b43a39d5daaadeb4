"""The categories' benchmark itself, with the starter list: every step runs, and no time is asserted."""

from pathlib import Path

import pytest

from categories.sources import starter_source
from tests.benchmarks import categories, category_steps


@pytest.fixture
def figures(tmp_path: Path) -> dict[str, dict[str, float]]:
    compiled = category_steps.compile_list(starter_source().location, str(tmp_path))
    (snapshot,) = (path for path in (tmp_path / "published").iterdir() if path.is_dir())
    (tmp_path / "hosts").write_text("pokerstars.com\nnobody.example")
    (tmp_path / "visits").write_text("pokerstars.com\t/\nnobody.example\t/a/b")
    return {
        "compile": compiled,
        "open": category_steps.open_snapshot(str(snapshot)),
        "look-up": category_steps.look_up(str(snapshot), str(tmp_path / "hosts"), str(tmp_path / "visits")),
    }


def test_every_step_gives_the_figures_of_the_table(figures: dict[str, dict[str, float]]) -> None:
    assert figures["compile"]["entries"] > 1000
    assert (figures["look-up"]["hosts"], figures["look-up"]["listed"]) == (2, 1)
    assert all(value >= 0 for step in figures.values() for value in step.values())
    table = categories.table({"starter": figures})
    assert "| snapshot on disk, MB | 45 |" in table
    figures["compile"]["disk_mb"] = 45.1
    assert "| snapshot on disk, MB | 45 | 45.10 MISSED |" in categories.table({"starter": figures})


def test_page_requests_are_canonical_hosts_with_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "page-requests.jsonl"
    path.write_text(
        '{"url": "https://WWW.Example.com/a/b?q"}\n{"url": "data:image/png;base64,AA"}\n{"url": "http://a.example"}\n'
    )
    assert categories.page_requests(path) == [("www.example.com", "/a/b"), ("a.example", "/")]
