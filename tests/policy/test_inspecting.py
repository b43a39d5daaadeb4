"""What is opened to be looked into: what a rule wants opened, and nothing that must never be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from categories.match import CategoryMatch
from policy.deciding import decide
from policy.decision import Cause, Verdict, stricter
from policy.state import Exemption, FilterOff, State
from policy.town_policy import Policy, Rule, Town
from policy.visit import Client, Visit
from tests.people import CLERK, CLERK_AT_WORK, SOMEONE_IN_PARKS

TEN = datetime(2026, 3, 2, 15, tzinfo=UTC)
HOST = "site.example"
OFFICER = Client("10.10.30.7", department="police")
POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    essentials=frozenset({"dispatch.example"}),
    security_categories=frozenset({"malware"}),
    never_inspect_sites=frozenset({"bank.example"}),
    never_inspect_categories=frozenset({"health"}),
    rules=(
        Rule("bad-pages", Verdict.BLOCK, frozenset({"malware"}), inspects_urls=True),
        Rule("police", Verdict.ALLOW, frozenset({"adult"}), departments=frozenset({"police"})),
        Rule("adult-pages", Verdict.BLOCK, frozenset({"adult"}), inspects_urls=True),
        Rule("parks-games", Verdict.BLOCK, frozenset({"games"}), frozenset({"parks"}), inspects_urls=True),
        Rule("social-read", Verdict.VIEW_ONLY, frozenset({"social_networks"})),
        Rule("press", Verdict.ALLOW, frozenset({"press"})),
        Rule("not-for-work", Verdict.BLOCK, frozenset({"gambling"})),
    ),
)


def visit(
    *categories: str,
    urls: tuple[str, ...] = (),
    host: str = HOST,
    client: Client = CLERK_AT_WORK,
    scheme: str = "https",
) -> Visit:
    matches = tuple(CategoryMatch(category, host, "test") for category in categories)
    return Visit(client, scheme, host, 443, None, TEN, matches, url_categories=frozenset(urls))


@pytest.mark.parametrize(
    ("case", "asked", "rules"),
    [
        ("nothing listed", visit(), ()),
        ("URLs that a rule blocks", visit(urls=("adult",)), ("adult-pages",)),
        ("on a site that another rule allows", visit("press", urls=("adult",)), ("adult-pages",)),
        ("URLs of two rules", visit(urls=("adult", "malware")), ("bad-pages", "adult-pages")),
        ("URLs that a security risk's rule blocks", visit("press", urls=("malware",)), ("bad-pages",)),
        ("URLs that no rule looks for", visit(urls=("gambling", "hacking")), ()),
        ("URLs that an earlier rule allows", visit(urls=("adult",), client=OFFICER), ()),
        ("URLs of a rule for others", visit(urls=("games",)), ()),
        ("URLs of a rule for these", visit(urls=("games",), client=SOMEONE_IN_PARKS), ("parks-games",)),
        ("a site for reading", visit("social_networks"), ("social-read",)),
        ("the same with URLs", visit("social_networks", urls=("adult",)), ("adult-pages", "social-read")),
        ("an essential site", visit(urls=("adult",), host="www.dispatch.example"), ()),
        ("a site never to be opened", visit(urls=("adult",), host="my.bank.example"), ()),
        ("a category never to be opened", visit("health", urls=("adult",)), ()),
        ("a blocked site", visit("gambling", urls=("adult",)), ()),
    ],
)
def test_visit_is_opened_for_the_rules_that_would_decide_inside(
    case: str, asked: Visit, rules: tuple[str, ...]
) -> None:
    decision = decide(asked, POLICY, State())
    assert decision.inspect_rules == rules, case
    assert decision.is_inspected is bool(rules)


def test_reading_only_is_allowed_and_stricter_than_open() -> None:
    decision = decide(visit("social_networks"), POLICY, State())
    assert (decision.verdict, decision.rule, decision.is_allowed) == (Verdict.VIEW_ONLY, "social-read", True)
    for_all = decide(visit("press"), POLICY, State())
    blocked = decide(visit("gambling"), POLICY, State())
    assert stricter(for_all, decision) is decision
    assert stricter(decision, blocked) is blocked


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_what_must_not_be_opened_is_open_whole_and_in_plain_http_for_reading(scheme: str) -> None:
    decision = decide(visit("social_networks", "health", scheme=scheme), POLICY, State())
    assert decision.verdict is (Verdict.ALLOW if scheme == "https" else Verdict.VIEW_ONLY)
    assert decision.is_inspected is (scheme == "http")


def test_sites_that_it_found_programs_for_are_not_opened() -> None:
    state = State(never_inspect=(HOST,))
    assert not decide(visit(urls=("adult",), host=f"api.{HOST}"), POLICY, state).is_inspected
    assert decide(visit(urls=("adult",), host="other.example"), POLICY, state).is_inspected


def test_exemption_is_for_the_whole_site_unopened() -> None:
    exemption = Exemption("1", HOST, TEN, TEN + timedelta(hours=1), person=CLERK)
    decision = decide(visit("social_networks", urls=("adult",)), POLICY, State([exemption]))
    assert (decision.verdict, decision.cause) == (Verdict.ALLOW, Cause.EXEMPTION)
    assert not decision.is_inspected


def test_nothing_is_opened_while_the_filter_is_off() -> None:
    state = State(filter_off=FilterOff("Lists are wrong.", TEN, TEN + timedelta(minutes=10)))
    assert not decide(visit("social_networks", urls=("adult",)), POLICY, state).is_inspected


def test_rule_for_other_people_opens_nothing() -> None:
    rules = tuple(replace(rule, people=frozenset({"nobody"})) for rule in POLICY.rules)
    decision = decide(visit(urls=("adult",)), replace(POLICY, rules=rules), State())
    assert not decision.is_inspected
