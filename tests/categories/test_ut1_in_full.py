"""The whole of UT1, five million lines of a real list: read once for all that is asked of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from categories.entries import EntriesFile
from categories.entry_key import host_key
from categories.gate import doubts_about_sites, judge
from categories.known_sites import known_sites
from categories.reading import Edition, read_edition
from categories.sources import Source
from categories.taxonomy import taxonomy
from tests.categories.lists import AT
from tests.real_data import TestData

pytestmark = pytest.mark.long


@dataclass(frozen=True, slots=True)
class _Ut1:
    edition: Edition
    entries: Path


@pytest.fixture(scope="module")
def ut1(test_data: TestData, tmp_path_factory: pytest.TempPathFactory) -> _Ut1:
    source = Source("ut1", str(test_data("ut1") / "blacklists"))
    entries = tmp_path_factory.mktemp("ut1") / "ut1.entries"
    return _Ut1(read_edition(source, entries, taxonomy(), AT), entries)


def test_every_line_is_read(ut1: _Ut1) -> None:
    # Every one of the 5,327,931 lines, but 307 URLs with a query.
    assert ut1.edition.source.count == 5_327_624
    assert ut1.edition.problems.count == 307
    assert ut1.edition.unused.keys() == taxonomy().left_out["ut1"].keys()
    assert not ut1.edition.is_cut


def test_it_has_nothing_wrong_and_every_canary(ut1: _Ut1) -> None:
    judge(ut1.edition)
    words = taxonomy()
    with EntriesFile(ut1.entries) as entries:
        assert doubts_about_sites(entries, None, known_sites(), words) == ()
        missing = {
            (category, site)
            for category, sites in known_sites().canaries.items()
            for site in sites
            if not any(
                entries.find(section, [host_key(site)])
                for section in entries.source.sections
                if entries.source.category_of(section, words) == category
            )
        }
    assert not missing
