"""The story of the first slice, in a real browser: blocked, asks, is allowed, and it ends again."""

import asyncio
import json
import ssl
import time
import urllib.request
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Response

from admin.demo_web import DemoWeb, demo_web
from tests.browsing import StartBrowser, violations
from tests.faked_clock import FakedClock
from tests.journeys.steps import DESKTOP, PHONE, TOWN_ISSUER, Patience, issuer, sign_in, visit_until
from tests.real_data import TestData
from tests.running_town import RunningTown, run_command, running_town

pytestmark = pytest.mark.long

OPEN_SITE = "library.example"
REASON = "I need their charity report for the grant file."


@pytest.fixture(params=["starter", "ut1"])
def lists(request: pytest.FixtureRequest) -> str:
    """Return which lists the town has: the starter list, or the whole of UT1."""
    return str(request.param)


@pytest.mark.needs("curl")
@pytest.mark.timeout(900)
async def test_a_person_browses_is_blocked_asks_and_is_allowed_until_it_ends(
    lists: str,
    browser: StartBrowser,
    tmp_path: Path,
    faked_clock: FakedClock,
    request: pytest.FixtureRequest,
) -> None:
    site = {"starter": "cardroom.example", "ut1": "pokerstars.com"}[lists]
    async with demo_web(tmp_path / "web", names=[OPEN_SITE, site]) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        async with running_town(
            tmp_path / "state", "--demo", "--hosts", str(hosts), environment=faked_clock.environment
        ) as town:
            if lists == "ut1":
                await _use_ut1(town, request)
            await _play(town, web, site, browser, faked_clock)


async def _play(town: RunningTown, web: DemoWeb, site: str, browser: StartBrowser, clock: FakedClock) -> None:
    workstation = await browser(proxy=town.proxy, trusts=[town.town_ca, web.ca_certificate])
    clerk = await workstation.new_context()

    # An allowed site is tunnelled: the browser sees the origin's own certificate.
    page = await clerk.new_page()
    response = await page.goto(f"https://{OPEN_SITE}/")
    assert response is not None and response.ok
    assert await issuer(response) != TOWN_ISSUER
    assert web.hits[OPEN_SITE] == 1

    # A gambling site is not, over HTTPS and HTTP alike, and it is never contacted.
    connections = web.connections
    for scheme in ("https", "http"):
        response = await page.goto(f"{scheme}://{site}/tables?seat=4")
        assert response is not None and response.status == 403
        assert await page.locator("h1").inner_text() == "This site is blocked"
        text = await page.locator("body").inner_text()
        assert f"{site} is listed as Gambling." in text
        assert "Prohibited Uses 18" in text
        assert "Your department head" in text
        assert "seat=4" not in await page.content()
        assert await violations(page) == []
    assert web.connections == connections and web.hits[site] == 0
    response = await page.goto(f"https://{site}/")
    assert response is not None
    assert await issuer(response) == TOWN_ISSUER

    # She asks, for herself, for an hour.
    await page.get_by_role("link", name="Ask for access").click()
    assert f"Ask for access to {site}" in await page.locator("h1").inner_text()
    await page.get_by_label("What do you need it for?").fill(REASON)
    await page.locator("label[for=duration-hour]").click()
    await page.get_by_role("button", name="Send request").click()
    assert await page.locator("h1").inner_text() == "Request sent"

    # Her department head signs in on a phone, sees what a decision needs, and allows it.
    phone = await browser()
    head = await phone.new_context(viewport=PHONE, has_touch=True)
    decision = await head.new_page()
    await sign_in(decision, town, "head")
    await decision.get_by_role("link", name=site).first.click()
    text = await decision.locator("main").inner_text()
    for needed in (site, REASON, "Gambling", "No known risk"):
        assert needed in text
    allow = decision.get_by_role("button", name="Allow until")
    box = await allow.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    tunnel = await _refused_then_reloaded(clerk, town, site, allow.click)

    # It opens for her, and for no one else.
    assert await issuer(tunnel) != TOWN_ISSUER
    assert web.hits[site] >= 1
    await _other_person_is_still_blocked(town, site)

    # At its expiry a tunnel still open is closed, and the site is blocked again.
    reader, writer = await _open_download(town, site, web.ca_certificate)
    assert await reader.read(1000)
    clock.advance(timedelta(hours=1, minutes=1))
    expired_at = time.monotonic()
    async with asyncio.timeout(30):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            while True:
                if not await reader.read(1 << 20):
                    raise ConnectionResetError("the tunnel was closed")
    assert time.monotonic() - expired_at < 1.5
    writer.close()
    # The browser has tunnels of its own, which the other worker may close a moment later.
    await visit_until(await clerk.new_page(), site, 403)

    # A visit is written when it ends, and a browser keeps its connections.
    await workstation.close()
    await _log_tells_it_all(town, site)
    it = await (await phone.new_context(viewport=DESKTOP)).new_page()
    await sign_in(it, town, "it")
    await it.goto(f"http://{town.admin}/visits?host={site}")
    text = await it.locator("main").inner_text()
    assert site in text and "Blocked" in text and "Allowed" in text and "Gambling" in text
    assert "Clara Reyes" not in text, "names are hidden until a reason is given"
    await _metrics_count_it(town)


async def _use_ut1(town: RunningTown, request: pytest.FixtureRequest) -> None:
    test_data: TestData = request.getfixturevalue("test_data")
    folder = test_data("ut1") / "blacklists"
    code, output, errors = await town.command("categories", "update", "--source", f"ut1={folder}")
    assert code == 0, output + errors
    code, output, errors = await town.command("categories", "lookup", "pokerstars.com", "--json")
    assert {"id": "gambling", "entry": "pokerstars.com", "source": "ut1"} in json.loads(output)["categories"]
    await town.in_force()


async def _refused_then_reloaded(
    context: BrowserContext, town: RunningTown, site: str, approve: Callable[[], Awaitable[None]]
) -> Response:
    """Return the answer to reloading, after the approval, a page refused just before it."""
    page = await context.new_page()
    refused = await page.goto(f"https://{site}/")
    assert refused is not None and refused.status == 403
    await approve()
    await town.in_force()
    response = await page.reload()
    assert response is not None and response.ok
    return response


async def _other_person_is_still_blocked(town: RunningTown, site: str) -> None:
    password = "parks and recreation"
    code, output, errors = await town.command(
        "password", "set", "parks-head", "--proxy", "--stdin", stdin=password + "\n"
    )
    assert code == 0, output + errors
    curl = ("curl", "--silent", "--show-error", "--proxy", f"http://{town.proxy}")
    who = ("--proxy-user", f"parks-head:{password}", "--cacert", str(town.town_ca))
    patience = Patience()
    while True:
        code, page, errors = await run_command(*curl, *who, f"https://{site}/")
        if "407" not in errors:
            break
        await patience.wait("the new password has not reached the proxy")
    assert code == 0 and "This site is blocked" in page, errors


async def _open_download(
    town: RunningTown, site: str, ca: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin an endless download through a tunnel, slowly read."""
    host, port = town.proxy.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"CONNECT {site}:443 HTTP/1.1\r\nHost: {site}:443\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(ssl.create_default_context(cafile=ca), server_hostname=site)
    writer.write(f"GET /big?bytes={1 << 40} HTTP/1.1\r\nHost: {site}\r\n\r\n".encode())
    return reader, writer


async def _log_tells_it_all(town: RunningTown, site: str) -> None:
    patience = Patience()
    while not _tells_all(visits := await _visits(town), site):
        await patience.wait(f"{visits} do not tell all")
    # A browser may open a second connection in case the first is slow, and close it without a byte.
    carried = [v for v in visits if v["host"] == OPEN_SITE and v["bytes_down"] > 0]
    assert carried and all(v["bytes_up"] > 0 for v in carried), visits
    code, output, errors = await town.command("visits", "--json", "--because", "Ticket 7: slow browsing")
    assert code == 0, errors
    named = [visit for line in output.splitlines() if (visit := json.loads(line))["person"] == "clerk"]
    assert named
    code, output, errors = await town.command(
        "visits", "--person", "clerk", "--because", "Ticket 7: slow browsing"
    )
    assert code == 2 and "a second person must agree" in errors, output
    assert any(visit["host"] == site and visit["seconds"] > 0 and visit["bytes_down"] > 0 for visit in named)


async def _visits(town: RunningTown) -> list[dict[str, Any]]:
    code, output, errors = await town.command("visits", "--json")
    assert code == 0, errors
    assert "clerk" not in output, "names are hidden until a reason is given"
    return [json.loads(line) for line in output.splitlines()]


def _tells_all(visits: list[dict[str, Any]], site: str) -> bool:
    told = {(v["host"], v["verdict"], v["category"], v["rule"]) for v in visits}
    by_exemption = [v for v in visits if v["host"] == site and v["verdict"] == "allow" and v["exemption"]]
    return (
        told >= {(OPEN_SITE, "allow", None, None), (site, "block", "gambling", "not-town-business")}
        and any(v["seconds"] > 0 and v["bytes_down"] > 0 for v in by_exemption)
        and any(v["host"] == OPEN_SITE and v["bytes_down"] > 0 for v in visits)
    )


async def _metrics_count_it(town: RunningTown) -> None:
    def scrape() -> str:
        with urllib.request.urlopen(f"http://{town.metrics}/metrics", timeout=5) as response:
            return response.read().decode()

    text = await asyncio.to_thread(scrape)
    lines = [line for line in text.splitlines() if line.startswith("egress_visits_total{")]
    assert any('action="block"' in line and 'department="finance"' in line for line in lines), text
    assert any('action="allow"' in line and 'category_group="uncategorised"' in line for line in lines)
    assert "clerk" not in text and "library" not in text
