"""The sources of a new town: what is said of each is there, and fits the rest."""

import pytest

from categories.default_sources import DefaultSource, default_sources
from categories.sources import STARTER, is_url
from categories.taxonomy import taxonomy


@pytest.mark.parametrize("source", default_sources(), ids=lambda source: source.name)
def test_each_says_where_it_is_under_which_licence_and_what_it_is_good_for(source: DefaultSource) -> None:
    assert is_url(source.source.location)
    assert source.location.startswith("https://")
    assert source.name != STARTER
    assert source.licence
    assert source.good_for
    assert source.is_on is (source.off_because is None)


@pytest.mark.parametrize("source", default_sources(), ids=lambda source: source.name)
def test_each_has_a_category_or_a_map_of_its_own(source: DefaultSource) -> None:
    if source.category is None:
        assert source.name in taxonomy().lists
    else:
        assert source.category in taxonomy().categories


def test_ut1_comes_first_and_some_others_are_used() -> None:
    names = [source.name for source in default_sources() if source.is_on]
    assert names[0] == "ut1"
    assert len(names) > 2
