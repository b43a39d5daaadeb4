"""A day and a morning in the demo town, with two departments at their desks, each in a browser of its own.

Everything is real: the town's processes, Chromium at every desk, an SMTP server. Only the wall clock of the
town's processes is moved.
"""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as wall_time
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, BrowserContext, Download, Error, Locator, Page
from playwright.async_api import TimeoutError as LateError

from admin.demo_web import demo_web
from admin.first_start import demo_policy
from admin.state_folder import StateFolder
from tests.browsing import StartBrowser
from tests.faked_clock import FakedClock
from tests.journeys.steps import PHONE, Patience, heading, link_in, sign_in
from tests.post_office import PostOffice, post_office
from tests.recording_origin import RecordingOrigin
from tests.running_town import RunningTown, running_town
from tests.workstations import cable, own_address

ZONE = ZoneInfo("America/New_York")
OPENS_AT = wall_time(9)
_SIGNED_IN_FOR = timedelta(hours=1)

LIBRARY, SHOP, CARDS = "library.example", "shop.example", "cardroom.example"
SOCIAL, DRUGS, ADULT, TOOLS = "social.example", "drugs.example", "adult.example", "tools.example"
SETUP = f"http://{TOOLS}/setup.exe"
PROGRAM = b"MZ" + bytes(998)
MAPS_BYTES = 4_000_000
MAPS = f"https://{LIBRARY}/big?bytes={MAPS_BYTES}"

BLOCKED = "This site is blocked"
AT_LUNCH = "Opens at 12 PM today"
NO_ACCOUNT = "You have no internet account yet"
NOT_KNOWN = "This computer is not known yet"

OFFICER = "officer"
OFFICERS_PASSWORD = "a lane with three oaks"
PEOPLE = """\
people:
  officer: {name: Cora Lane, mail: officer@town.example, department: finance}
  surveyor: {name: Sam Reed, mail: surveyor@town.example, department: finance, kind: contractor}
  gardener: {name: Gil Ramos, mail: gardener@town.example, department: parks}
  mower: {name: Mia Roth, mail: mower@town.example, department: parks, kind: contractor}
"""
CLERKS_DESK, GARDENERS_DESK = "127.0.0.1", "127.0.0.2"
SURVEYORS_DESK, MOWERS_DESK, NOBODYS_DESK = "127.0.0.3", "127.0.0.4", "127.0.0.9"
DEVICES = f"""\
devices:
  {GARDENERS_DESK}: {{name: PRK-PC-02, person: gardener}}
  {SURVEYORS_DESK}: {{name: FIN-PC-16, person: surveyor}}
  {MOWERS_DESK}: {{name: PRK-PC-03, person: mower}}
"""
LIMITS_AND_ASKING = """
limits:
  - {id: programs, file_types: [executable], action: ask, approval: [department_head, it_security]}
  - {id: large, larger_than: 2MB, action: ask, approval: [department_head, it_security]}
asking:
  personal_use: {categories: [shopping, sports], longest: 2h}
  social_media:
    coordinators: {finance: officer}
    terms: |
      I write for the town, never for myself.
  internet_account: {required_for: [contractors]}
  own_device: {}
  standing_permission: {departments: [parks]}
  emergency_access: {people: [clerk], reviewed_by: town_administrator}
"""


def policy() -> str:
    """Return the demo town's policy with more desks, and every kind of request."""
    text = demo_policy().replace("people:\n", PEOPLE, 1)
    text = re.sub(r"^devices:.*\n", lambda _: DEVICES, text, count=1, flags=re.MULTILINE)
    return text + LIMITS_AND_ASKING


class Desk:
    """A workstation, seen by whoever sits there."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._page: Page | None = None

    async def visit(self, where: str) -> Page:
        """Open an address, or a site's first page; again where its connection has just been closed."""
        url = where if "://" in where else f"https://{where}/"
        self._page = self._page or await self._context.new_page()
        patience = Patience()
        while True:
            try:
                # Chromium may wait for ever for the rest of a page whose tunnel was closed in its middle.
                await self._page.goto(url, timeout=5000)
            except Error:
                await patience.wait(f"{url} does not load")
                continue
            return self._page

    async def sees(self, where: str, says: str) -> Page:
        """Open it until its heading is this, which it soon is; return the page."""
        patience = Patience()
        while (seen := await heading(page := await self.visit(where))) != says:
            await patience.wait(f"{where} says {seen!r}, not {says!r}")
        return page

    async def is_open(self, host: str) -> Page:
        """Open a site until it opens: those of the demo's web are headed by their names."""
        return await self.sees(host, host)

    async def loads(self, url: str) -> bytes:
        """Open the address of a file until it is saved; return what was."""
        patience = Patience()
        while (begun := await self._download(url)) is None or await begun.failure():
            await patience.wait(f"{url} is not downloaded")
        return (await begun.path()).read_bytes()

    async def is_cut_off(self, url: str) -> None:
        """Open the address of a file until it is cut off on its way."""
        patience = Patience()
        while (begun := await self._download(url)) is None or not await begun.failure():
            await patience.wait(f"{url} is not cut off")

    async def _download(self, url: str) -> Download | None:
        """Open an address; return the download that begins, if one does."""
        page = self._page = self._page or await self._context.new_page()
        try:
            async with page.expect_download(timeout=5000) as begun:
                # To Chromium a download is a page that was not loaded.
                with suppress(Error):
                    await page.goto(url, timeout=5000)
            return await begun.value
        except LateError:
            return None


@dataclass
class TwoDepartments:
    """The town, who sits where in Finance and in Parks, and the offices where is decided."""

    town: RunningTown
    clock: FakedClock
    office: PostOffice
    elsewhere: Browser
    clerk: Desk
    surveyor: Desk
    gardener: Desk
    mower: Desk
    tablet: Desk
    """Of the clerk's own, in the town's network."""
    tablets_address: str
    strange_tablet: Desk
    origin: RecordingOrigin
    _offices: dict[str, tuple[Page, datetime]] = field(default_factory=dict)
    """Who signed in where, and when."""

    @property
    def today(self) -> date:
        """The town's date."""
        return self.clock.now().astimezone(ZONE).date()

    def admin(self, path: str) -> str:
        """Return the address of a page of the admin site."""
        return f"http://{self.town.admin}{path}"

    async def office_of(self, person: str) -> Page:
        """Return a person's own browser, signed in; anew after an hour, as sessions end unused."""
        page, signed_in_at = self._offices.get(person, (None, self.clock.now()))
        if page is None or self.clock.now() - signed_in_at > _SIGNED_IN_FOR:
            page = page or await (await self.elsewhere.new_context(viewport=PHONE)).new_page()
            await page.context.clear_cookies()
            await sign_in(page, self.town, person)
            # A phone has it in its menu, which is closed.
            await page.locator("button", has_text="Sign out").first.wait_for(state="attached")
            self._offices[person] = page, self.clock.now()
        return page

    async def shows(self, page: Page, path: str, what: Locator) -> None:
        """Open a page of the admin site until this is on it: visits take a moment to get there."""
        patience = Patience()
        await page.goto(self.admin(path))
        while not await what.count():
            await patience.wait(f"{path} does not show {what}")
            await page.reload()

    async def sent(self, page: Page) -> str:
        """Press the button of a form that asks; return the request's number."""
        await page.get_by_role("button", name=re.compile("Send (request|proposal)")).click()
        lead = page.locator(".lead")
        await lead.wait_for()
        assert await heading(page) == "Request sent"
        found = re.match(r"REQ-\d+", await lead.inner_text())
        assert found is not None
        return found[0]

    async def allows(self, person: str, number: str) -> str:
        """Follow the mail that asks a person to decide, and allow it; return what the page says then."""
        mail = await self.mail(person, number, "a web request, by")
        page = await self.office_of(person)
        await page.goto(link_in(mail))
        await page.get_by_role("button", name="Allow until").click()
        await page.wait_for_url("**/done")
        return await heading(page)

    async def mail(self, person: str, number: str, says: str) -> EmailMessage:
        """Return the person's mail about a request whose subject says this, once it has come."""

        def found() -> EmailMessage | None:
            letters = zip(self.office.recipients, self.office.messages, strict=True)
            return next(
                (
                    mail
                    for who, mail in letters
                    if who == f"{person}@town.example"
                    # A long subject begins on a line of its own.
                    and mail["Subject"].strip().startswith(f"[{number}]")
                    and says in mail["Subject"]
                ),
                None,
            )

        patience = Patience()
        while (mail := found()) is None:
            await patience.wait(f"no mail to {person}, {number} {says}: {self.office.subjects}")
        return mail

    def night_passes(self) -> None:
        """Go on to the next morning."""
        self.clock.set_to(_morning_of(self.today + timedelta(days=1)))


@asynccontextmanager
async def two_departments(
    browser: StartBrowser, clock: FakedClock, folder: Path
) -> AsyncIterator[TwoDepartments]:
    """Open the town at nine on its last Monday to Thursday: the next day is one of business, too."""
    clock.set_to(_morning_of(_last_day_before_another(clock.now())))
    origin = RecordingOrigin(folder, [TOOLS], {"/setup.exe": _file(PROGRAM)})
    async with AsyncExitStack() as stack:
        stack.callback(origin.close)
        web = await stack.enter_async_context(demo_web(folder / "web", [LIBRARY, SHOP, CARDS, SOCIAL, DRUGS]))
        office = await stack.enter_async_context(post_office())
        hosts = web.hosts_file(folder / "hosts")
        hosts.write_text(hosts.read_text() + origin.hosts_lines())
        town = await stack.enter_async_context(
            running_town(folder / "state", "--demo", "--hosts", str(hosts), environment=clock.environment)
        )
        (town.state / "settings.yaml").write_text(
            f'mail: {{server: "smtp://127.0.0.1:{office.port}", from: gate@town.example, starttls: never}}\n'
            "lists: {sources: {}}\n"
        )
        (town.state / "policy.yaml").write_text(policy())
        # What is opened to be read alone must prove to the proxy who it is.
        shutil.copyfile(web.ca_certificate, StateFolder(town.state).extra_roots)
        chromium = await browser(trusts=[town.town_ca, web.ca_certificate])

        async def desk(address: str) -> Desk:
            server = await stack.enter_async_context(cable(address, town.proxy))
            return Desk(await chromium.new_context(proxy={"server": f"http://{server}"}))

        tablets_address = stack.enter_context(own_address())
        departments = TwoDepartments(
            town,
            clock,
            office,
            chromium,
            clerk=await desk(CLERKS_DESK),
            surveyor=await desk(SURVEYORS_DESK),
            gardener=await desk(GARDENERS_DESK),
            mower=await desk(MOWERS_DESK),
            tablet=await desk(tablets_address),
            tablets_address=tablets_address,
            strange_tablet=await desk(NOBODYS_DESK),
            origin=origin,
        )
        # The policy is in force, then, in the proxy and for the offices.
        await departments.surveyor.sees(LIBRARY, NO_ACCOUNT)
        await _give_password(town, OFFICER, OFFICERS_PASSWORD)
        yield departments


async def _give_password(town: RunningTown, person: str, password: str) -> None:
    code, output, errors = await town.command("password", "set", person, "--stdin", stdin=f"{password}\n")
    assert code == 0, output + errors
    town.passwords[person] = password


def _morning_of(day: date) -> datetime:
    return datetime.combine(day, OPENS_AT, tzinfo=ZONE)


def _last_day_before_another(now: datetime) -> date:
    """Return the last Monday to Thursday, today included.

    A certificate of the proxy's is good from two days before the day it is made until five days after,
    and the browser has the clock of this machine: from such a day on it takes both days' certificates.
    """
    day = now.astimezone(ZONE).date()
    while day.weekday() > 3:
        day -= timedelta(days=1)
    return day


def _file(content: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
