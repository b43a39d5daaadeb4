"""Access to a page: asked for by the link of its block page, and open where the proxy sees its path."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from admin.demo_web import DemoWeb
from policy import ask_token
from policy.decision import Cause, Lane, Verdict
from policy.state import Exemption
from tests.people import CLERK
from tests.proxied_town import PARKS_DESK, TOWN, TOWN_ISSUER, ProxiedTown, eventually, inspecting_town
from tests.proxy_client import exchange
from tests.published_town import CATEGORIES

INSPECTING = TOWN.replace(
    "rules:\n",
    "rules:\n"
    "  - {id: inner-pages, categories: [adult], action: block, inspect: urls,"
    " approval: [department_head], because: 'Acceptable Use Policy, Prohibited Uses 7'}\n",
)
URLS = {"adult": [("library.example", "/r")]}
PAGE = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture(scope="module")
def opening_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    with inspecting_town(web, hosts_file, tmp_path_factory.mktemp("pages"), INSPECTING, URLS) as town:
        yield town


@pytest.fixture
def town(opening_town: ProxiedTown) -> ProxiedTown:
    """Return a town that looks for adult URLs inside HTTPS, behind a worker."""
    opening_town.begin()
    return opening_town


def access(host: str, path: str, lasts: timedelta = timedelta(hours=1)) -> Exemption:
    now = datetime.now(UTC)
    return Exemption("EX-7", host, now, now + lasts, person=CLERK, path=path)


def test_page_inside_https_opens_its_neighbour_does_not_and_it_ends_by_itself(town: ProxiedTown) -> None:
    town.publish_policy(INSPECTING, [access("library.example", "/r/cards")])
    assert town.client.at(PARKS_DESK).get("https://library.example/r/cards").status == 403
    with town.client.tunnel("library.example") as kept:
        seen = {
            path: exchange(kept, "GET", path, "library.example").status
            for path in ("/r/cards", "/r/cards/rules?page=2", "/books")
        }
        assert seen == {"/r/cards": 200, "/r/cards/rules?page=2": 200, "/books": 200}
        assert exchange(kept, "GET", "/r/cards/%2e%2e/poker", "library.example").status == 403
    opened = [visit for visit in town.visits(6) if visit.exemption == "EX-7"]
    assert [(v.verdict, v.cause, v.lane) for v in opened] == [
        (Verdict.ALLOW, Cause.EXEMPTION, Lane.INSPECT)
    ] * 2
    assert all((v.connections, v.requests) == (0, 1) and v.bytes_down > 100 for v in opened)
    assert town.client.get("https://library.example/r/poker").status == 403
    assert town.client.get("https://library.example/r/cards").issuer == TOWN_ISSUER
    with town.client.tunnel("library.example") as kept:
        assert exchange(kept, "GET", "/r/cards", "library.example").status == 200
        ending = access("library.example", "/r/cards", timedelta(seconds=1))
        town.publish_policy(INSPECTING, [ending])
        time.sleep(max(0.0, (ending.expires_at - datetime.now(UTC)).total_seconds()))
        assert exchange(kept, "GET", "/r/cards", "library.example").status == 403


def test_page_over_plain_http_opens_and_is_recorded_while_https_of_the_blocked_host_stays_shut(
    town: ProxiedTown,
) -> None:
    town.publish_policy(INSPECTING, [access("cardroom.example", "/rules")])
    assert town.client.get("http://cardroom.example/rules/of-poker").status == 200
    opened = town.visit()
    assert (opened.verdict, opened.cause, opened.exemption) == (Verdict.ALLOW, Cause.EXEMPTION, "EX-7")
    assert town.client.get("http://cardroom.example/table").status == 403
    connections = town.web.connections
    assert town.client.get("https://cardroom.example/rules").status == 403
    assert town.web.connections == connections


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_visit_of_a_page_goes_on_while_others_get_access_and_is_closed_when_its_own_ends(
    scheme: str, town: ProxiedTown
) -> None:
    town.publish_categories(CATEGORIES, {"adult": [("library.example", "/big")]})
    lasting = access("library.example", "/big")
    town.publish_policy(INSPECTING, [lasting])
    with town.client.tunnel("library.example") if scheme == "https" else town.client.dial() as connection:
        target = f"{'' if scheme == 'https' else 'http://library.example'}/big?bytes=300000000"
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: library.example\r\n\r\n".encode())
        assert connection.recv(1 << 10).startswith(b"HTTP/1.1 200")
        others = replace(access("library.example", "/r"), id="EX-8", person=None, department="finance")
        town.publish_policy(INSPECTING, [lasting, others])
        ending = access("library.example", "/big", timedelta(seconds=2))
        town.publish_policy(INSPECTING, [ending, others])
        time.sleep(max(0.0, (ending.expires_at - datetime.now(UTC)).total_seconds()))
        with suppress(OSError):
            while connection.recv(1 << 16):
                pass
    visit = next(one for one in town.visits(2 if scheme == "https" else 1) if one.exemption == "EX-7")
    lane = Lane.INSPECT if scheme == "https" else Lane.PLAIN
    assert (visit.lane, visit.cause) == (lane, Cause.EXEMPTION)
    assert visit.refusal == "closed: no longer allowed (inner-pages)"
    assert visit.ended_at >= ending.expires_at


def test_link_of_a_block_page_names_the_page_where_it_can_be_asked_for_and_the_page_does_not(
    town: ProxiedTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as admin_site:
        admin_url = f"http://127.0.0.1:{admin_site.getsockname()[1]}"
        monkeypatch.setattr(town.published, "admin_url", admin_url)
        town.publish_policy(INSPECTING)
        # Whether an admin site answers is remembered for a second.
        eventually(lambda: "/ask?" in town.client.get("http://cardroom.example/", PAGE).text)

        def asked_for(address: str) -> tuple[str, str]:
            text = town.client.get(address, PAGE).text
            (link,) = set(re.findall(r'href="[^"]+/ask\?token=([^"]+)"', text))
            assert "secret" not in text.lower()
            token = ask_token.unseal(link, town.published.ask_key, datetime.now(UTC))
            return token.host, token.path

        assert asked_for("https://library.example/r/Secret/?q=1") == ("library.example", "/r/secret")
        assert asked_for("http://cardroom.example/secret/1") == ("cardroom.example", "/secret/1")
        assert asked_for("http://cardroom.example/?q=/secret") == ("cardroom.example", "")
        assert asked_for("https://cardroom.example/secret") == ("cardroom.example", "")
        assert asked_for(f"https://library.example/r/{'s' * 300}") == ("library.example", "")
