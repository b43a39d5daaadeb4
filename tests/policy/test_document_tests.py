"""The tests inside a policy document."""

import pytest

from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.decision import Cause
from policy.document import load_document
from policy.document_tests import run_tests
from tests.towns import DOCUMENT

LISTED = {"cardroom.example": "gambling", "games.example/play": "games", "phish.example": "phishing"}


class MadeUpLists:
    """Lists of whole names and of URLs."""

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        found = {name: category for name, category in LISTED.items() if name in (host, f"{host}{path}")}
        return tuple(CategoryMatch(category, name, "test") for name, category in found.items())

    def url_categories(self, host: str) -> frozenset[str]:
        return frozenset(category for name, category in LISTED.items() if name.startswith(f"{host}/"))


def test_tests_of_a_good_policy_pass() -> None:
    results = run_tests(load_document(DOCUMENT, taxonomy()), MadeUpLists())
    assert [result.problem is None for result in results] == [True, True]
    assert [result.decision.cause for result in results] == [Cause.RULE, Cause.DEFAULT]


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        (
            "{as: clerk, visit: cardroom.example, at: 2026-03-02 10:00, expect: allow}",
            "the test fails for cardroom.example: expected allow, got block by rule 'not-town-business',"
            " listed as gambling",
        ),
        (
            "{as: clerk, visit: cardroom.example, at: 2026-03-02 10:00, expect: block, rule: security-risk}",
            "the test fails for cardroom.example: expected block by rule 'security-risk',"
            " got block by rule 'not-town-business', listed as gambling",
        ),
        (
            "{as: clerk, visit: library.example, at: 2026-03-02 10:00, expect: block}",
            "the test fails for library.example: expected block, got allow by default, not listed",
        ),
        (
            "{as: {address: 192.0.2.1}, visit: library.example, at: 2026-03-02 10:00, expect: allow}",
            "the test fails for library.example: expected allow, got block by unknown client, not listed",
        ),
        (
            "{as: clerk, visit: phish.example, at: 2026-03-02 12:30, expect: allow}",
            "the test fails for phish.example: expected allow, got block by rule 'security-risk',"
            " listed as phishing",
        ),
        # A tunnel hides the path, so an entry of the URL counts over http only.
        (
            "{as: clerk, visit: http://games.example/play, at: 2026-03-02 10:00, expect: allow}",
            "the test fails for games.example: expected allow, got block by rule 'not-town-business',"
            " listed as games",
        ),
        (
            "{as: clerk, visit: https://games.example/play, at: 2026-03-02 10:00, expect: block}",
            "the test fails for games.example: expected block, got allow by default, not listed",
        ),
    ],
)
def test_failed_test_says_what_was_expected_and_what_came(test: str, problem: str) -> None:
    text = DOCUMENT.partition("tests:")[0] + f"tests:\n  - {test}\n"
    (result,) = run_tests(load_document(text, taxonomy()), MadeUpLists())
    assert result.problem is not None
    assert str(result.problem) == f"line {len(text.splitlines())}: tests[0]: {problem}"


INSPECTING = DOCUMENT.replace("action: block\n", "action: block\n    inspect: urls\n").partition("tests:")[0]


@pytest.mark.parametrize(
    ("document", "visit", "expect"),
    [
        (INSPECTING, "https://games.example/play", "block"),
        (INSPECTING, "https://games.example/rules", "allow"),
        (INSPECTING + "never_inspect: {sites: [games.example]}\n", "https://games.example/play", "allow"),
    ],
)
def test_path_of_https_counts_where_a_rule_has_the_site_opened(
    document: str, visit: str, expect: str
) -> None:
    test = f"tests:\n  - {{as: clerk, visit: {visit}, at: 2026-03-02 10:00, expect: {expect}}}\n"
    (result,) = run_tests(load_document(document + test, taxonomy()), MadeUpLists())
    assert result.problem is None
