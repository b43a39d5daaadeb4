"""IT's duties in a real town: a wrong category, an accident, a security risk, each from the block page on."""

from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page

from admin.demo_web import demo_web
from tests.browsing import StartBrowser
from tests.journeys.steps import PHONE, Patience, heading, reload_until, sign_in, visit, visit_until
from tests.running_town import RunningTown, running_town

pytestmark = pytest.mark.long

CARDROOM = "cardroom.example"
PHISH = "phish.example"


async def test_what_people_say_of_sites_is_answered_for_everyone(
    browser: StartBrowser, tmp_path: Path
) -> None:
    async with demo_web(tmp_path / "web", names=[CARDROOM, PHISH]) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        async with running_town(tmp_path / "state", "--demo", "--hosts", str(hosts)) as town:
            workstation = await browser(proxy=town.proxy, trusts=[town.town_ca, web.ca_certificate])
            clerk = await workstation.new_context(viewport=PHONE)
            it = await (await (await browser()).new_context()).new_page()
            await sign_in(it, town, "it")
            await a_wrong_category_is_corrected(clerk, it, town)
            await an_accident_is_reported(clerk, it, town)
            await a_security_risk_is_for_it_alone(clerk, it, town)


async def a_wrong_category_is_corrected(clerk: BrowserContext, it: Page, town: RunningTown) -> None:
    page = await clerk.new_page()
    assert (await visit(page, CARDROOM)).status == 403
    await page.get_by_role("link", name="This is the wrong category").first.click()
    assert await heading(page) == f"What should {CARDROOM} be listed as?"
    assert "token" not in page.url
    await page.get_by_label("It should be").select_option("reference")
    await page.get_by_label("What is on the site?").fill("A museum of card games.")
    await page.get_by_role("button", name="Tell IT").click()
    assert await heading(page) == "Thank you. IT looks at it."

    await it.reload()
    await it.get_by_role("link", name="To review (1)").first.click()
    assert "A museum of card games." in await it.locator("main").inner_text()
    await it.get_by_text("Correct it", exact=True).click()
    assert await it.get_by_label("List it for everyone as").input_value() == "reference"
    await it.get_by_role("button", name="Correct it now").click()
    assert "In force everywhere since" in await it.locator("main").inner_text()
    await town.in_force()
    await visit_until(await clerk.new_page(), CARDROOM, 200)
    await page.get_by_role("link", name="My requests").first.click()
    assert "Corrected: Reference" in await page.locator("main").inner_text()


async def an_accident_is_reported(clerk: BrowserContext, it: Page, town: RunningTown) -> None:
    await command(town, "categories", "correct", CARDROOM, "--undo", "--because", "It was no museum")
    await town.in_force()
    page = await clerk.new_page()
    await visit_until(page, CARDROOM, 403)
    await page.get_by_role("link", name="I came here by accident").first.click()
    await page.get_by_role("button", name="Tell my department head and IT").click()
    assert await heading(page) == "Thank you. The visit is marked Reported."
    await it.goto(f"http://{town.admin}/review")
    await it.get_by_role("button", name="No problem").click()
    assert "Done" in await it.locator("main").inner_text()
    patience = Patience()
    while "Reported" not in await it.locator("main").inner_text():
        await patience.wait("the visit is not marked")
        await it.goto(f"http://{town.admin}/visits?host={CARDROOM}")


async def a_security_risk_is_for_it_alone(clerk: BrowserContext, it: Page, town: RunningTown) -> None:
    page = await clerk.new_page()
    assert (await visit(page, PHISH)).status == 403
    assert await page.get_by_role("link", name="This is the wrong category").count() == 1
    await page.get_by_role("link", name="Ask IT").first.click()
    text = await page.locator("main").inner_text()
    assert "Only IT can open it." in text and "department head" not in text
    await page.get_by_label("What do you need it for?").fill("Our own test of the staff.")
    await page.get_by_text("1 hour").click()
    await page.get_by_role("button", name="Send request").click()
    await page.get_by_role("link", name="See the request").click()

    await it.goto(f"http://{town.admin}/decide")
    await it.get_by_role("link", name=PHISH).click()
    assert "you accept this risk for the town" in await it.locator("main").inner_text()
    await it.get_by_role("button", name="Allow until").first.click()
    await town.in_force()
    await visit_until(await clerk.new_page(), PHISH, 200)

    # Another risk than the one that was accepted.
    await command(town, "categories", "correct", PHISH, "phishing", "malware", "--because", "It grew")
    await town.in_force()
    await visit_until(await clerk.new_page(), PHISH, 403)
    await reload_until(page, "Paused: now a security risk")
    assert await heading(page) == "Paused: now a security risk"


async def command(town: RunningTown, *words: str) -> None:
    code, output, errors = await town.command(*words)
    assert code == 0, output + errors
