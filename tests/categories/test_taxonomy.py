"""The taxonomy that ships: whole, and a word for every list's name."""

import pytest

from categories.taxonomy import TOWN_LIST, taxonomy
from tests.real_data import TestData

USED_BY_THE_DESIGN = {
    *("vpn", "redirector", "doh", "adult", "hacking", "drugs", "social_networks", "shopping", "sports"),
    *("press", "gambling", "games", "dating", "malware", "phishing", "banks", "health"),
}


def test_every_category_is_in_a_group_and_every_group_has_one() -> None:
    words = taxonomy()
    assert {category.group for category in words.categories.values()} == set(words.groups)
    assert sum(len(words.members(group)) for group in words.groups) == len(words.categories)


def test_ids_are_words_a_policy_can_be_written_with() -> None:
    words = taxonomy()
    assert set(words.categories) >= USED_BY_THE_DESIGN
    assert TOWN_LIST in words.categories
    assert not set(words.categories) & set(words.groups)
    for word in [*words.categories, *words.groups]:
        assert word.isidentifier()
        assert word == word.lower()


def test_every_category_can_be_said_in_a_sentence() -> None:
    for category in taxonomy().categories.values():
        assert category.label[0].isupper()
        assert category.sites[0].islower() or category.sites.startswith("VPN")
        assert not category.sites.endswith(".")
        assert category.description.endswith(".")


def test_hacking_is_no_security_risk_so_police_can_be_allowed_to_read_there() -> None:
    assert taxonomy().members("security_risk") == {"malware", "phishing", "cryptojacking", "stalkerware"}


def test_unknown_group_has_no_members() -> None:
    with pytest.raises(KeyError):
        taxonomy().members("bad_sites")


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("gambing", "gambling"), ("Shoping", "shopping"), ("security_risks", "security_risk"), ("qqq", None)],
)
def test_nearest_word_is_what_was_meant(word: str, nearest: str | None) -> None:
    assert taxonomy().nearest(word) == nearest


@pytest.mark.parametrize(
    ("list_format", "name", "category"),
    [
        ("ut1", "drogue", "drugs"),
        ("ut1", "strong_redirector", "redirector"),
        ("ut1", "health", "health"),
        ("ut1", "liste_bu", None),
        ("ut1", "hobby/cooking", None),
        ("plain", "gambling", "gambling"),
        ("plain", "drogue", None),
        ("plain", "uncategorised", None),
        ("plain", "newly_seen", None),
    ],
)
def test_lists_names_are_understood_by_format(list_format: str, name: str, category: str | None) -> None:
    assert taxonomy().for_list_category(list_format, name) == category


def test_what_is_left_out_says_why() -> None:
    assert taxonomy().why_left_out("ut1", "liste_bu") == "a list to allow, for French university libraries"
    assert taxonomy().why_left_out("ut1", "gambling") is None


def test_mapped_names_mean_categories_and_are_not_left_out_as_well() -> None:
    words = taxonomy()
    for list_format, names in words.lists.items():
        assert set(names.values()) <= set(words.categories)
        assert not set(names) & set(words.left_out[list_format])


def test_every_folder_of_ut1_is_mapped_or_left_out_for_a_reason(test_data: TestData) -> None:
    words = taxonomy()
    names = {path.name for path in (test_data("ut1") / "blacklists").iterdir() if path.is_dir()}
    assert len(names) == 67
    mapped = {name for name in names if words.for_list_category("ut1", name)}
    left_out = {name for name in names if words.why_left_out("ut1", name)}
    assert mapped | left_out == names
    assert not mapped & left_out
