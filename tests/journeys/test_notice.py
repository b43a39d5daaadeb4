"""The notice, in a real browser: it comes before the web, is signed, and comes again when it changes."""

import csv
import json
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.async_api import Error, Page

from admin.demo_web import demo_web
from tests.browsing import StartBrowser, violations
from tests.journeys.steps import Patience
from tests.running_town import RunningTown, running_town

pytestmark = pytest.mark.long

SITE = "library.example"
ROOT = Path(__file__).parents[2]
TITLE = "Acceptable use of the town's computers"


@pytest.mark.timeout(300)
async def test_web_opens_once_the_notice_is_signed_and_again_when_it_changes(
    browser: StartBrowser, tmp_path: Path, screenshots: Path
) -> None:
    async with demo_web(tmp_path / "web", names=[SITE]) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        async with running_town(tmp_path / "state", "--demo", "--hosts", str(hosts)) as town:
            workstation = await browser(proxy=town.proxy, trusts=[town.town_ca, web.ca_certificate])
            page = await workstation.new_page(viewport={"width": 1280, "height": 900})
            answer = await page.goto(f"https://{SITE}/")
            assert answer is not None and answer.ok, "the demo town has no notice"

            # As the README has it; a tunnel that was open is closed.
            (town.state / "policy.yaml").open("a").write(_example())
            await _until_heading(page, town, "Before you use the web")
            assert await violations(page) == []
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                await page.screenshot(path=screenshots / f"notice-first-{scheme}.png", full_page=True)
            connections = web.connections
            await page.get_by_role("link", name="Read and accept").click()
            assert await page.locator("h1").inner_text() == TITLE
            assert "token" not in page.url
            await page.screenshot(path=screenshots / "notice-example.png", full_page=True)
            await _sign(page, town)
            assert web.connections == connections, "nothing opened before"
            await page.get_by_role("link", name=f"Go to {SITE}").click()
            assert f"You are on {SITE}, over HTTPS." in await page.locator("body").inner_text()

            # A new version is asked for anew, and says what is new.
            document = (town.state / "policy.yaml").read_text()
            (town.state / "policy.yaml").write_text(document.replace("within the rules", "within all rules"))
            await _until_heading(page, town, "Before you use the web")
            await page.get_by_role("link", name="Read and accept").click()
            changed = await page.locator("main").inner_text()
            assert "What changed" in changed
            assert changed.partition("The whole text")[0].count("own time is allowed") == 2
            assert "Where: on every computer" not in changed.partition("The whole text")[0]
            await _sign(page, town)
            await page.get_by_role("link", name=f"Go to {SITE}").click()
            assert f"You are on {SITE}, over HTTPS." in await page.locator("body").inner_text()

            await _records_have_both(town)


def _example() -> str:
    """Return what the README's command adds to the policy."""
    lines = (ROOT / "README.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("    cat deploy/examples/notice.yaml "))
    command, source, into, target = shlex.split(line)
    assert (command, into, target) == ("cat", ">>", "var/policy.yaml")
    return (ROOT / source).read_text()


async def _until_heading(page: Page, town: RunningTown, heading: str) -> None:
    patience, shown = Patience(), ""
    while shown != heading:
        await patience.wait(f"it says {shown!r}, not {heading!r}")
        with suppress(Error):
            # Chromium may wait for ever for the rest of a page whose tunnel was closed in its middle.
            await page.goto(f"https://{SITE}/", wait_until="commit", timeout=5000)
            shown = await page.locator("h1").inner_text(timeout=5000)
    # In the other worker, too: nothing is opened any more.
    await town.in_force()


async def _sign(page: Page, town: RunningTown) -> None:
    await page.get_by_text("I have read, understand and will comply").click()
    await page.get_by_role("button", name="Sign as Clara Reyes").click()
    await page.get_by_role("heading", name="You accepted this").wait_for()
    # It is in force within a second; nobody goes on sooner.
    await town.in_force()


async def _records_have_both(town: RunningTown) -> None:
    code, output, errors = await town.command("notice", "export", "--json")
    assert code == 0, errors
    exported = json.loads(output)
    first, second = (version["version"] for version in exported["versions"])
    assert [receipt["version"] for receipt in exported["receipts"]] == [first, second]
    assert {(r["person"], r["known_by"]) for r in exported["receipts"]} == {("clerk", "own_device")}
    assert "within all rules" in exported["versions"][1]["text"]
    code, output, errors = await town.command("notice", "export")
    assert code == 0, errors
    assert [row["record"] for row in csv.DictReader(output.splitlines(keepends=True))] == [
        *("version", "version"),
        *("receipt", "receipt"),
    ]
    code, output, errors = await town.command("notice", "status")
    assert f"{TITLE}, version {second}. It has to be accepted." in output, errors
    assert "Of 10 people 1 accepted it, 0 put it off, 9 have not answered." in output
