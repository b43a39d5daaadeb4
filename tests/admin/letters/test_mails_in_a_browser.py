"""The mails as they are read: on a phone and wider, light and dark, looked over by axe."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from admin.database import Database
from tests.admin.letters.test_delivery import Sending
from tests.admin.letters.test_wording import LATER, every_mail, html_of
from tests.browsing import StartBrowser, violations
from tests.post_office import post_office


async def test_every_mail_is_clean_on_a_phone_and_wider_light_and_dark(
    db: Database, browser: StartBrowser, screenshots: Path, request: pytest.FixtureRequest
) -> None:
    async with post_office() as office:
        sending = Sending(db, office)
        sending.clock.at = LATER
        mails = {mail["Subject"]: html_of(mail) for mail in await every_mail(sending)}
    page = await (await browser()).new_page()
    keep = screenshots if request.config.getoption("--screenshots") is not None else None
    wrong = []
    for number, (subject, html) in enumerate(mails.items()):
        await page.set_content(html)
        wrong += [f"{subject}: {found}" for found in await _wrong(page, number, keep)]
    assert not wrong, "\n".join(wrong)


async def _wrong(page: Page, number: int, keep: Path | None) -> list[str]:
    wrong = []
    for width in (680, 360):
        await page.set_viewport_size({"width": width, "height": 640})
        needed = await page.evaluate("document.documentElement.scrollWidth")
        if needed > width:
            wrong.append(f"at {width} px: needs {needed}")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            # All are of one template: half of them in the dark.
            if width == 360 and (scheme == "dark") is (number % 2 == 1):
                wrong += [f"{scheme}: {found}" for found in await violations(page)]
            if keep is not None:
                await page.screenshot(path=keep / f"mail-{number:02}-{scheme}-{width}.png", full_page=True)
    return wrong
