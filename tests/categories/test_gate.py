"""The gate: what cannot be right never replaces what was."""

import re
from dataclasses import replace

import pytest

from categories.entries import KeptSource, Section
from categories.gate import judge
from categories.parsing import Problems
from categories.reading import Edition
from categories.sources import SourceError
from tests.categories.lists import AT

SOURCE = KeptSource("ut1", "https://lists.example/ut1.tar.gz", None, "ut1", AT, ())


def _of(count: int) -> KeptSource:
    return replace(SOURCE, sections=(Section("gambling", "names", count, "0"),))


def _edition(count: int, problems: int = 0, is_cut: bool = False) -> Edition:
    noted = Problems()
    for number in range(problems):
        noted.add("gambling/domains", number + 1, 1, "?", "'?' is not a host name")
    return Edition(_of(count), noted, is_cut=is_cut)


@pytest.mark.parametrize(
    ("edition", "former"),
    [
        (_edition(1), None),
        (_edition(10, problems=10), None),
        (_edition(50), _of(100)),
        (_edition(100, is_cut=True), _of(100)),
        (_edition(5, is_cut=True), None),
        (_edition(1000), _of(1)),
    ],
)
def test_edition_that_may_be_right_passes(edition: Edition, former: KeptSource | None) -> None:
    judge(edition, former)


@pytest.mark.parametrize(
    ("edition", "former", "message"),
    [
        (_edition(0), None, "it is empty: no entries in it"),
        (
            _edition(0, problems=2),
            _of(5),
            "not a list that can be read here: 2 lines were not understood, 0 were; the first: "
            "gambling/domains:1:1: '?' is not a host name",
        ),
        (
            _edition(10, problems=11),
            None,
            "not a list that can be read here: 11 lines were not understood, 10 were; the first: "
            "gambling/domains:1:1: '?' is not a host name",
        ),
        (_edition(49), _of(100), "it shrank to under half: 49 entries, 100 before"),
        (
            _edition(99, is_cut=True),
            _of(100),
            "it is cut: it ends in the middle of a line, with 99 entries where 100 were before",
        ),
    ],
)
def test_edition_that_cannot_be_right_is_refused_with_the_reason(
    edition: Edition, former: KeptSource | None, message: str
) -> None:
    with pytest.raises(SourceError, match=f"^{re.escape(SOURCE.location)}: {re.escape(message)}$"):
        judge(edition, former)
