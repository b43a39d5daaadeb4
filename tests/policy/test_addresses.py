"""The policy's section about full addresses, and of which visits they are kept."""

from datetime import UTC, datetime

import pytest

from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.kept_addresses import keeps_addresses, what_is_kept
from policy.problem import PolicyError
from policy.snapshot import PolicySnapshot
from policy.snapshot_lines import from_lines, to_lines
from policy.state import State
from policy.town_policy import KeptAddresses, Policy
from policy.visit import Client, Visit

TOWN = "town: {name: T, timezone: UTC}\n"
NEVER = "never_inspect: {categories: [health], sites: [union.example]}\n"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def policy_of(section: str) -> Policy:
    return load_document(f"{TOWN}{NEVER}{section}\n", taxonomy()).policy


def test_no_address_is_kept_where_the_policy_says_nothing() -> None:
    assert policy_of("").addresses is None
    assert what_is_kept(policy_of("")) == ()


@pytest.mark.parametrize(
    ("section", "kept"),
    [
        ("addresses: {categories: [gambling]}", KeptAddresses(frozenset({"gambling"}))),
        ("addresses: {categories: [gambling], queries: false}", KeptAddresses(frozenset({"gambling"}))),
        (
            "addresses: {categories: [gambling, malware], queries: true}",
            KeptAddresses(frozenset({"gambling", "malware"}), with_queries=True),
        ),
    ],
)
def test_policy_says_at_which_sites_they_are_kept_and_it_is_published(
    section: str, kept: KeptAddresses
) -> None:
    snapshot = PolicySnapshot(1, NOW, policy_of(section), "https://webaccess.example")
    assert PolicySnapshot.from_bytes(snapshot.to_bytes()).policy.addresses == kept
    assert from_lines(to_lines(snapshot), 1, NOW).policy.addresses == kept


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("addresses: {}", "'categories' is missing"),
        ("addresses: {categories: []}", "the list is empty"),
        ("addresses: {categories: [gambing]}", r"'gambing' is not a category \(nearest: 'gambling'\)"),
        (
            "addresses: {categories: [health]}",
            "'health' is in never_inspect: no address of such a site is kept",
        ),
        ("addresses: {categories: [uncategorised]}", "'uncategorised' is what a site is in no list"),
        ("addresses: {categories: [gambling], queries: maybe}", "'maybe' is not whether queries are kept"),
    ],
)
def test_what_cannot_be_meant_is_named(section: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        policy_of(section)


@pytest.mark.parametrize(
    ("host", "listed", "is_kept"),
    [
        ("cards.example", ["gambling"], True),
        ("cards.example", ["press", "gambling"], True),
        ("news.example", ["press"], False),
        ("new.example", [], False),
        ("clinic.example", ["gambling", "health"], False),
        ("www.union.example", ["gambling"], False),
    ],
)
def test_they_are_kept_of_sites_listed_so_and_never_where_never_inspect_names_one(
    host: str, listed: list[str], is_kept: bool
) -> None:
    policy = policy_of("addresses: {categories: [gambling]}")
    matches = tuple(CategoryMatch(category, host, "starter") for category in listed)
    visit = Visit(Client("10.0.0.1"), "http", host, 80, "/", NOW, matches)
    assert keeps_addresses(visit, policy, State()) is is_kept


@pytest.mark.parametrize(
    ("section", "says"),
    [
        (
            "addresses: {categories: [gambling, adult]}",
            "the full address of each page that somebody goes to at sites listed as adult, gambling is kept,"
            " without what follows '?' in it: over http, over HTTPS where a site is opened (no rule has"
            " any opened), and where the town's own page is shown instead",
        ),
        (
            "addresses: {categories: [adult], queries: true}\n"
            "rules: [{id: inner, categories: [adult], action: block, inspect: urls}]",
            "the full address of each page that somebody goes to at sites listed as adult is kept, with what"
            " follows '?' in it: over http, over HTTPS where a site is opened (inner), and where the"
            " town's own page is shown instead",
        ),
    ],
)
def test_check_says_in_a_sentence_what_is_kept(section: str, says: str) -> None:
    assert what_is_kept(policy_of(section)) == (says,)
