"""A head on a phone: from the mail to the decision in three taps, and never by the mail itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Locator, Page, Route, expect

from admin.asking import State
from admin.outbox import Channel
from tests import people
from tests.admin.letters.test_wording import html_of
from tests.admin.web.conftest import PASSWORD, Site
from tests.admin.web.mailed_site import with_mail
from tests.browsing import StartBrowser
from tests.post_office import post_office

WEBMAIL = "http://webmail.town.example/"


@dataclass
class Phone:
    """A head's phone with the mail open in its browser, on another site than ours."""

    page: Page
    taps: int = 0

    async def tap(self, what: Locator) -> None:
        self.taps += 1
        await what.tap()


@pytest.fixture
async def phone(site: Site, browser: StartBrowser) -> AsyncIterator[Phone]:
    async with post_office() as office:
        await with_mail(site, office)
        await site.sent_request()
        await site.until(lambda: bool(office.messages))
        mail = next(m for m in office.messages if m["To"].addresses[0].username == people.HEAD)

    async def give(route: Route) -> None:
        await route.fulfill(content_type="text/html; charset=utf-8", body=html_of(mail))

    context = await (await browser()).new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    await page.route(WEBMAIL, give)
    yield Phone(page)


async def state(site: Site) -> str:
    row = await site.admin.db.fetch_one("SELECT state FROM access_request")
    return row["state"] if row else ""


async def allow(site: Site, phone: Phone) -> None:
    await phone.tap(phone.page.get_by_role("button", name="Allow until"))
    await expect(phone.page.locator("h1")).to_contain_text("Open now, until")
    assert await state(site) == State.APPROVED.value
    assert phone.taps <= 3
    assert (await site.admin.correspondence.depth(Channel.MAIL)).failed == 0


async def test_a_head_who_is_signed_in_allows_in_two_taps(site: Site, phone: Phone) -> None:
    await site.give_password(people.HEAD)
    await phone.page.goto(f"{site.url}/sign-in")
    await phone.page.get_by_label("Name").fill(people.HEAD)
    await phone.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await phone.page.get_by_role("button", name="Sign in").click()
    await phone.page.goto(WEBMAIL)
    await phone.tap(phone.page.get_by_role("link", name="Open the request"))
    await expect(phone.page.locator("h1")).to_have_text("Allow cardroom.example for Clerk?")
    assert await state(site) == State.SUBMITTED.value
    await allow(site, phone)
    assert phone.taps == 2


async def test_a_head_whose_phone_fills_in_the_password_allows_in_three_taps(
    site: Site, phone: Phone
) -> None:
    await site.give_password(people.HEAD)
    await phone.page.goto(WEBMAIL)
    await phone.tap(phone.page.get_by_role("link", name="Open the request"))
    # What a phone does by itself.
    await phone.page.get_by_label("Name").fill(people.HEAD)
    await phone.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await phone.tap(phone.page.get_by_role("button", name="Sign in"))
    await expect(phone.page.locator("h1")).to_have_text("Allow cardroom.example for Clerk?")
    await allow(site, phone)
    assert phone.taps == 3
