"""Steps that the journeys have in common."""

import asyncio
import re
import time
from email.message import EmailMessage

from playwright.async_api import Error, Page, Response, ViewportSize

from tests.running_town import RunningTown

PHONE: ViewportSize = {"width": 360, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
TOWN_ISSUER = "Town of Exampleton web access CA"


class Patience:
    """Half a minute, from when it is made, for what comes soon."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + 30

    async def wait(self, otherwise: str) -> None:
        """Wait a moment before looking again. Raises AssertionError, with these words, when time is up."""
        assert time.monotonic() < self._ends_at, otherwise
        await asyncio.sleep(0.05)


async def sign_in(page: Page, town: RunningTown, person: str) -> None:
    """Sign in with the password that the demo town printed."""
    await page.goto(f"http://{town.admin}/sign-in")
    await page.get_by_label("Name").fill(person)
    await page.get_by_label("Password", exact=True).fill(town.passwords[person])
    await page.get_by_role("button", name="Sign in").click()


async def visit(page: Page, host: str) -> Response:
    """Open a site's first page."""
    response = await page.goto(f"https://{host}/")
    assert response is not None
    return response


async def visit_until(page: Page, host: str, status: int) -> None:
    """Open a site's first page until it answers so: a connection that the browser kept may end first."""
    patience = Patience()
    seen: int | None = None
    while seen != status:
        try:
            # Chromium may wait for ever for the rest of a page whose tunnel was closed in its middle.
            response = await page.goto(f"https://{host}/", timeout=5000)
        except Error:
            response = None
        seen = response.status if response is not None else None
        if seen != status:
            await patience.wait(f"{host} answers {seen}, not {status}")


async def reload_until(page: Page, said: str) -> None:
    """Reload a page until it says so; where it never does, what it says instead is told."""
    patience = Patience()
    while said not in (seen := " ".join((await page.locator("body").inner_text()).split())):
        await patience.wait(f"the page says “{seen[:300]}”, not “{said}”")
        await page.reload()


async def heading(page: Page) -> str:
    """Return the page's heading, its spaces plain."""
    return " ".join((await page.locator("h1").inner_text()).split())


async def text_of(page: Page) -> str:
    """Return what the page's own part says, its spaces plain."""
    return " ".join((await page.locator("main").inner_text()).split())


async def issuer(response: Response) -> str:
    """Return who vouched for the site, as the browser has it."""
    details = await response.security_details()
    assert details is not None
    return str(details["issuer"])


def link_in(mail: EmailMessage) -> str:
    """Return the one link of a mail to the admin site."""
    html = mail.get_body(("html",))
    assert html is not None
    links = set(re.findall(r'href="(http[^"]+)"', html.get_content()))
    assert len(links) == 1, links
    return links.pop()
