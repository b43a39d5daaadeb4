"""Which sites a policy would open, per rule: for anybody, at any hour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.correction import Corrections
from policy.document import load_document
from policy.judging import SiteListing
from policy.opening import Openings, openings
from tests.towns import DOCUMENT

FRIDAY_NIGHT = datetime(2026, 3, 7, 4, tzinfo=UTC)
LISTED = {
    "social.example": "social_networks",
    "bank.example": "banks",
    "games.example": "games",
    "press.example": "press",
}
URLS = {"blog.example": "hate", "bank.example": "hate", "other.example": "drugs"}
HOSTS = (*LISTED, *URLS, "library.example")


@dataclass(frozen=True)
class MadeUpLists:
    """The category of each host that is listed, and of each that has URLs listed."""

    listed: Mapping[str, str]
    urls: Mapping[str, str]

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        return (CategoryMatch(self.listed[host], host, "test"),) if host in self.listed else ()

    def url_categories(self, host: str) -> frozenset[str]:
        return frozenset({self.urls[host]}) if host in self.urls else frozenset()


@pytest.mark.parametrize(
    ("rules", "opened"),
    [
        (["{id: a, categories: [social_networks], action: view_only}"], {"a": ("social.example",)}),
        (
            ["{id: a, categories: [hate], action: block, inspect: urls}"],
            {"a": ("blog.example",)},
        ),
        # Only for some, and only at an hour that is not now.
        (
            ["{id: a, categories: [social_networks], departments: [parks], action: view_only, when: lunch}"],
            {"a": ("social.example",)},
        ),
        (
            ["{id: a, categories: [social_networks], people: [it], action: view_only}"],
            {"a": ("social.example",)},
        ),
        # For downloads of what goes on; a rule that allows them needs nothing opened.
        (
            [
                "{id: a, categories: [games, press], file_types: [archive], action: block}",
                "{id: b, categories: [social_networks], file_types: [archive], action: allow}",
                "{id: c, categories: [games], action: block}",
            ],
            {"a": ("press.example",)},
        ),
        # An earlier rule answers, whoever it is.
        (
            [
                "{id: first, categories: [social_networks], action: block}",
                "{id: a, categories: [social_networks], action: view_only}",
            ],
            {"a": ()},
        ),
        (
            [
                "{id: a, categories: [hate, games], action: block, inspect: urls}",
                "{id: b, categories: [press, uncategorised], action: view_only}",
            ],
            {
                "a": ("blog.example",),
                "b": ("press.example", "blog.example", "other.example", "library.example"),
            },
        ),
        (["{id: a, categories: [games], action: block}"], {}),
    ],
)
def test_hosts_are_counted_for_the_rules_that_would_open_them(
    rules: list[str], opened: dict[str, tuple[str, ...]]
) -> None:
    never = "never_inspect: {categories: [banks]}\n"
    given = "".join(f"  - {rule}\n" for rule in rules)
    text = DOCUMENT.replace("rules:\n", f"{never}rules:\n{given}", 1)
    # Press is open at lunch by a rule of its own, which comes after these.
    policy = load_document(text, taxonomy()).policy
    listing = SiteListing(MadeUpLists(LISTED, URLS), Corrections(), policy)
    found = openings(policy, listing, dict.fromkeys(HOSTS), FRIDAY_NIGHT)
    assert found == Openings(opened, {})


def test_pages_that_an_earlier_rule_allows_are_told_with_that_rule() -> None:
    rules = """rules:
  - {id: at-lunch, when: lunch, categories: [travel], action: allow}
  - {id: press, categories: [press], action: allow}
  - {id: bad-pages, categories: [hate, drugs], action: block, inspect: urls}
  - {id: later, categories: [social_networks], action: allow}
"""
    policy = load_document(DOCUMENT.replace("rules:\n", rules, 1), taxonomy()).policy
    listed = {"news.example": "press", "daily.example": "press", "travel.example": "travel"}
    lists = MadeUpLists(
        {**listed, "wall.example": "social_networks"}, dict.fromkeys([*listed, "wall.example"], "hate")
    )
    found = openings(policy, SiteListing(lists, Corrections(), policy), lists.listed, FRIDAY_NIGHT)

    # At lunch another rule allows the pages of travel; at any other hour they are looked into.
    assert found.opened == {"bad-pages": ("travel.example", "wall.example")}
    assert found.passed_over == {("bad-pages", "press"): ("news.example", "daily.example")}
