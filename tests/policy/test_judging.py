"""An address is judged as the proxy does: from outside, and inside where a rule has it opened."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from categories.match import CategoryMatch
from policy.correction import Correction, Corrections
from policy.decision import Lane, Verdict
from policy.judging import Judged, SiteListing, is_never_inspected, judge
from policy.state import State
from policy.town_policy import Policy, Rule, Town
from policy.visit import Visit
from tests.people import CLERK_AT_WORK

TEN = datetime(2026, 3, 2, 15, tzinfo=UTC)
POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    rules=(
        Rule("inner-pages", Verdict.BLOCK, frozenset({"adult"}), inspects_urls=True),
        Rule("social-read", Verdict.VIEW_ONLY, frozenset({"social_networks"})),
    ),
)
HOSTS = {"social.example": "social_networks", "adult.example": "adult"}


class MadeUpLists:
    """blog.example/adult is adult, and what HOSTS says."""

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        if (host, path) == ("blog.example", "/adult"):
            return (CategoryMatch("adult", "blog.example/adult", "test"),)
        return (CategoryMatch(HOSTS[host], host, "test"),) if host in HOSTS else ()

    def url_categories(self, host: str) -> frozenset[str]:
        return frozenset({"adult"}) if host == "blog.example" else frozenset()


def judged(address: str, state: State | None = None, *corrections: Correction) -> tuple[Judged, ...]:
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    visit = Visit(CLERK_AT_WORK, scheme, host, 443 if scheme == "https" else 80, f"/{path}", TEN)
    listing = SiteListing(MadeUpLists(), Corrections(corrections), POLICY)
    return judge(visit, POLICY, state or State(), listing)


@pytest.mark.parametrize(
    ("address", "verdicts", "lane"),
    [
        ("https://blog.example/adult", [Verdict.ALLOW, Verdict.BLOCK], None),
        ("https://blog.example/cats", [Verdict.ALLOW, Verdict.ALLOW], Lane.INSPECT),
        ("https://library.example/adult", [Verdict.ALLOW], Lane.TUNNEL),
        ("https://adult.example/x", [Verdict.BLOCK], None),
        ("https://social.example/x", [Verdict.VIEW_ONLY, Verdict.VIEW_ONLY], Lane.INSPECT),
        ("http://blog.example/adult", [Verdict.BLOCK], None),
        ("http://blog.example/cats", [Verdict.ALLOW], Lane.PLAIN),
    ],
)
def test_address_is_judged_with_as_much_of_it_as_is_seen(
    address: str, verdicts: list[Verdict], lane: Lane | None
) -> None:
    found = judged(address)
    assert [one.decision.verdict for one in found] == verdicts
    assert found[-1].lane is lane
    assert found[0].visit.path is None or address.startswith("http://")


def test_what_is_never_inspected_is_judged_from_outside_alone() -> None:
    state = State(never_inspect=("blog.example",))
    (found,) = judged("https://blog.example/adult", state)
    assert found.decision.verdict is Verdict.ALLOW and found.lane is Lane.TUNNEL
    assert is_never_inspected(found, POLICY, state)
    assert not is_never_inspected(judged("https://library.example/")[0], POLICY, State())


def test_corrected_site_is_what_the_town_says_inside_and_outside() -> None:
    (found,) = judged("https://blog.example/adult", None, Correction("blog.example", ("press",)))
    assert (found.decision.verdict, found.lane) == (Verdict.ALLOW, Lane.TUNNEL)
    (found,) = judged("https://blog.example/", None, Correction("blog.example", ("adult",)))
    assert found.decision.verdict is Verdict.BLOCK


@pytest.mark.parametrize(
    ("address", "query", "hosts"),
    [
        ("https://adult-example.translate.goog/", "", ["adult-example.translate.goog", "adult.example"]),
        ("http://web.archive.org/web/2024/http://adult.example/", "", ["web.archive.org", "adult.example"]),
        (
            "http://translate.google.com/translate",
            "?u=https://adult.example/x",
            ["translate.google.com", "adult.example"],
        ),
        # Over https the query is not seen.
        ("https://translate.google.com/translate", "?u=https://adult.example/x", ["translate.google.com"]),
        ("https://library-example.translate.goog/", "", ["library-example.translate.goog"]),
    ],
)
def test_site_that_another_one_shows_is_judged_too(address: str, query: str, hosts: list[str]) -> None:
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    visit = Visit(CLERK_AT_WORK, scheme, host, 443 if scheme == "https" else 80, f"/{path}", TEN)
    found = judge(visit, POLICY, State(), SiteListing(MadeUpLists(), Corrections(), POLICY), query)
    assert [one.visit.host for one in found] == hosts
    last = found[-1].decision
    assert (last.verdict, last.carried_by) == (
        (Verdict.BLOCK, host) if len(hosts) > 1 else (Verdict.ALLOW, None)
    )


class AllNew:
    """Every site is newly seen; `asked` are the hosts that were asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, timedelta]] = []

    def is_newly_seen(self, host: str, at: datetime, within: timedelta) -> bool:
        self.asked.append((host, within))
        return True


def test_first_visits_are_asked_only_where_a_rule_names_newly_seen() -> None:
    visit = Visit(CLERK_AT_WORK, "https", "library.example", 443, "/", TEN)
    first_seen = AllNew()
    listing = SiteListing(MadeUpLists(), Corrections(), POLICY, first_seen)
    assert judge(visit, POLICY, State(), listing)[-1].decision.is_allowed
    assert first_seen.asked == []

    new = Rule("new-sites", Verdict.BLOCK, frozenset({"newly_seen"}))
    policy = replace(POLICY, rules=(new,), newly_seen_days=3)
    listing = SiteListing(MadeUpLists(), Corrections(), policy, first_seen)
    assert judge(visit, policy, State(), listing)[-1].decision.rule == "new-sites"
    assert first_seen.asked == [("library.example", timedelta(days=3))]

    assert (
        judge(visit, policy, State(), SiteListing(MadeUpLists(), Corrections(), policy))[-1].decision.rule
        is None
    )
