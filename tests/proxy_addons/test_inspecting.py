"""What a rule has opened: allowed HTTPS, decrypted and judged request by request; all else is tunnelled."""

import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from admin.demo_web import DemoWeb
from policy.decision import Cause, Lane, Verdict
from tests.at_once import assert_at_once
from tests.proxied_town import ORIGIN_ISSUER, TOWN, TOWN_ISSUER, ProxiedTown, eventually, inspecting_town
from tests.proxy_client import exchange, read_to_end
from tests.published_town import CATEGORIES

INSPECTING = TOWN.replace(
    "rules:\n",
    "rules:\n"
    "  - {id: inner-pages, categories: [adult, hacking], action: block, inspect: urls,"
    " approval: [department_head], because: 'Acceptable Use Policy, Prohibited Uses 7'}\n",
)
URLS = {
    "adult": [("library.example", "/forbidden"), ("dead.example", "/forbidden")],
    "hacking": [("video.example", "/tools")],
}


@pytest.fixture(scope="module")
def opening_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    with inspecting_town(web, hosts_file, tmp_path_factory.mktemp("inspecting"), INSPECTING, URLS) as town:
        yield town


@pytest.fixture
def town(opening_town: ProxiedTown) -> ProxiedTown:
    """Return a town that looks for adult and hacking URLs inside HTTPS, behind a worker."""
    opening_town.begin()
    return opening_town


def test_host_with_listed_urls_is_opened_and_the_rest_of_it_is_reached(town: ProxiedTown) -> None:
    answer = town.client.get("https://library.example/books?id=7")

    assert (answer.status, answer.issuer, answer.names) == (200, TOWN_ISSUER, ("library.example",))
    assert "library.example" in answer.text
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.INSPECT, Cause.DEFAULT)
    assert visit.bytes_up > 50
    assert visit.bytes_down > len(answer.body)
    assert visit.refusal is None


def test_requests_inside_are_counted_and_pages_are_told_from_what_they_pull_in(town: ProxiedTown) -> None:
    page = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    with town.client.tunnel("library.example") as kept:
        exchange(kept, "GET", "/books", "library.example", fields=page)
        exchange(kept, "GET", "/style.css", "library.example", fields={"Sec-Fetch-Dest": "style"})
        exchange(kept, "GET", "/forbidden", "library.example", fields={"Sec-Fetch-Dest": "image"})
    stopped, visit = sorted(town.visits(2), key=lambda one: one.lane is Lane.INSPECT)
    assert (visit.connections, visit.requests, visit.pages, visit.is_shown) == (1, 2, 1, False)
    # Of its connection the other visit tells; where nothing can be read, no code was.
    assert (stopped.connections, stopped.requests, stopped.pages, stopped.is_shown) == (0, 1, 0, False)
    assert town.client.get("https://library.example/forbidden", page).status == 403
    shown = max(
        (one for one in town.visits(4) if one.verdict is Verdict.BLOCK), key=lambda one: one.started_at
    )
    assert (shown.requests, shown.pages, shown.is_shown) == (1, 1, True)


def test_addresses_of_pages_inside_are_kept_where_the_policy_says_so(town: ProxiedTown) -> None:
    town.publish_categories({**CATEGORIES, "press": ["library.example"]}, URLS)
    town.publish_policy(INSPECTING + "addresses: {categories: [adult, press]}\n")
    page = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    with town.client.tunnel("library.example") as kept:
        exchange(kept, "GET", "/books?id=7", "library.example", fields=page)
        exchange(kept, "GET", "/style.css", "library.example", fields={"Sec-Fetch-Dest": "style"})
        exchange(kept, "GET", "/authors", "library.example", fields=page)
        exchange(kept, "GET", "/forbidden?x", "library.example", fields=page)
    stopped, visit = sorted(town.visits(2), key=lambda one: one.lane is Lane.INSPECT)
    assert visit.addresses == ("https://library.example/books", "https://library.example/authors")
    assert stopped.addresses == ("https://library.example/forbidden",)


def test_site_that_it_has_said_never_to_open_is_tunnelled_within_a_second(town: ProxiedTown) -> None:
    def is_tunnelled() -> bool:
        # A visit that it finds under way is closed, in the middle of its handshake too.
        with suppress(ConnectionError, ssl.SSLEOFError):
            return town.client.get("https://library.example/").issuer == ORIGIN_ISSUER
        return False

    def seconds_until_tunnelled() -> float:
        town.publish_policy(INSPECTING)
        assert town.client.get("https://library.example/").issuer == TOWN_ISSUER
        published_at = time.monotonic()
        town.publish_policy(INSPECTING, never_inspect=["library.example"], wait=False)
        eventually(is_tunnelled)
        return time.monotonic() - published_at

    assert_at_once(seconds_until_tunnelled)
    # Another is opened as before.
    assert town.client.get("https://video.example/").issuer == TOWN_ISSUER


def test_site_that_was_first_visited_just_now_is_blocked_within_a_second(town: ProxiedTown) -> None:
    town.publish_policy(
        TOWN.replace("rules:\n", "rules:\n  - {id: new, categories: [newly_seen], action: block}\n")
    )
    long_ago = datetime.now(UTC) - timedelta(days=90)

    def seconds_until_blocked() -> float:
        town.published.publish_first_visits({"news.example": long_ago, "library.example": long_ago})
        eventually(lambda: town.client.get("https://library.example/").status == 200)
        with town.client.tunnel("library.example") as open_before:
            published_at = time.monotonic()
            town.published.publish_first_visits(
                {"news.example": long_ago, "library.example": datetime.now(UTC)}
            )
            # The tunnel that is open is closed, and the next visit gets a page.
            assert read_to_end(open_before) == b""
            took = time.monotonic() - published_at
        assert town.client.get("https://library.example/").status == 403
        return took

    assert_at_once(seconds_until_blocked)
    assert town.client.get("https://news.example/").status == 200


def test_listed_url_inside_https_gets_a_page_and_a_record_of_its_own(town: ProxiedTown) -> None:
    answer = town.client.get("https://library.example/forbidden/deeper?q=secret")

    assert (answer.status, answer.issuer) == (403, TOWN_ISSUER)
    assert "This site is blocked" in answer.text
    assert "Acceptable Use Policy, Prohibited Uses 7" in answer.text
    assert "secret" not in answer.text
    blocked, whole = sorted(town.visits(2), key=lambda visit: visit.lane)
    assert (blocked.verdict, blocked.lane, blocked.rule) == (Verdict.BLOCK, Lane.BLOCK, "inner-pages")
    assert (blocked.category, blocked.entry) == ("adult", "library.example/forbidden")
    assert blocked.code in answer.text
    assert (whole.verdict, whole.lane, whole.refusal) == (Verdict.ALLOW, Lane.INSPECT, None)


def test_requests_of_one_kept_connection_are_judged_one_by_one(town: ProxiedTown) -> None:
    with town.client.tunnel("library.example") as secured:
        assert exchange(secured, "GET", "/", "library.example").status == 200
        assert exchange(secured, "GET", "/again", "library.example").status == 200
        assert exchange(secured, "GET", "/forbidden", "library.example").status == 403
    assert [visit.lane for visit in sorted(town.visits(2), key=lambda visit: visit.lane)] == [
        Lane.BLOCK,
        Lane.INSPECT,
    ]


@pytest.mark.parametrize("site", ["shop.example", "news.example", "video.example"])
def test_host_without_urls_of_the_rule_is_tunnelled(site: str, town: ProxiedTown) -> None:
    if site == "video.example":
        # Its URLs are of a category that this policy's rule does not name.
        town.publish_policy(INSPECTING.replace("[adult, hacking]", "[adult]").replace("warn", "allow"))
    else:
        town.publish_policy(
            INSPECTING.replace("[adult, gambling, games, dating, shopping, sports]", "[games]")
        )
    answer = town.client.get(f"https://{site}/tools")
    assert (answer.status, answer.issuer) == (200, ORIGIN_ISSUER)
    assert town.visit().lane is Lane.TUNNEL


@pytest.mark.parametrize(
    "words",
    [
        "never_inspect: {sites: [library.example]}\n",
        "never_inspect: {sites: [example]}\n",
        "essentials: [library.example]\n",
    ],
)
def test_what_must_never_be_inspected_is_tunnelled_whatever_rules_say(words: str, town: ProxiedTown) -> None:
    town.publish_policy(INSPECTING.replace("rules:\n", f"{words}rules:\n", 1))
    answer = town.client.get("https://library.example/forbidden")
    assert (answer.status, answer.issuer) == (200, ORIGIN_ISSUER)
    assert town.visit().lane is Lane.TUNNEL


def test_category_that_must_never_be_inspected_is_tunnelled(town: ProxiedTown) -> None:
    town.publish_categories({**CATEGORIES, "banks": ["library.example"]}, URLS)
    assert town.client.get("https://library.example/").issuer == TOWN_ISSUER
    town.publish_policy(INSPECTING.replace("rules:\n", "never_inspect: {categories: [banks]}\nrules:\n", 1))
    assert town.client.get("https://library.example/").issuer == ORIGIN_ISSUER


def test_request_for_another_site_inside_is_421_and_goes_nowhere(town: ProxiedTown) -> None:
    for named in ("cardroom.example", "shop.example", "library.example:8443", "library.example.evil.example"):
        with town.client.tunnel("library.example") as secured:
            answer = exchange(secured, "GET", "/", named)
            assert answer.status == 421, named
            assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    "named", ["library.example", "LIBRARY.example", "library.example:443", "library.example."]
)
def test_host_of_a_request_inside_may_be_spelt_as_it_likes(named: str, town: ProxiedTown) -> None:
    with town.client.tunnel("library.example") as secured:
        assert exchange(secured, "GET", "/", named).status == 200


def test_origin_server_that_cannot_be_reached_gets_a_page(town: ProxiedTown) -> None:
    answer = town.client.get("https://dead.example/")
    assert (answer.status, answer.issuer) == (502, TOWN_ISSUER)
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.BLOCK, Cause.UNREACHABLE)


def test_noise_and_tls_inside_are_not_forwarded(town: ProxiedTown) -> None:
    connections = town.web.connections
    for noise in (
        b"SSH-2.0-x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600) + b"\r\n\r\n",
    ):
        with town.client.tunnel("library.example") as secured:
            secured.sendall(noise)
            said = read_to_end(secured)
            assert said == b"" or said.startswith(b"HTTP/1.1 400 ")
    # Each dialled, as the page of an unreachable one wants it; none was told a byte.
    assert town.web.connections <= connections + 2


def test_program_that_does_not_trust_the_town_is_recorded(town: ProxiedTown) -> None:
    with pytest.raises(OSError, match="certificate verify failed"):
        town.client.trusting(town.web.ca_certificate).get("https://library.example/")
    visit = town.visit()
    assert (visit.verdict, visit.lane) == (Verdict.ALLOW, Lane.INSPECT)
    assert visit.refusal == "the program did not accept the town's certificate"


def test_open_tunnel_closes_when_it_is_to_be_looked_into_and_the_other_way(town: ProxiedTown) -> None:
    without = INSPECTING.replace("inspect: urls, ", "").replace(", inspect: urls", "")
    assert without != INSPECTING
    town.publish_policy(without)
    with town.client.tunnel("library.example") as tunnel:
        assert exchange(tunnel, "GET", "/", "library.example").issuer == ORIGIN_ISSUER
        town.publish_policy(INSPECTING)
        assert read_to_end(tunnel) == b""
    with town.client.tunnel("library.example") as opened:
        assert exchange(opened, "GET", "/", "library.example").issuer == TOWN_ISSUER
        town.publish_policy(without)
        assert read_to_end(opened) == b""
    refusals = {visit.refusal for visit in town.visits(2)}
    assert refusals == {
        "closed: from now on to be looked into",
        "closed: from now on not to be looked into",
    }


def test_bodies_of_any_size_go_by_and_are_counted(town: ProxiedTown) -> None:
    size = 64 << 20
    town.client.get("https://library.example/big?bytes=4000000")
    town.begin()
    before = town.proxy.peak_memory_bytes()

    down = town.client.request("GET", f"https://library.example/big?bytes={size}", keep_body=False)
    up = town.client.request(
        "PUT",
        "https://library.example/upload",
        (bytes(1 << 20) for _ in range(size >> 20)),
        {"Content-Length": str(size)},
    )

    assert (down.body_bytes, up.status, down.issuer, up.issuer) == (size, 200, TOWN_ISSUER, TOWN_ISSUER)
    first, second = town.visits(2)
    assert size < first.bytes_down < size + 1000
    assert size < second.bytes_up < size + 1000
    assert town.proxy.peak_memory_bytes() - before < 20 << 20
