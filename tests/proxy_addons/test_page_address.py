"""Full addresses of pages that were gone to: kept where the policy says so, and nowhere else."""

from pathlib import Path

import pytest
from mitmproxy import http

from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Client, Visit
from proxy_addons.judge import Judgement
from proxy_addons.page_address import page_address
from proxy_addons.visit_log import OpenVisit
from tests.admin.small_town import MONDAY
from tests.proxied_town import TOWN, ProxiedTown, eventually
from tests.proxy_client import exchange

KEPT = TOWN + "addresses: {categories: [gambling, press]}\n"
WITH_QUERIES = TOWN + "addresses: {categories: [gambling, press], queries: true}\n"
PAGE = {"Accept": "text/html"}
NEWS = "http://news.example"


def judged(scheme: str, host: str, port: int, carried_by: str | None = None) -> Judgement:
    visit = Visit(Client("10.10.20.15"), scheme, host, port, None, MONDAY)
    decision = Decision(Verdict.ALLOW, Cause.DEFAULT, carried_by=carried_by)
    return Judgement(visit, decision, 1, "policy", "lists")


@pytest.mark.parametrize(
    ("target", "judgement", "address", "with_query"),
    [
        ("/a?b=c#d", judged("http", "a.example", 80), "http://a.example/a", "http://a.example/a?b=c"),
        ("/a#d?b", judged("https", "a.example", 443), "https://a.example/a", "https://a.example/a"),
        ("/", judged("https", "a.example", 8443), "https://a.example:8443/", "https://a.example:8443/"),
        ("/a", judged("http", "[2001:db8::1]", 80), "http://[2001:db8::1]/a", "http://[2001:db8::1]/a"),
        ("*", judged("http", "a.example", 80), "http://a.example/", "http://a.example/"),
        ("/a", judged("http", "a.example", 80, "b.example"), "http://b.example/a", "http://b.example/a"),
        ('/é"\x01\udcff', judged("http", "a.example", 80), *["http://a.example/%C3%A9%22%01%FF"] * 2),
    ],
)
def test_address_is_of_the_judged_host_and_has_its_query_where_that_is_wanted(
    target: str, judgement: Judgement, address: str, with_query: str
) -> None:
    request = http.Request.make("GET", "http://a.example/")
    request.data.path = target.encode("utf-8", "surrogateescape")
    assert page_address(request, judgement, with_query=False) == address
    assert page_address(request, judgement, with_query=True) == with_query


def test_long_address_is_cut() -> None:
    request = http.Request.make("GET", "http://a.example/" + "x" * 5000)
    assert len(page_address(request, judged("http", "a.example", 80), with_query=False)) == 2000


def test_a_visit_keeps_each_address_once_and_those_of_its_first_twenty_pages() -> None:
    visit = OpenVisit(judged("http", "a.example", 80), Lane.PLAIN, lambda: None)
    for number in (*range(3), *range(30)):
        visit.keep_address(f"http://a.example/{number}")
    assert visit.addresses == tuple(f"http://a.example/{number}" for number in range(20))


def test_nothing_is_kept_where_the_policy_does_not_say_so(town: ProxiedTown) -> None:
    assert town.client.get(f"{NEWS}/today?q=1", PAGE).status == 200
    assert town.client.get("http://cardroom.example/table", PAGE).status == 403
    assert [visit.addresses for visit in town.visits(2)] == [(), ()]


def test_pages_that_were_gone_to_are_kept_without_their_queries(town: ProxiedTown) -> None:
    town.publish_policy(KEPT)
    town.client.get(f"{NEWS}/today?q=1", PAGE)
    with town.client.dial() as kept:
        image = {"Accept": "image/avif", "Referer": f"{NEWS}/today"}
        exchange(kept, "GET", f"{NEWS}/a.png", "news.example", fields=image)
    town.client.get("http://library.example/books", PAGE)
    town.client.get("http://cardroom.example/table?seat=4", PAGE)
    town.client.get("https://cardroom.example/table?seat=4", PAGE)
    kept_of = {(one.scheme, one.host): one.addresses for one in town.visits(5) if one.pages}
    assert kept_of == {
        ("http", "news.example"): (f"{NEWS}/today",),
        ("http", "library.example"): (),
        ("http", "cardroom.example"): ("http://cardroom.example/table",),
        ("https", "cardroom.example"): ("https://cardroom.example/table",),
    }


def test_name_and_password_in_an_address_are_kept_nowhere(town: ProxiedTown) -> None:
    town.publish_policy(WITH_QUERIES)
    town.client.get("http://clerk:not-to-be-kept@news.example/today", {**PAGE, "Host": "news.example"})
    town.client.get(f"{NEWS}/today", PAGE)
    eventually(lambda: any(f"{NEWS}/today" in path.read_text() for path in spooled(town)))
    assert not any("not-to-be-kept" in path.read_text() for path in spooled(town))


def spooled(town: ProxiedTown) -> list[Path]:
    return list(town.published.state.spool.glob("*.visits"))


def test_query_is_kept_where_the_policy_says_so(town: ProxiedTown) -> None:
    town.publish_policy(WITH_QUERIES)
    town.client.get(f"{NEWS}/today?q=1#top", PAGE)
    assert town.visit().addresses == (f"{NEWS}/today?q=1",)


def test_site_that_is_never_looked_into_has_none_kept(town: ProxiedTown) -> None:
    town.publish_policy(KEPT, never_inspect=["news.example"])
    town.client.get(f"{NEWS}/today", PAGE)
    assert town.visit().addresses == ()
