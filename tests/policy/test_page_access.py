"""Access to a page and what is below it: what it opens, however the path is written, and asking for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from categories.match import CategoryMatch
from policy.correction import Corrections
from policy.deciding import Step, decide
from policy.decision import Cause, Lane, Verdict
from policy.judging import Judged, SiteListing, judge
from policy.page_access import MAX_PATH_LENGTH, page_path, path_to_ask_for
from policy.state import Exemption, State
from policy.town_policy import Approver, Policy, Rule, Town
from policy.visit import Visit
from tests.people import CLERK, CLERK_AT_WORK, IT, SOMEONE_IN_PARKS

TEN = datetime(2026, 3, 2, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    roles={"it_security": (IT,)},
    security_categories=frozenset({"malware"}),
    rules=(
        Rule("bad-pages", Verdict.BLOCK, frozenset({"malware"}), inspects_urls=True),
        Rule(
            "inner-pages",
            Verdict.BLOCK,
            frozenset({"gambling"}),
            approval=(Approver.DEPARTMENT_HEAD,),
            inspects_urls=True,
        ),
        Rule("nobody-allows", Verdict.BLOCK, frozenset({"adult"}), inspects_urls=True),
        Rule("social-read", Verdict.VIEW_ONLY, frozenset({"social_networks"})),
    ),
)
CARDS = Exemption("EX-1", "news.example", TEN - HOUR, TEN + HOUR, person=CLERK, path="/r/cards")


class Lists:
    """What is below news.example/r/ is gambling, and what casino.example is; news.example/bad is a risk."""

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        if host == "casino.example":
            return (CategoryMatch("gambling", host, "test"),)
        of_paths = {"/r/": "gambling", "/bad": "malware", "/adult": "adult"}
        listed = (of_paths[top] for top in of_paths if (path or "").startswith(top))
        return tuple(CategoryMatch(category, f"{host}/r", "test") for category in listed)

    def url_categories(self, host: str) -> frozenset[str]:
        return frozenset({"gambling"}) if host.endswith("news.example") else frozenset()


def judged(address: str, *exemptions: Exemption) -> tuple[Judged, ...]:
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    visit = Visit(CLERK_AT_WORK, scheme, host, 443 if scheme == "https" else 80, f"/{path}", TEN)
    return judge(visit, POLICY, State(exemptions), SiteListing(Lists(), Corrections(), POLICY))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/r/cards", True),
        ("/r/cards/", True),
        ("/r/cards/rules?page=2", True),
        ("/R/Cards/%72ules", True),
        ("/r//cards", True),
        ("/r/poker", False),
        ("/r/", False),
        ("/r/cards2", False),
        ("/r/cards/../poker", False),
        ("/r/cards/%2e%2e/poker", False),
        ("/r/cards/%252e%252e/poker", False),
        ("/r/cards/..%5cpoker", False),
        ("/r/cards/..;/poker", False),
        ("/r/cards/..%00/poker", False),
        ("/r/cards;/../poker", False),
        ("/r/cards/../cards;x/poker", False),
        ("/r/poker/../cards", False),
        ("/r/poker/%2e%2e/cards", False),
        ("/r/poker/%252e%252e/cards", False),
        ("/r/cards%2f..%2fpoker", False),
    ],
)
def test_it_opens_its_page_and_what_is_below_it_however_a_server_reads_the_path(
    scheme: str, path: str, is_open: bool
) -> None:
    decision = judged(f"{scheme}://news.example{path.partition('?')[0]}", CARDS)[-1].decision
    assert decision.is_allowed is is_open
    assert (decision.cause is Cause.EXEMPTION) is is_open


@pytest.mark.parametrize(
    ("host", "is_open"), [("news.example", True), ("www.news.example", True), ("old.news.example", False)]
)
def test_it_is_of_its_host_alone_with_www_or_without(host: str, is_open: bool) -> None:
    assert judged(f"https://{host}/r/cards", CARDS)[-1].decision.is_allowed is is_open


def test_inside_an_opened_connection_it_leaves_that_opened() -> None:
    outside, inside = judged("https://news.example/r/cards", CARDS)
    assert (outside.decision.cause, outside.lane) == (Cause.DEFAULT, Lane.INSPECT)
    assert (inside.decision.exemption, inside.lane) == ("EX-1", Lane.INSPECT)


def test_where_no_path_is_seen_it_opens_nothing_and_the_trace_says_why() -> None:
    of_casino = replace(CARDS, host="casino.example")
    (found,) = judged("https://casino.example/r/cards", of_casino)
    assert found.decision.verdict is Verdict.BLOCK
    why = "exemption EX-1 is of casino.example/r/cards and what is below it alone, and no path is seen here"
    assert Step("exemption", False, why) in found.steps
    assert judged("http://casino.example/r/cards", of_casino)[-1].decision.is_allowed


def test_the_trace_says_which_page_it_opened_and_which_it_does_not() -> None:
    def step(path: str) -> Step:
        return next(
            s for s in judged(f"https://news.example{path}", CARDS)[-1].steps if s.what == "exemption"
        )

    assert step("/r/cards").why == "exemption EX-1 of news.example/r/cards, until 2026-03-02 11:00"
    assert step("/r/poker").why == "exemption EX-1 is of news.example/r/cards and what is below it alone"


def test_it_is_for_whom_and_until_when_it_says() -> None:
    inside = judged("https://news.example/r/cards", CARDS)[-1].visit
    for other in (
        structs.replace(inside, client=SOMEONE_IN_PARKS),
        structs.replace(inside, at=CARDS.expires_at),
        structs.replace(inside, at=CARDS.granted_at - timedelta(microseconds=1)),
    ):
        assert decide(other, POLICY, State([CARDS])).verdict is Verdict.BLOCK


def test_a_page_that_is_a_security_risk_opens_only_where_that_was_accepted() -> None:
    bad = replace(CARDS, path="/bad")
    assert judged("https://news.example/bad/x", bad)[-1].decision.verdict is Verdict.BLOCK
    accepted = replace(bad, accepted_risks=frozenset({"malware"}))
    assert judged("https://news.example/bad/x", accepted)[-1].decision.is_allowed
    assert judged("https://news.example/bad2", accepted)[-1].decision.verdict is Verdict.BLOCK


@pytest.mark.parametrize(
    ("address", "asked_for"),
    [
        ("https://news.example/r/Cards/", "/r/cards"),
        ("http://news.example/r/cards", "/r/cards"),
        ("http://casino.example/r/cards", "/r/cards"),
        # The host itself is blocked: its connection would have to be opened.
        ("https://casino.example/r/cards", ""),
        ("http://casino.example/", ""),
        # Nothing is stopped there, or nobody can allow it.
        ("https://news.example/cats", ""),
        ("https://social.example/r/cards", ""),
        ("https://news.example/adult", ""),
    ],
)
def test_a_page_can_be_asked_for_alone_where_access_to_it_would_open_it(address: str, asked_for: str) -> None:
    found = judged(address)
    assert path_to_ask_for(found) == asked_for
    if asked_for:
        host = found[0].visit.host
        again = judged(address, replace(CARDS, host=host, path=asked_for))
        assert again[-1].decision.cause is Cause.EXEMPTION


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/a/..", "/a/..;/b", "/a;x=1", "/a%00", "/a/%E2%80%AEb", "/a/%252e%252e/b", "/" + "a" * 200],
)
def test_a_path_that_says_less_or_other_than_it_seems_cannot_be_asked_for_alone(path: str) -> None:
    assert page_path(path) == ""


def test_the_longest_path_can_be_asked_for() -> None:
    longest = "/" + "a" * (MAX_PATH_LENGTH - 1)
    assert page_path(longest + "/") == longest
