"""Each kind of request in a real browser, from ask to effect to expiry, with two departments at once.

A journey goes on until the end of its day, where it yields; after the night it says what became of it.
"""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browsing import StartBrowser
from tests.faked_clock import FakedClock
from tests.journeys.steps import heading, link_in, text_of
from tests.journeys.two_departments import (
    ADULT,
    AT_LUNCH,
    BLOCKED,
    CARDS,
    DRUGS,
    LIBRARY,
    MAPS,
    MAPS_BYTES,
    NO_ACCOUNT,
    NOT_KNOWN,
    OFFICER,
    PROGRAM,
    SETUP,
    SHOP,
    SOCIAL,
    TOOLS,
    TwoDepartments,
    two_departments,
)

pytestmark = pytest.mark.long


@pytest.mark.timeout(600)
async def test_every_kind_of_request_from_ask_to_effect_to_expiry(
    browser: StartBrowser, faked_clock: FakedClock, tmp_path: Path
) -> None:
    async with two_departments(browser, faked_clock, tmp_path) as town:
        journeys = [journey(town) for journey in JOURNEYS]
        for journey in journeys:
            await anext(journey)
        town.night_passes()
        for journey in journeys:
            assert await anext(journey, "over") == "over"
        code, output, errors = await town.town.command("audit", "verify")
        assert code == 0, output + errors


async def personal_use(town: TwoDepartments) -> AsyncIterator[None]:
    """The clerk shops in her own time, for as long as her head agreed to."""
    await town.clerk.sees(SHOP, AT_LUNCH)
    form = await town.office_of("clerk")
    await form.goto(town.admin("/requests"))
    await form.get_by_text("Ask for something else").click()
    await form.get_by_role("link", name="Personal use").click()
    await form.get_by_text("Shopping", exact=True).click()
    await form.get_by_label("From").fill("09:30")
    await form.get_by_label("Until").fill("10:15")
    await form.get_by_label("What do you need it for?").fill("A present for my mother.")
    number = await town.sent(form)
    assert (await town.allows("head", number)).startswith("Open now, until")
    await town.mail("clerk", number, "Allowed until")
    await town.clerk.sees(SHOP, AT_LUNCH)

    town.clock.advance(timedelta(minutes=35))
    await town.clerk.is_open(SHOP)
    await town.gardener.sees(SHOP, AT_LUNCH)

    town.clock.advance(timedelta(minutes=45))
    await town.clerk.sees(SHOP, AT_LUNCH)
    yield
    town.clock.advance(timedelta(minutes=35))
    await town.clerk.sees(SHOP, AT_LUNCH)


async def emergency_access(town: TwoDepartments) -> AsyncIterator[None]:
    """The clerk opens a site at once, for an hour; all hear of it, another looks at it the next day."""
    await town.clerk.sees(CARDS, BLOCKED)
    form = await town.office_of("clerk")
    await form.goto(town.admin("/requests"))
    await form.get_by_role("link", name="Emergency access").click()
    assert "The site opens for you at once, for one hour." in await text_of(form)
    await form.get_by_label("Which site?").fill(CARDS)
    await form.get_by_label("What do you need it for?").fill("A caller reports a threat made there.")
    await form.get_by_role("button", name="Open it now").click()
    await form.wait_for_url(re.compile(r"/requests/\d+$"))
    number = f"REQ-{form.url.rpartition('/')[2]}"
    await town.clerk.is_open(CARDS)
    await town.gardener.sees(CARDS, BLOCKED)
    for person in ("head", "it", "administrator"):
        await town.mail(person, number, "Emergency access, until")

    town.clock.advance(timedelta(hours=1))
    await town.clerk.sees(CARDS, BLOCKED)
    administrator = await town.office_of("administrator")
    await administrator.goto(town.admin("/decide"))
    assert CARDS not in await text_of(administrator)
    yield
    administrator = await town.office_of("administrator")
    await administrator.goto(town.admin("/decide"))
    await administrator.get_by_role("link", name=CARDS).click()
    await administrator.get_by_text("It was right", exact=True).click()
    await administrator.get_by_label("Why?").fill("Nobody else was there to ask.")
    await administrator.get_by_role("button", name="Send answer").click()
    await town.mail("clerk", number, "Your emergency access: it was right")
    clerk = await town.office_of("clerk")
    await clerk.goto(town.admin(f"/requests/{number.removeprefix('REQ-')}"))
    assert "Nobody else was there to ask." in await text_of(clerk)
    await town.clerk.sees(CARDS, BLOCKED)


async def social_media(town: TwoDepartments) -> AsyncIterator[None]:
    """Finance's officer proposes the clerk; head and administrator agree, she signs, and may read."""
    await town.clerk.sees(SOCIAL, BLOCKED)
    form = await town.office_of(OFFICER)
    await form.goto(town.admin("/social-media"))
    await form.get_by_role("link", name="Propose someone").click()
    await form.get_by_label("Who", exact=True).select_option("clerk")
    await form.get_by_label("Which sites?").fill(SOCIAL)
    await form.get_by_text("To read: posting, comments and uploads are off").click()
    await form.get_by_label("Last day").fill(town.today.isoformat())
    await form.get_by_label("What do they need it for?").fill("She reads what people ask of the tax office.")
    number = await town.sent(form)
    assert await town.allows("head", number) == "Your answer is recorded"
    assert await town.allows("administrator", number) == "Approved, the terms are to be signed"
    await town.clerk.sees(SOCIAL, BLOCKED)

    terms = await town.office_of("clerk")
    await terms.goto(link_in(await town.mail("clerk", number, "Approved, waiting for your signature")))
    assert await heading(terms) == "Terms of social media use"
    assert "I write for the town, never for myself." in await text_of(terms)
    await terms.get_by_text("I have read, understand and will comply").click()
    await terms.get_by_role("button", name="Sign as Clara Reyes").click()
    await town.mail("clerk", number, "Allowed until")

    page = await town.clerk.sees(SOCIAL, f"You can read {SOCIAL}")
    await page.get_by_role("button", name="Continue").click()
    await town.clerk.is_open(SOCIAL)
    await page.evaluate("document.body.innerHTML = '<form method=post action=/comment><button>Post'")
    await page.get_by_role("button", name="Post").click()
    await page.get_by_role("heading", name="Posting, comments and uploads are off here").wait_for()
    await town.gardener.sees(SOCIAL, BLOCKED)
    yield
    await town.clerk.sees(SOCIAL, BLOCKED)
    register = await town.office_of(OFFICER)
    await register.goto(town.admin("/social-media"))
    assert "Nobody is authorised now." in await text_of(register)


async def internet_account(town: TwoDepartments) -> AsyncIterator[None]:
    """Finance's contractor has no access until head and IT agree, and none after the last day."""
    await town.surveyor.sees(LIBRARY, NO_ACCOUNT)
    form = await town.office_of("head")
    await form.goto(town.admin("/decide"))
    await form.get_by_role("link", name="Ask for an internet account").click()
    await form.get_by_label("For whom?").select_option("surveyor")
    await form.get_by_label("Whom do they work for?").fill("Reed Surveying")
    await form.get_by_label("Who in the town answers for them?").select_option("clerk")
    await form.get_by_label("Last day").fill(town.today.isoformat())
    await form.get_by_label("What do they need it for?").fill("Measures the town hall.")
    number = await town.sent(form)
    await town.surveyor.sees(LIBRARY, NO_ACCOUNT)

    assert (await town.allows("it", number)).startswith("Open now, until")
    await town.mail("surveyor", number, "Allowed until")
    await town.surveyor.is_open(LIBRARY)
    await town.surveyor.sees(CARDS, BLOCKED)
    await town.mower.sees(LIBRARY, NO_ACCOUNT)
    yield
    await town.surveyor.sees(LIBRARY, NO_ACCOUNT)


async def device_of_ones_own(town: TwoDepartments) -> AsyncIterator[None]:
    """The clerk's tablet is known as hers, once head and IT have agreed, until the last day is over."""
    await town.tablet.sees(LIBRARY, NOT_KNOWN)
    form = await town.office_of("clerk")
    await form.goto(town.admin("/requests"))
    await form.get_by_text("Ask for something else").click()
    await form.get_by_role("link", name="A device of your own").click()
    await form.get_by_label("Name of the device").fill("CLERK-TABLET")
    await form.get_by_label("Its IP address").fill(town.tablets_address)
    await form.get_by_label("Last day").fill(town.today.isoformat())
    await form.get_by_label("What do you need it for?").fill("I read the plans in the field.")
    number = await town.sent(form)
    assert await town.allows("head", number) == "Your answer is recorded"
    await town.tablet.sees(LIBRARY, NOT_KNOWN)
    assert (await town.allows("it", number)).startswith("Open now, until")
    await town.mail("clerk", number, "Allowed until")

    await town.tablet.is_open(LIBRARY)
    page = await town.tablet.sees(CARDS, BLOCKED)
    await page.get_by_text("Details for the help desk").click()
    assert "Clara Reyes, Finance" in await text_of(page)
    await town.strange_tablet.sees(LIBRARY, NOT_KNOWN)
    yield
    await town.tablet.sees(LIBRARY, NOT_KNOWN)


async def program_to_download(town: TwoDepartments) -> AsyncIterator[None]:
    """A program is stopped by a limit that asks; head and IT allow one download, and the clerk loads it."""
    page = await town.clerk.sees(SETUP, "This download is blocked")
    await page.get_by_role("link", name="Ask for this download").click()
    assert await heading(page) == f"Ask for downloads from {TOOLS}"
    number = await _ask_for_downloads(town, page, "once")
    assert await town.allows("head", number) == "Your answer is recorded"
    await town.clerk.sees(SETUP, "This download is blocked")
    assert (await town.allows("it", number)).startswith("Open now, until")
    await town.mail("clerk", number, "Allowed until")

    assert await town.clerk.loads(SETUP) == PROGRAM
    await town.clerk.sees(f"{SETUP}?version=2", "This download is blocked")
    assert await town.clerk.loads(SETUP) == PROGRAM
    await town.gardener.sees(SETUP, "This download is blocked")
    mine = await town.office_of("clerk")
    await town.shows(mine, "/requests", mine.locator("li.card", has_text=TOOLS).get_by_text("Used"))
    yield
    town.clock.advance(timedelta(hours=4))
    await town.clerk.sees(SETUP, "This download is blocked")


async def large_download(town: TwoDepartments) -> AsyncIterator[None]:
    """A large file is cut off on its way, where no page can say so; the page that lists it leads on."""
    await town.clerk.is_cut_off(MAPS)
    page = await town.office_of("clerk")
    card = page.locator("li.card", has_text=LIBRARY).first
    await town.shows(page, "/stopped", card)
    assert "Over a limit of the town" in await card.inner_text()
    await card.get_by_role("button", name="Ask").click()
    assert await heading(page) == f"Ask for downloads from {LIBRARY}"
    number = await _ask_for_downloads(town, page, "today")
    assert await town.allows("head", number) == "Your answer is recorded"
    await town.clerk.is_cut_off(MAPS)
    assert (await town.allows("it", number)).startswith("Open now, until")
    await town.mail("clerk", number, "Allowed until")

    assert len(await town.clerk.loads(MAPS)) == MAPS_BYTES
    await town.gardener.is_cut_off(MAPS)
    yield
    await town.clerk.is_cut_off(MAPS)


async def standing_permission(town: TwoDepartments) -> AsyncIterator[None]:
    """Parks holds access for a case, with its number, and Finance does not."""
    await town.gardener.sees(DRUGS, BLOCKED)
    form = await town.office_of("parks-head")
    await form.goto(town.admin("/requests"))
    await form.get_by_text("Ask for something else").click()
    await form.get_by_role("link", name="A standing permission").click()
    await form.get_by_label("Case number").fill("PRK-2026-031")
    await form.get_by_text("Or categories of sites").click()
    await form.get_by_text("Drugs", exact=True).click()
    await form.get_by_label("Last day").fill(town.today.isoformat())
    await form.get_by_label("What do you need it for?").fill("Something is sold at the pond.")
    number = await town.sent(form)
    assert (await town.allows("administrator", number)).startswith("Open now, until")
    await town.mail("parks-head", number, "Allowed until")

    await town.gardener.is_open(DRUGS)
    await town.clerk.sees(DRUGS, BLOCKED)
    it = await town.office_of("it")
    await it.goto(town.admin("/exemptions"))
    assert "PRK-2026-031" in await text_of(it)
    yield
    await town.gardener.sees(DRUGS, BLOCKED)


async def prohibited_site_by_accident(town: TwoDepartments) -> AsyncIterator[None]:
    """Somebody in each department comes to a prohibited site by accident; IT answers both at once."""
    for number, desk, head in (("REP-1", town.clerk, "head"), ("REP-2", town.gardener, "parks-head")):
        page = await desk.sees(ADULT, BLOCKED)
        await page.get_by_role("link", name="I came here by accident").click()
        await page.get_by_role("button", name="Tell my department head and IT").click()
        assert await heading(page) == "Thank you. The visit is marked Reported."
        for person in (head, "it"):
            await town.mail(person, number, "a site opened by accident")
    it = await town.office_of("it")
    await it.goto(town.admin("/review"))
    card = it.locator("li.card", has_text=ADULT)
    assert "Finance" in await card.inner_text() and "Parks and Recreation" in await card.inner_text()
    await card.get_by_role("button", name="No problem").click()
    assert "Done" in await text_of(it)
    for person, number in (("clerk", "REP-1"), ("gardener", "REP-2")):
        await town.mail(person, number, "")
    yield
    for desk in (town.clerk, town.gardener):
        await desk.sees(ADULT, BLOCKED)


async def _ask_for_downloads(town: TwoDepartments, page: Page, duration: str) -> str:
    await page.get_by_label("What do you need it for?").fill("It reads the old maps.")
    await page.locator(f"label[for=duration-{duration}]").click()
    return await town.sent(page)


JOURNEYS: tuple[Callable[[TwoDepartments], AsyncIterator[None]], ...] = (
    personal_use,
    emergency_access,
    social_media,
    internet_account,
    device_of_ones_own,
    program_to_download,
    large_download,
    standing_permission,
    prohibited_site_by_accident,
)
