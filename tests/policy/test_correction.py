"""What the town lists a site as, in place of every list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from categories.match import CategoryMatch
from policy.correction import Correction, Corrections

LISTED = (CategoryMatch("gambling", "charity.example", "ut1"),)
CORRECTIONS = Corrections(
    [
        Correction("charity.example", ("press",)),
        Correction("games.charity.example", ("games", "gambling")),
        Correction("wrong.example", ()),
    ]
)


@pytest.mark.parametrize(
    ("host", "listed_as"),
    [
        ("charity.example", ["press"]),
        ("www.charity.example", ["press"]),
        ("games.charity.example", ["games", "gambling"]),
        ("eu.games.charity.example", ["games", "gambling"]),
        ("wrong.example", []),
        ("notcharity.example", ["gambling"]),
        ("example", ["gambling"]),
    ],
)
def test_nearest_correction_replaces_what_the_lists_say(host: str, listed_as: list[str]) -> None:
    assert [match.category for match in CORRECTIONS.apply(host, LISTED)] == listed_as


def test_corrected_match_says_that_the_town_said_so() -> None:
    assert CORRECTIONS.apply("www.charity.example", LISTED) == (
        CategoryMatch("press", "charity.example", "town"),
    )


def test_without_corrections_the_lists_count() -> None:
    assert Corrections().apply("charity.example", LISTED) == LISTED
    assert Corrections().nearest("charity.example") is None


@given(
    sites=st.lists(st.from_regex(r"([ab]\.){0,3}[ab]", fullmatch=True), max_size=4),
    host=st.from_regex(r"([ab]\.){0,4}[ab]", fullmatch=True),
)
def test_nearest_corrected_parent_is_found_whatever_else_is_corrected(sites: list[str], host: str) -> None:
    covering = [site for site in sites if f".{host}".endswith(f".{site}")]
    found = Corrections(Correction(site, ()) for site in sites).nearest(host)
    assert (found.site if found else None) == max(covering, key=len, default=None)
