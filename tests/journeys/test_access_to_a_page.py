"""Access to a page in a real town: blocked inside HTTPS, asked for, open by itself, until it ends."""

import asyncio
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from admin.demo_web import demo_web
from tests.admin.web.conftest import post
from tests.faked_clock import FakedClock
from tests.journeys.test_emergency import Workstation, until
from tests.running_town import RunningTown, running_town

pytestmark = pytest.mark.long

HOST = "library.example"
CARDS, POKER = (f"https://{HOST}/r/{page}" for page in ("cards", "poker"))
PAGE = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
RULE = "  - id: not-town-business\n"
LASTS = timedelta(hours=1)


async def test_a_page_is_blocked_asked_for_and_open_by_itself_until_it_ends(
    tmp_path: Path, faked_clock: FakedClock
) -> None:
    async with demo_web(tmp_path / "web", [HOST]) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        options = ("--demo", "--hosts", str(hosts))
        async with running_town(tmp_path / "state", *options, environment=faked_clock.environment) as town:
            shutil.copyfile(web.ca_certificate, town.state / "proxy" / "extra-roots.pem")
            clerk = Workstation(town, web.ca_certificate)
            await _list_pages(clerk)
            await until(lambda: clerk.answered(f"https://{HOST}/books", 200))
            await until(lambda: clerk.answered(CARDS, 403))
            await _ask_and_allow(clerk)
            await until(lambda: clerk.answered(CARDS, 200))
            assert (await clerk.status(f"{CARDS}/rules?page=2"), await clerk.status(POKER)) == (200, 403)
            told = await clerk.command("explain", CARDS, "--as", "clerk")
            assert (told["decision"]["verdict"], told["decision"]["exemption"]) == ("allow", "EX-1")
            told = await clerk.command("explain", POKER, "--as", "clerk")
            assert told["decision"]["verdict"] == "block"
            faked_clock.advance(LASTS)
            assert await clerk.status(CARDS) == 403
            assert await clerk.status(f"https://{HOST}/books") == 200


async def _list_pages(clerk: Workstation) -> None:
    folder = clerk.town.state / "pages" / "gambling"
    folder.mkdir(parents=True)
    (folder / "domains").write_text("cardroom.example\n")
    (folder / "urls").write_text(f"{HOST}/r\n")
    await clerk.command("categories", "update", "--source", f"ut1={folder.parent}")
    document = (clerk.town.state / "policy.yaml").read_text()
    changed = clerk.town.state / "changed.yaml"
    assert document.count(RULE) == 1
    changed.write_text(document.replace(RULE, f"{RULE}    inspect: urls\n"))
    # By the real clock, which the town still has: libfaketime lets no program of Python sleep.
    by_the_real_clock = replace(clerk.town, environment=dict(os.environ))
    code, output, errors = await by_the_real_clock.command("policy", "publish", str(changed))
    assert code == 0, output + errors


async def _ask_and_allow(clerk: Workstation) -> None:
    """Ask from the block page for the page alone; let the head allow it for an hour from now on."""
    page = (await asyncio.to_thread(clerk.client.get, CARDS, PAGE)).text
    (link,) = set(re.findall(r'href="([^"]+/ask\?token=[^"]+)"', page))
    origin = f"http://{clerk.town.admin}"
    async with (
        httpx.AsyncClient(base_url=origin, headers={"Origin": origin}, trust_env=False) as browser,
        httpx.AsyncClient(base_url=origin, headers={"Origin": origin}, trust_env=False) as head,
    ):
        form = await browser.get(link, follow_redirects=True)
        assert f"{HOST}</b>" in form.text and "/r/cards</span> and what is below it" in form.text
        asked = {"reason": "For the grant file.", "duration": "week", "for_whom": "person", "extent": "page"}
        assert (await post(browser, form.url.path, **asked)).headers["location"] == "/requests/1/sent"
        await _sign_in(head, clerk.town, "head")
        assert f"Allow {HOST}/r/cards for " in (await head.get("/decide/1")).text
        ends_at = datetime.now(UTC) + LASTS
        answer = {"answer": "allow", "step": "0", "expires_at": ends_at.isoformat()}
        assert (await post(head, "/decide/1", **answer)).status_code == 303


async def _sign_in(browser: httpx.AsyncClient, town: RunningTown, person: str) -> None:
    answer = await post(browser, "/sign-in", name=person, password=town.passwords[person])
    assert answer.status_code == 303, answer.text
