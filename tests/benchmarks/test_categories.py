"""The categories' benchmark itself, with the starter list: every step runs, and no time is asserted."""

from pathlib import Path

import pytest

from categories.reading import read_edition
from categories.sources import Source, starter_source
from categories.taxonomy import taxonomy
from tests.benchmarks import categories, category_steps, swapping
from tests.categories.lists import AT, publish_lists, write_layout


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


def test_swaps_are_measured_beside_a_time_without(tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("more.example\n")
    sources = starter_source(), Source("games", str(more))
    paths = [tmp_path / f"{source.name}.entries" for source in sources]
    for source, path in zip(sources, paths, strict=True):
        read_edition(source, path, taxonomy(), AT)
    calm, swapped = swapping.measure_swaps(tmp_path, *paths, seconds=3)
    assert (calm.swaps, calm.wrong, swapped.wrong) == (0, 0, 0)
    assert swapped.swaps >= 1
    assert len(calm.requests_ms) == len(swapped.requests_ms) == 150
    assert len(calm.lookups_ms) == 1200
    assert swapping.as_markdown([calm, swapped]).count("\n") == 4


def test_coverage_is_of_each_source_of_a_new_towns_and_of_all(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("more.example\n")
    sources = starter_source(), Source("easylist", str(tmp_path / "more.txt"), "advertising")
    kept = {source.name: tmp_path / f"{source.name}.entries" for source in sources}
    for source in sources:
        read_edition(source, kept[source.name], taxonomy(), AT)
    table = categories.coverage(
        kept, tmp_path, {"asked": ["pokerstars.com", "more.example", "a.example", "b.example"]}
    )
    assert [line.replace(" ", "") for line in table.splitlines()[2:]] == [
        "|starter|25.0%|",
        "|easylist|25.0%|",
        "|anewtown's|25.0%|",
        "|all|50.0%|",
    ]


def test_answers_of_squidguard_that_are_not_ours_are_told_by_their_kind(tmp_path: Path) -> None:
    names = {"gambling": "a.example\nours.example\nelse.example\n", "games": "a.example\n"}
    lists = write_layout(tmp_path / "ut1", {f"{name}/domains": text for name, text in names.items()})
    ours = publish_lists(tmp_path / "published", {"ut1": lists}, tmp_path / "scratch")
    theirs = {
        "www.a.example": "games",
        "nobody.example": None,
        "left-out.example": "liste_bu",
        "theirs.example": "drogue",
        "ours.example": None,
        "else.example": "drogue",
    }
    table = categories.agreement(theirs, ours)
    assert table.splitlines()[2:] == [
        "| alike | 3 |  |",
        "| listed by squidGuard alone | 1 | theirs.example |",
        "| listed by ours alone | 1 | ours.example |",
        "| listed as something else | 1 | else.example |",
    ]


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ('OK rewrite-url="http://127.0.0.1/?by=audio-video"', "audio-video"),
        ("http://127.0.0.1/?by=adult 10.0.0.1/- - GET", "adult"),
        ("ERR", None),
        ("", None),
    ],
)
def test_answer_of_squidguard_names_the_category_in_both_its_forms(answer: str, name: str | None) -> None:
    assert categories.named_by(answer) == name
