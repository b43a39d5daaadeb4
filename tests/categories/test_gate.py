"""The gate: what cannot be right never replaces what was."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from categories.entries import KeptSource, Section
from categories.gate import doubts_about_sites, doubts_about_size, judge
from categories.host_name import canonical_host
from categories.known_sites import KnownSites, known_sites
from categories.parsing import Problems
from categories.reading import LAYOUT_FORMAT, PLAIN_FORMAT, Edition
from categories.sources import Source, SourceError
from categories.taxonomy import taxonomy
from tests.categories.lists import AT, kept, write_layout

SOURCE = KeptSource("ut1", "https://lists.example/ut1.tar.gz", None, "ut1", AT, ())
WORDS = taxonomy()


def _of(*counts: int) -> KeptSource:
    """Return a source with so many entries in gambling, games, and a category that is used for nothing."""
    sections = zip(("gambling", "games", "liste_bu"), counts, strict=False)
    return replace(SOURCE, sections=tuple(Section(name, "names", count, name) for name, count in sections))


def _edition(
    *counts: int, problems: int = 0, is_cut: bool = False, list_format: str = LAYOUT_FORMAT
) -> Edition:
    noted = Problems()
    for number in range(problems):
        noted.add("gambling/domains", number + 1, 1, "?", "'?' is not a host name")
    return Edition(replace(_of(*counts), list_format=list_format), noted, is_cut=is_cut)


@pytest.mark.parametrize("edition", [_edition(1), _edition(10, problems=10), _edition(5, is_cut=True)])
def test_edition_that_is_a_list_passes(edition: Edition) -> None:
    judge(edition)


@pytest.mark.parametrize(
    ("edition", "message"),
    [
        (
            _edition(0),
            "it is empty: no entries in it; in a folder or an archive they are looked for in"
            " CATEGORY/domains, CATEGORY/urls and CATEGORY/expressions, as UT1 has them, or in data/CATEGORY,"
            " as v2fly has",
        ),
        (_edition(0, list_format=PLAIN_FORMAT), "it is empty: no entries in it"),
        (
            _edition(0, problems=2),
            "not a list that can be read here: 2 lines were not understood, 0 were; the first: "
            "gambling/domains:1:1: '?' is not a host name",
        ),
        (
            _edition(10, problems=11),
            "not a list that can be read here: 11 lines were not understood, 10 were; the first: "
            "gambling/domains:1:1: '?' is not a host name",
        ),
    ],
)
def test_edition_that_is_no_list_is_refused_with_the_reason(edition: Edition, message: str) -> None:
    with pytest.raises(SourceError, match=f"^{re.escape(SOURCE.location)}: {re.escape(message)}$"):
        judge(edition)


@pytest.mark.parametrize(
    ("edition", "former", "doubts"),
    [
        (_edition(50), _of(100), ()),
        (_edition(49), _of(100), ("it shrank to under half: 49 entries, 100 before",)),
        (_edition(100, is_cut=True), _of(100), ()),
        (
            _edition(99, is_cut=True),
            _of(100),
            ("it is cut: it ends in the middle of a line, with 99 entries where 100 were before",),
        ),
        (_edition(1000), _of(1), ()),
        (_edition(1001), _of(1), ("it grew more than tenfold: 1001 entries, 1 before",)),
        (_edition(5000), _of(500), ()),
        (_edition(1000, 49), _of(1000, 100), ("games shrank to under half: 49 entries, 100 before",)),
        (_edition(1000), _of(1000, 100), ("games shrank to under half: 0 entries, 100 before",)),
        (_edition(1000, 50), _of(1000, 100), ()),
        (_edition(1000, 1), _of(1000, 99), ()),
        (_edition(9000, 1001), _of(9000, 1), ("games grew more than tenfold: 1001 entries, 1 before",)),
        (_edition(9000, 5000), _of(9000), ()),
        (_edition(9000, 0, 0), _of(9000, 0, 5000), ()),
    ],
)
def test_size_that_can_hardly_be_right_is_doubted(
    edition: Edition, former: KeptSource, doubts: tuple[str, ...]
) -> None:
    assert doubts_about_size(edition, former, WORDS) == doubts


KNOWN = KnownSites(
    harmless=frozenset({"google.com", "update.microsoft.com"}),
    own=frozenset({"town.example"}),
    canaries={"gambling": frozenset({"casino.example", "www.bets.example"})},
)
FINE = {"gambling": "casino.example\nbets.example\n"}


@pytest.mark.parametrize(
    ("now", "doubts"),
    [
        (FINE, ()),
        (FINE | {"phishing": "google.com\n"}, ("it lists google.com as phishing",)),
        (
            FINE | {"phishing": "com\n"},
            ("it lists google.com as phishing", "it lists update.microsoft.com as phishing"),
        ),
        (FINE | {"malware": "microsoft.com\n"}, ("it lists update.microsoft.com as malware",)),
        (FINE | {"malware": "google.com.bad.example\nsites.google.com\n"}, ()),
        (FINE | {"vpn": "google.com\n", "press": "town.example\n"}, ()),
        (FINE | {"vpn": "town.example\n"}, ("it lists town.example as vpn",)),
        (FINE | {"adult": "town.example\n"}, ("it lists town.example as adult",)),
        (FINE | {"liste_bu": "town.example\n"}, ()),
        ({"gambling": "bets.example\n"}, ("it no longer lists casino.example as gambling",)),
        (
            {"games": "bets.example\n", "gambling": "casino.example\n"},
            ("it no longer lists www.bets.example as gambling",),
        ),
        ({"gambling": "casino.example\nexample\n"}, ()),
    ],
)
def test_list_that_is_wrong_about_known_sites_is_doubted(
    tmp_path: Path, now: Mapping[str, str], doubts: tuple[str, ...]
) -> None:
    assert _doubts(tmp_path, now, FINE) == doubts


def test_first_edition_is_held_to_what_it_must_never_list(tmp_path: Path) -> None:
    assert _doubts(tmp_path, {"phishing": "google.com\n"}, None) == ("it lists google.com as phishing",)


def test_entry_for_one_name_is_held_to_the_same(tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    zone.write_text("$TTL 1\ngoogle.com CNAME .\nwww.wikipedia.org CNAME .\n")
    with kept(Source("phishing", str(zone)), tmp_path) as entries:
        assert doubts_about_sites(entries, None, known_sites(), WORDS)[0] == "it lists google.com as phishing"


def test_expression_that_matches_what_everybody_knows_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("full:bad.example\nregexp:^goo+gle[.]com$\n")
    with kept(Source("malware", str(path)), tmp_path) as entries:
        assert doubts_about_sites(entries, None, known_sites(), WORDS) == ("it lists google.com as malware",)


def test_what_was_accepted_before_is_not_doubted_again(tmp_path: Path) -> None:
    wrong = FINE | {"phishing": "google.com\n"}
    assert _doubts(tmp_path, wrong, wrong) == ()


def test_many_doubts_are_a_few_and_a_number(tmp_path: Path) -> None:
    known = KnownSites(own=frozenset(f"site{number}.example" for number in range(9)))
    found = _doubts(tmp_path, {"adult": "example\n"}, None, known)
    assert len(found) == 4
    assert found[-1] == "and 6 more like that"


def test_sites_that_everybody_knows_are_hosts_and_their_categories_are_ours() -> None:
    known = known_sites()
    for sites in (known.harmless, *known.canaries.values()):
        assert {canonical_host(site) for site in sites} == sites
    assert set(known.canaries) <= set(WORDS.categories)


def test_town_adds_what_it_knows_to_what_everybody_does() -> None:
    known = KNOWN.adding(
        harmless=frozenset({"dispatch.example"}),
        own=frozenset({"state.example"}),
        canaries={"gambling": frozenset({"slots.example"}), "games": frozenset({"chess.example"})},
    )
    assert known.never_in("malware", WORDS) == {
        "dispatch.example",
        "google.com",
        "state.example",
        "town.example",
        "update.microsoft.com",
    }
    assert known.never_in("dating", WORDS) == known.never_in("press", WORDS) == frozenset()
    assert known.canaries["gambling"] == {"casino.example", "slots.example", "www.bets.example"}
    assert known.canaries["games"] == {"chess.example"}


def _doubts(
    scratch: Path, now: Mapping[str, str], before: Mapping[str, str] | None, known: KnownSites = KNOWN
) -> tuple[str, ...]:
    opened = []
    for name, categories in (("now", now), ("before", before)):
        if categories is not None:
            files = {f"{category}/domains": text for category, text in categories.items()}
            opened.append(kept(Source(name, str(write_layout(scratch / name, files))), scratch))
    try:
        return doubts_about_sites(opened[0], opened[1] if before is not None else None, known, WORDS)
    finally:
        for entries in opened:
            entries.close()
