"""Every page in a real browser: light and dark, wide and on a phone, looked over by axe."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Route, ViewportSize

from admin import password_resets, visit_export
from admin.api_tokens import Scope
from admin.corrections import correct
from admin.web import long_questions
from policy.decision import Cause, Lane, Verdict
from policy.page_access import MAX_PATH_LENGTH
from policy.town_policy import AfterApproval
from tests import people
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.admin.web.mailed_site import with_mail, with_settings
from tests.admin.web.test_about_pages import NEVER, OPENING
from tests.admin.web.test_deciding_several import confirm
from tests.admin.web.test_download_reminders import with_limit as with_hours
from tests.admin.web.test_heavy_page import DOWNLOAD, tell, updates
from tests.admin.web.test_inspection_answers import failed, with_social_read, with_social_read_of
from tests.admin.web.test_internet_accounts import ASK, FOR_TEMP, requiring
from tests.admin.web.test_limit_pages import stopped as stopped_by_limit
from tests.admin.web.test_limit_pages import with_limits
from tests.admin.web.test_list_pages import with_list
from tests.admin.web.test_long_questions import ENDLESS, ENDLESS_EXPORT, endless
from tests.admin.web.test_notice_pages import LATER, NOTICE, stopped, with_notice
from tests.admin.web.test_records_page import cut_off
from tests.admin.web.test_social_media import FORM, PROPOSAL, allow, authorising, version_of
from tests.admin.web.test_tokens_page import sent
from tests.browsing import StartBrowser, violations
from tests.openid.browsing import with_town_accounts
from tests.post_office import Day, post_office

pytestmark = pytest.mark.long

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 640}
LONG_HOST = ("a-very-long-label-that-never-ends." * 8)[:240] + ".example"
LONG_ADDRESS = f"https://cardroom.example/{'x' * 1900}"


class Look:
    """Opens pages and notes what is wrong with them."""

    def __init__(
        self, context: BrowserContext, page: Page, site: Site, screenshots: Path, *, keeps_screenshots: bool
    ) -> None:
        self.context = context
        self.page = page
        self.site = site
        self.screenshots = screenshots
        self.keeps_screenshots = keeps_screenshots
        self.wrong: list[str] = []
        self.is_new = True
        page.on("console", self._heed)

    def _heed(self, said: ConsoleMessage) -> None:
        # An error page's own status is named there, too; `at` looks at that.
        if said.type == "error" and not said.text.startswith("Failed to load resource: the server responded"):
            self.wrong.append(f"console: {said.text}")

    async def use(self, client: httpx.AsyncClient) -> None:
        """Go on in another browser's session."""
        host = urlsplit(self.site.url).hostname
        await self.context.clear_cookies()
        await self.context.add_cookies(
            [
                {"name": c.name, "value": c.value or "", "domain": host, "path": "/"}
                for c in client.cookies.jar
            ]
        )

    async def at(self, name: str, path: str, status: int = 200) -> None:
        """Look at one page in every way."""
        page = self.page
        await page.set_viewport_size(DESKTOP)
        answer = await page.goto(self.site.url + path)
        assert answer is not None
        if answer.status != status:
            self.wrong.append(f"{path}: answered {answer.status}, not {status}")
        heading = await page.locator("h1").all_inner_texts()
        title = await page.title()
        if len(heading) != 1 or " ".join(heading[0].split()) not in " ".join(title.split()):
            self.wrong.append(f"{path}: heading {heading}, title {title!r}")
        for size in (DESKTOP, PHONE):
            await page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                self.wrong += [
                    f"{path} {scheme} {size['width']}: {found}"
                    for found in await self._violations(size, scheme)
                ]
                if self.keeps_screenshots:
                    file = self.screenshots / f"{name}-{scheme}-{size['width']}.png"
                    await page.screenshot(path=file, full_page=True)
        for width in (360, 320):
            await page.set_viewport_size({"width": width, "height": 640})
            needed = await page.evaluate("document.documentElement.scrollWidth")
            # The stock style hides what overflows the body: it is looked for element by element.
            cut = await page.evaluate(_CUT_ELEMENTS)
            if needed > width or cut:
                self.wrong.append(f"{path} at {width} px: needs {needed} px; cut: {cut}")

    async def _violations(self, size: ViewportSize, scheme: str) -> list[str]:
        """Return what axe finds by the rules for which this is not as it has seen it already.

        A phone has what a desktop has, in the same colours, as long as it shows nothing else and nothing
        otherwise.
        """
        if scheme == "light":
            self.is_new = await self.page.evaluate(_IS_NEW, size is DESKTOP)
        if not self.is_new:
            return []
        return await violations(self.page, "all" if scheme == "light" else "colours")

    async def answered(self, name: str, answer: httpx.Response) -> None:
        """Look at the page that a form was answered with."""
        path = f"/answered/{name}"
        html, status = answer.text, answer.status_code

        async def give(route: Route) -> None:
            await route.fulfill(status=status, content_type="text/html; charset=utf-8", body=html)

        await self.page.route(self.site.url + path, give)
        await self.at(name, path, status)


_CUT_ELEMENTS = """() => [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        && e.checkVisibility() && !e.closest(".usa-sr-only, .usa-skipnav, thead"))
    .map((e) => e.outerHTML.slice(0, 80))"""

# Whether an element is seen that was not seen, or not in these colours, when this was asked at first.
# Of its size only what decides which contrast is enough: 24 px, or bold and 18.66 px (WCAG 2.2, 1.4.3).
_IS_NEW = """(isFirst) => {
    const colours = (element) => {
        const style = getComputedStyle(element), pixels = parseFloat(style.fontSize);
        const isLarge = pixels >= 24 || (pixels >= 18.66 && style.fontWeight >= 700);
        return [style.color, style.backgroundColor, style.backgroundImage, style.opacity, isLarge].join();
    };
    const isSeen = (element) => {
        const box = element.getBoundingClientRect();
        return element.checkVisibility() && box.width > 1 && box.height > 1 && box.right > 0;
    };
    const seen = [...document.querySelectorAll("*")].filter(isSeen);
    if (isFirst) window.coloursSeen = new Map(seen.map((element) => [element, colours(element)]));
    return isFirst || seen.some((element) => window.coloursSeen.get(element) !== colours(element));
}"""


# The button of a row's menu is beside the site's name.
_MENUS_OFF_THEIR_LINE = """() => [...document.querySelectorAll("#visits tbody tr:not(.log__day)")]
    .filter((row) => {
        const [site, button] = [".site", "summary"].map((s) => row.querySelector(s).getBoundingClientRect());
        return button.top > site.bottom || button.bottom < site.top || button.height < 44;
    })
    .map((row) => row.innerText)"""

# The town's name and all links stand side by side.
_IS_ONE_LINE = """() => {
    const parts = [...document.querySelectorAll(".town-name, .town-nav a, .town-nav button")];
    const boxes = parts.map((part) => part.getBoundingClientRect());
    return boxes.every((box) => boxes.every((other) => box.top < other.bottom));
}"""

# The last tile of each row ends where the row does.
_TILES_SHORT_OF_THEIR_ROW = """() => {
    const list = document.querySelector(".numbers");
    const tiles = [...list.children].map((tile) => tile.getBoundingClientRect());
    const rows = Map.groupBy(tiles, (tile) => Math.round(tile.top));
    const end = list.getBoundingClientRect().right;
    return [...rows.values()].filter((row) => Math.abs(row.at(-1).right - end) > 1).map((row) => row.length);
}"""


@pytest.fixture
async def look(
    browser: StartBrowser, site: Site, screenshots: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Look]:
    """Return a browser to look at pages with; the test fails if one of them was not clean."""
    chromium = await browser()
    context = await chromium.new_context(reduced_motion="reduce")
    keeps_screenshots = request.config.getoption("--screenshots") is not None
    look = Look(context, await context.new_page(), site, screenshots, keeps_screenshots=keeps_screenshots)
    yield look
    assert not look.wrong, "\n".join(look.wrong)


async def test_what_only_a_phone_shows_is_looked_at_too(look: Look) -> None:
    pale = "i { display: none; color: #999 } @media (max-width: 600px) { i { display: inline } }"
    html = (
        f"<html lang=en><title>Hours</title><style>{pale}</style><main><h1>Hours</h1><i>From eight</i></main>"
    )
    await look.answered("hours", httpx.Response(200, html=html))
    wrong, look.wrong = look.wrong, []
    found = [line.rpartition(" at i:")[0] for line in wrong]
    ways = ("light 360", "dark 360")
    assert found == [f"/answered/hours {way}: color-contrast (serious)" for way in ways]


async def test_pages_for_everyone_are_clean(site: Site, look: Look) -> None:
    await look.at("sign-in", "/sign-in")
    await look.at("policy", "/policy")
    await look.at("recorded", "/recorded")
    await look.at("not-found", "/nowhere", 404)
    document = site.state.policy_document
    document.write_text(document.read_text().replace("rules:\n", NEVER + OPENING, 1))
    await site.until(lambda: bool(site.admin.policy.never_inspect_categories))
    await look.at("policy-opening", "/policy")
    await look.at("recorded-opening", "/recorded")
    await look.at("old-link", f"/ask?token={_old_token(site)}", 410)
    await look.at("cut-link", "/ask?token=abc", 400)


async def test_pages_for_an_asker_are_clean(site: Site, look: Look) -> None:
    await site.log(
        visit(), visit(host=LONG_HOST, entry=LONG_HOST), visit(cause=Cause.UNREACHABLE, category=None)
    )
    asker = await site.asking()
    await look.use(asker)
    await look.at("requests-empty", "/requests")
    await look.at("ask", "/ask/K7M-4QP")
    await look.at("stopped", "/stopped")
    await post(
        asker, "/ask/K7M-4QP", reason="I need their charity report.", duration="week", for_whom="person"
    )
    await look.at("sent", "/requests/1/sent")
    await look.at("request-waiting", "/requests/1")
    await _answer(site, 1, "allow")
    await look.at("request-allowed", "/requests/1")
    site.clock.at += timedelta(days=6, hours=12)
    await look.at("request-ends-soon", "/requests/1")
    await look.at("requests", "/requests")


async def test_pages_of_asking_for_one_page_of_a_site_are_clean(site: Site, look: Look) -> None:
    longest = "/" + "w" * (MAX_PATH_LENGTH - 1)
    asker = await site.asking(path=longest)
    await look.use(asker)
    await look.at("ask-page", "/ask/K7M-4QP")
    fields = {"reason": "I need their charity report.", "duration": "week", "for_whom": "person"}
    await look.answered("ask-page-errors", await post(asker, "/ask/K7M-4QP", **fields))
    await post(asker, "/ask/K7M-4QP", **fields, extent="page")
    await look.at("ask-page-sent", "/requests/1/sent")
    await look.at("ask-page-request", "/requests/1")
    head = await site.signed_in(people.HEAD)
    await look.use(head)
    await look.at("ask-page-cards", "/decide")
    await look.at("ask-page-decide", "/decide/1")
    await _answer(site, 1, "allow")
    await look.use(await site.signed_in(people.IT))
    await look.at("ask-page-exemptions", "/exemptions")
    await look.at("ask-page-records", "/records")


async def test_pages_of_questions_that_take_too_long_are_clean(
    site: Site, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.log(visit())
    await look.use(await site.signed_in(people.IT))
    monkeypatch.setattr(visit_export, "MOST_VISITS", 0)
    await look.at("export-too-many", "/visits/export", 422)
    monkeypatch.setattr(long_questions, "MOST_SECONDS", 0.2)
    async with endless(site):
        await look.at("visits-too-long", ENDLESS, 503)
        await look.at("heavy-too-long", "/heavy?span=week", 503)
        await look.at("export-too-long", ENDLESS_EXPORT, 503)


async def test_pages_of_asking_ahead_and_delegating_are_clean(site: Site, look: Look) -> None:
    document = site.state.policy_document
    offered = "asking: {personal_use: {categories: [sports, shopping]}}\n"
    document.write_text(document.read_text() + offered)
    await site.until(lambda: site.admin.policy.asking.personal_use is not None)
    head = await site.signed_in(people.HEAD)
    await look.use(head)
    await look.at("ask-ahead", "/requests/new")
    await look.at("personal-use", "/requests/personal-use")
    await look.answered("personal-use-errors", await post(head, "/requests/personal-use", reason="x"))
    await look.at("delegation", "/delegation")
    days = {"first": "2026-03-06", "last": "2026-03-31"}
    await post(head, "/delegation", department="finance", delegate="parks-head", **days)
    await look.at("delegation-named", "/delegation")
    window = {"day": "2026-03-06", "begins": "15:00", "ends": "16:00", "categories": "sports"}
    await post(head, "/requests/personal-use", **window, reason="A match.")
    administrator = await site.signed_in(people.ADMINISTRATOR)
    await look.use(administrator)
    await look.at("decide-personal-use", "/decide/1")


async def test_pages_of_internet_accounts_are_clean(site: Site, look: Look) -> None:
    await requiring(site)
    head = await site.signed_in(people.HEAD)
    await look.use(head)
    await look.at("account-ask", ASK)
    await look.answered("account-errors", await post(head, ASK, person="temp", reason="x"))
    await post(head, ASK, **FOR_TEMP)
    await look.at("account-sent", "/requests/1/sent")
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("account-decide", "/decide/1")
    await allow(it, 1, 1)
    await look.at("account-decided", "/decide/1/done")
    await look.at("account-allowed", "/requests/1")
    await look.at("account-people", "/people")
    await look.at("account-records", "/records")


async def test_pages_of_social_media_are_clean(site: Site, look: Look) -> None:
    await authorising(site)
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    await look.use(head)
    await look.at("social-media-empty", "/social-media")
    await look.at("social-media-propose", FORM)
    await look.answered("social-media-errors", await post(head, FORM, reason="x"))
    sites = f"facebook.com\n{LONG_HOST}"
    await post(head, FORM, **{**PROPOSAL, "sites": sites, "level": "full", "authorisations": "publish"})
    await look.at("social-media-sent", "/requests/1/sent")
    await look.use(administrator)
    await look.at("social-media-decide", "/decide/1")
    await allow(administrator, 1, 1)
    await look.at("social-media-decided", "/decide/1/done")
    clerk = await site.signed_in(people.CLERK)
    await look.use(clerk)
    await look.at("social-media-to-sign", "/requests/1")
    await look.at("social-media-terms", "/requests/1/terms")
    await look.answered("social-media-terms-errors", await post(clerk, "/requests/1/terms"))
    await post(clerk, "/requests/1/terms", version=await version_of(clerk, 1), agree="yes")
    await look.at("social-media-signed", "/requests/1")
    await look.use(await site.signed_in(people.IT))
    await look.at("social-media-register", "/social-media")


async def test_pages_of_privileges_are_clean(site: Site, look: Look) -> None:
    document = site.state.policy_document
    kinds = (
        "asking:\n  own_device: {}\n  standing_permission: {departments: [finance]}\n"
        "  emergency_access: {people: [head], reviewed_by: it_security}\n"
    )
    document.write_text(document.read_text() + kinds)
    await site.until(lambda: site.admin.policy.asking.own_device is not None)
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    await look.use(head)
    await look.at("my-requests-privileged", "/requests")
    await look.at("emergency-access", "/requests/emergency?site=cardroom.example")
    await look.answered(
        "standing-errors",
        await post(head, "/requests/standing", department="finance", site="x", categories="gambling"),
    )
    await look.answered("device-errors", await post(head, "/requests/device", name="x"))
    await post(head, "/requests/emergency", site="cardroom.example", reason="A threat was made there.")
    await look.at("emergency-access-open", "/requests/1")
    standing = {"department": "finance", "case_number": "2026-104", "last": "2026-08-31", "reason": "A case."}
    await post(head, "/requests/standing", **standing, categories="gambling")
    device = {"name": "HEAD-TABLET", "address": "2001:db8::1234:5678:9abc:def0", "last": "2026-08-31"}
    await post(head, "/requests/device", **device, reason="For site visits.")
    await look.use(administrator)
    await look.at("standing-decide", "/decide/2")
    await look.at("device-decide", "/decide/3")
    it = await site.signed_in(people.IT)
    await allow(administrator, 2, 0)
    await allow(administrator, 3, 0)
    await allow(it, 3, 1)
    site.clock.at += timedelta(days=3)
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("exemptions-privileged", "/exemptions")
    await look.at("emergency-access-to-review", "/decide")
    await look.answered("emergency-review-errors", await post(it, "/decide/1/review", was_right="right"))


async def test_pages_for_a_head_are_clean(site: Site, look: Look) -> None:
    head = await site.signed_in(people.HEAD)
    await look.use(head)
    await look.at("decide-empty", "/decide")
    await site.log(*(visit(FRIDAY_MORNING - timedelta(days=n)) for n in range(6)))
    await site.sent_request()
    both = ("department_head", "it_security")
    await site.sent_request(host=LONG_HOST, code="H7M-4QP", rule=None, approval=both)
    await look.at("decide-list", "/decide")
    await look.at("decide", "/decide/1")
    await look.at("decide-long-host", "/decide/2")
    await _answer(site, 1, "allow")
    await look.at("decided-allowed", "/decide/1/done")
    await _answer(site, 2, "deny")
    await look.at("decided-denied", "/decide/2/done")
    await site.sent_request(people.HEAD, code="J7M-4QP")
    await look.at("not-allowed", "/visits", 403)


async def test_pages_to_decide_several_are_clean(site: Site, look: Look) -> None:
    await site.log(*(visit(FRIDAY_MORNING - timedelta(days=n)) for n in range(6)))
    await site.sent_request(people.HEAD)
    await site.sent_request(people.PARKS_HEAD, department="parks", code="H7M-4QP")
    await site.sent_request(people.HEAD, host=LONG_HOST, code="J7M-4QP")
    both = ("department_head", "it_security")
    await site.sent_request(people.HEAD, host="dice.example", code="N7M-4QP", rule=None, approval=both)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    await look.use(administrator)
    await look.at("decide-list-several", "/decide")
    await look.at("decide-none-chosen", "/decide/several?answer=allow", 422)
    chosen = "request=1+2&request=3&request=4&request=99"
    await look.at("decide-several", f"/decide/several?answer=allow&{chosen}")
    await look.at("decide-several-not", f"/decide/several?answer=deny&{chosen}")
    await look.at("decide-several-none", "/decide/several?answer=allow&request=4")
    shown = await administrator.get(f"/decide/several?answer=allow&{chosen}")
    await post(administrator, "/decide/2", answer="deny", step="0", reason="Not needed for work")
    await look.answered("decide-several-errors", await confirm(administrator, shown, answer="deny"))
    await look.answered("decided-several", await confirm(administrator, shown))


async def test_pages_that_refuse_are_clean(site: Site, look: Look) -> None:
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await look.answered("forged-form", await head.post(f"/decide/{number}", data={"answer": "deny"}))
    await look.answered("bad-request", await head.post("/healthz"))
    await _answer(site, number, "allow")
    again = await post(
        head, f"/decide/{number}", "/decide", answer="deny", reason="Use another site", step="0"
    )
    assert again.status_code == 409
    await look.answered("no-longer-so", again)
    token = site.token(code="S7M-4QP")
    asker = await site.asking(code="H7M-4QP")
    await site.client().get("/ask", params={"token": token})
    await look.answered("used-link", await asker.get("/ask", params={"token": token}))
    await site.sent_request(code="J7M-4QP", host="two.example")
    elsewhere = await site.asking(code="N7M-4QP", host="two.example")
    await look.use(elsewhere)
    await look.at("ask-asked-already", "/ask/N7M-4QP")
    again_there = {"reason": "Again", "duration": "week", "for_whom": "person"}
    asked = await post(elsewhere, "/ask/N7M-4QP", "/wrong-category/N7M-4QP", **again_there)
    await look.answered("asked-already", asked)
    site.clock.at += timedelta(minutes=16)
    await look.answered("not-at-the-device", await asker.get("/stopped"))


async def test_forms_with_errors_are_clean(site: Site, look: Look) -> None:
    number = await site.sent_request()
    asker = await site.asking(code="H7M-4QP", host=LONG_HOST)
    await look.answered("ask-errors", await post(asker, "/ask/H7M-4QP", reason=" ", duration="week"))
    head, it = await site.signed_in(people.HEAD), await site.signed_in(people.IT)
    wrong = await post(site.client(), "/sign-in", name=people.CLERK, password="wrong")
    await look.answered("sign-in-errors", wrong)
    await look.answered("names-errors", await post(it, "/visits/names", reason=""))
    await look.answered("decide-errors", await post(head, f"/decide/{number}", answer="deny", step="0"))
    await _answer(site, number, "allow")
    stop = await post(head, f"/decide/{number}/stop", f"/decide/{number}/done", reason=" ")
    assert stop.status_code == 422
    await look.answered("stop-errors", stop)


async def test_states_and_risks_are_clean(site: Site, look: Look) -> None:
    risky: dict[str, object] = {"host": "phish.example", "category": "phishing", "rule": "security-risk"}
    await site.sent_request(**risky)
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("decide-risk", "/decide/1")
    asker = await site.asking(code="H7M-4QP")
    for code, host in (("H7M-4QP", "one.example"), ("J7M-4QP", "two.example"), ("S7M-4QP", "three.example")):
        token = site.token(code=code, host=host, issued_at=site.clock.at + timedelta(seconds=1))
        assert (await asker.get("/ask", params={"token": token})).status_code == 303
        await post(asker, f"/ask/{code}", reason="For the file.", duration="week", for_whom="person")
    await post(asker, "/requests/2/withdraw", "/requests/2")
    await _answer(site, 3, "allow")
    await post(it, "/decide/3/stop", "/decide/3/done", reason="Now on a list of bad sites.")
    await _answer(site, 4, "allow")
    site.clock.at += timedelta(days=8)
    await look.use(await site.signed_in(people.CLERK))
    await look.at("request-withdrawn", "/requests/2")
    await look.at("request-stopped", "/requests/3")
    await look.at("request-ended", "/requests/4")
    await look.at("requests-states", "/requests")


async def test_pages_for_saying_something_of_a_site_are_clean(site: Site, look: Look) -> None:
    await site.log(visit(code="K7M-4QP"), visit(host=LONG_HOST, code="H7M-4QP"))
    clerk = await site.asking()
    await look.use(clerk)
    await look.at("wrong-category", "/wrong-category/K7M-4QP")
    wrong = await post(clerk, "/wrong-category/K7M-4QP", proposed="gambing", remark="A museum")
    await look.answered("wrong-category-errors", wrong)
    await post(clerk, "/wrong-category/K7M-4QP", proposed="reference", remark="A museum of card games.")
    await look.at("report-wrong-category", "/reports/1")
    await look.at("accident", "/accident/K7M-4QP")
    await post(clerk, "/accident/K7M-4QP")
    await look.at("report-accident", "/reports/2")
    await look.at("stopped-reported", "/stopped")
    other = await site.asking(code="H7M-4QP", host=LONG_HOST)
    await post(other, "/wrong-category/H7M-4QP", proposed="", remark="")
    await post(other, "/accident/H7M-4QP")
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("corrections-empty", "/corrections")
    await look.at("review-reports", "/review")
    empty = await post(it, "/review/reports/1", "/review", answer="keep", note="")
    await look.answered("review-errors", empty)
    await post(it, "/review/reports/3", "/review", answer="keep", note="They play for money there.")
    await post(it, "/review/reports/1", "/review", answer="correct", category="reference")
    await look.at("review-done", "/review?done=1")
    again = await post(it, "/review/reports/1", "/review", answer="keep", note="It is right.")
    await look.answered("answered-meanwhile", again)
    stale = {"site": "cardroom.example", "category": "press", "why": "News"}
    await look.answered("corrected-meanwhile", await post(it, "/corrections", "/review", **stale))
    await look.at("corrections", "/corrections?site=cardroom.example")
    await look.at("corrections-block", "/corrections?site=library.example&to=blocked")
    await look.use(clerk)
    await look.at("report-corrected", "/reports/1")
    await look.at("requests-reports", "/requests")
    await look.use(other)
    await look.at("report-kept", "/reports/3")


async def test_pages_about_programs_that_do_not_trust_the_certificate_are_clean(
    site: Site, look: Look
) -> None:
    await with_social_read(site)
    await with_social_read_of(site, LONG_HOST)
    await site.log(failed(), failed(), *(failed(host=LONG_HOST, device=f"PC-{n}") for n in range(4)))
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("review-untrusting", "/review")
    empty = await post(it, "/review/never-inspect", "/review", host=LONG_HOST, why=" ")
    await look.answered("review-untrusting-error", empty)
    await post(it, "/review/never-inspect", "/review", host="social.example", why="Its app pins.")
    await look.at("review-never-inspected", "/review?inspection=1")
    again = await post(it, "/review/never-inspect", "/review", host="social.example", why="Me too.")
    await look.answered("inspection-answered", again)
    await post(it, "/review/inspect-again", "/review", host="social.example", why="It trusts us now.")
    await look.answered(
        "inspection-answered-again",
        await post(it, "/review/inspect-again", "/review", host="social.example", why="Me too."),
    )


async def test_pages_of_opened_access_are_clean(site: Site, look: Look) -> None:
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("review-empty", "/review")
    at = FRIDAY_MORNING - timedelta(minutes=3)
    assets = ("cdn.example", LONG_HOST, "fonts.example")
    await site.log(
        visit(at, code="K7M-4QP"), *(visit(at + timedelta(seconds=5), host=host) for host in assets)
    )
    number = await site.sent_request()
    await site.sent_request(code="H7M-4QP", host="two.example")
    clerk = await site.signed_in(people.CLERK)
    await look.use(clerk)
    await look.at("request-needs", f"/requests/{number}")
    await post(clerk, f"/requests/{number}/hosts", f"/requests/{number}", host="cdn.example")
    await look.use(await site.signed_in(people.HEAD))
    await look.at("decide-needs", f"/decide/{number}")
    await _answer(site, number, "allow", hosts="cdn.example")
    await _answer(site, number + 1, "allow")
    await correct(
        site.admin.db, "two.example", ["phishing"], why="A copy", actor=people.IT, at=site.clock.at, seen=None
    )
    await site.admin.pausing.look()
    await look.use(it)
    await look.at("review-opened", "/review")
    await look.at("exemptions-needs", "/exemptions")
    await look.use(clerk)
    await look.at("request-paused", f"/requests/{number + 1}")
    await post(it, f"/review/requests/{number}/stop", "/review", reason="Not safe.")
    await look.use(it)
    await look.at("review-stopped", f"/review?stopped={number}")
    site.clock.at += timedelta(seconds=1)
    risky = await site.asking(code="J7M-4QP", host="two.example")
    await look.use(risky)
    await look.at("ask-risk", "/ask/J7M-4QP")


async def test_visit_pages_are_clean(site: Site, look: Look) -> None:
    await look.use(await site.signed_in(people.IT))
    await look.at("visits-empty", "/visits?host=nowhere.example")
    await _log_a_day(site)
    await look.at("visits", "/visits")
    await look.at("visits-inspected", "/visits?verdict=inspect")
    await look.at("visits-filtered", "/visits?span=week&department=finance&verdict=block")
    await look.at("visits-own-none", "/visits/own")
    await look.at("visits-bad-filter", "/visits?host=%20a%20b", 422)
    await look.at("names", "/visits/names")
    await look.at("why", await site.why_of_first_visit())
    await look.page.set_viewport_size(PHONE)
    await look.page.goto(site.url + "/visits")
    assert await look.page.evaluate(_MENUS_OFF_THEIR_LINE) == []
    await look.page.set_viewport_size(DESKTOP)
    await look.page.goto(site.url + "/visits")
    await look.page.locator("#visits summary").first.click()
    look.wrong += await violations(look.page)
    document = site.state.policy_document
    long_names = document.read_text().replace("name: IT", "name: Alexandra Montgomery-Fitzgerald")
    document.write_text(
        long_names.replace("Town of Exampleton", "Charter Township of Upper and Lower Exampleton", 1)
    )
    await site.until(lambda: site.admin.policy.town.name.startswith("Charter"))
    await look.page.goto(site.url + "/visits")
    assert await look.page.evaluate(_IS_ONE_LINE), "a long name breaks the town's own line alone"


async def test_overview_pages_are_clean(site: Site, look: Look) -> None:
    await look.use(await site.signed_in(people.IT))
    await look.at("exemptions-empty", "/exemptions")
    await _log_a_day(site)
    await site.sent_request()
    await site.sent_request(host=LONG_HOST, code="H7M-4QP")
    await _answer(site, 1, "allow")
    await _answer(site, 2, "allow")
    await look.at("today", "/today")
    for size in (DESKTOP, {"width": 800, "height": 800}, PHONE):
        await look.page.set_viewport_size(size)
        assert await look.page.evaluate(_TILES_SHORT_OF_THEIR_ROW) == [], size
    await look.at("exemptions", "/exemptions")
    site.state.policy_document.write_text("town: {name: Nowhere}\n")
    await site.until(lambda: bool(site.admin.policy_problems))
    await look.at("policy-problems", "/policy")
    await look.at("today-problems", "/today")
    await look.at("categories", "/categories?site=www.cardroom.example")
    with_list(site, days_old=3, refused="it looks like a web page, not a list")
    await look.at("categories-refused", "/categories?site=card%20room")
    await look.at("today-old-list", "/today")


async def test_pages_of_sites_in_no_list_are_clean(site: Site, look: Look) -> None:
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("unlisted-empty", "/categories/unlisted")
    hosts = (
        "www.paypa1.example",
        LONG_HOST,
        *(f"{name}.tools.example" for name in ("a", "b", "c", "d", "e")),
    )
    await site.log(*(visit(host=host) for host in (*hosts, *(f"site-{n}.example" for n in range(20)))))
    await look.at("unlisted", "/categories/unlisted")
    await look.at("unlisted-last", "/categories/unlisted?page=2")
    fields = {"site": "tools.example", "category": "business_tools", "why": "Ours", "from": "unlisted"}
    await post(it, "/corrections", "/categories/unlisted", **fields)
    await look.at("unlisted-corrected", "/categories/unlisted?corrected=tools.example")


async def test_emergency_pages_are_clean(site: Site, look: Look) -> None:
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("emergency-empty", "/emergency")
    for what in ("lockdown", "device", "filter"):
        await look.at(f"emergency-{what}", f"/emergency/{what}")
    lockdown = {"department": "", "because": "A worm goes round. We clean one office after the other."}
    device = {"device": "FIN-PC-15", "because": "It sends mail by itself."}
    await look.answered(
        "emergency-error", await post(it, "/emergency/lockdown", **{**lockdown, "because": ""})
    )
    await look.answered("emergency-sure", await post(it, "/emergency/lockdown", **lockdown))
    await look.answered("emergency-sure-device", await post(it, "/emergency/device", **device))
    await post(it, "/emergency/device", **device, sure="yes")
    await post(it, "/emergency/1/end", "/emergency/1")
    await look.at("emergency-over", "/emergency/1")
    await post(it, "/emergency/lockdown", **lockdown, next_news="11:00", sure="yes")
    await look.at("emergency-lockdown-on", "/emergency/2")
    await look.answered("emergency-too-late", await post(it, "/emergency/lockdown", **lockdown, sure="yes"))
    await look.answered(
        "emergency-news-error", await post(it, "/emergency/2/news", "/emergency/2", because="")
    )
    long = "x" * 250 + " and more"
    await post(it, "/emergency/filter", lasts="30m", because=long, sure="yes")
    await post(it, "/emergency/device", device="2001:db8::1234:5678:9abc:def0", because=long, sure="yes")
    await look.at("emergency", "/emergency")
    await look.use(site.client())
    await look.at("sign-in-in-an-emergency", "/sign-in")


async def test_records_are_clean(site: Site, look: Look) -> None:
    it = await site.signed_in(people.IT)
    await site.sent_request(host=LONG_HOST, code="H7M-4QP")
    await _answer(site, 1, "deny")
    await look.use(it)
    await look.at("records-none", "/records?kinds=emergencies")
    await site.admin.audit_heads.export()
    await post(it, "/records/verify", "/records")
    await look.at("records", "/records?role=department_head")
    cut_off(site)
    await post(it, "/records/verify", "/records")
    await look.at("records-cut-off", "/records")


async def test_people_are_clean(site: Site, look: Look) -> None:
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("people", "/people")
    await look.at("people-none", "/people?q=nobody")
    page = f"/people/{people.CLERK}"
    await look.answered("person-error", await post(it, f"{page}/close", page, why=""))
    await post(it, f"{page}/close", page, why="Left the town's service, " + "x" * 200)
    await look.at("person-closed", page)
    await look.answered("person-reopen-error", await post(it, f"{page}/reopen", page, why=""))


async def test_tokens_and_the_page_about_the_api_are_clean(site: Site, look: Look) -> None:
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("tokens-none", "/tokens")
    await look.answered("token-made", await sent(it, *Scope, name="M" * 60))
    await look.answered("token-error", await sent(it, "decide", name="M" * 60))
    await sent(it, "decide", name="Over soon", last_day="2026-03-06")
    site.clock.at += timedelta(days=1)
    await look.use(await site.signed_in(people.IT))
    await look.at("tokens", "/tokens")
    await look.at("api", "/api")
    await look.page.locator("details.more summary").nth(1).click()
    # What stands below a closed heading opens when it is gone to.
    await look.page.locator("details.more[open]").get_by_role("link", name="AccessRequestList").click()
    await look.page.locator("#AccessRequestList").get_by_text("items").wait_for()
    look.wrong += await violations(look.page)


async def test_forgotten_passwords_are_clean(site: Site, look: Look) -> None:
    await site.give_password(people.CLERK)
    await look.at("password-no-mail", "/password/forgot")
    await post(site.client(), "/password/forgot", "/sign-in", name=people.CLERK)
    async with post_office() as office:
        await with_mail(site, office)
        await look.at("password-forgot", "/password/forgot")
    await look.at("password-sent", "/password/sent")
    token = password_resets.token("1", people.CLERK, site.clock.at, site.state.reset_key.read_bytes())
    await look.at("password-new", f"/password/new?token={token}")
    await look.at("password-old-link", "/password/new?token=x", 410)


async def test_settings_and_opening_are_clean(site: Site, look: Look, free_port: Callable[[], int]) -> None:
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("settings-none", "/settings")
    document = site.state.policy_document
    document.write_text(document.read_text() + "after_approval: wait_for_it\n")
    await site.until(lambda: site.admin.policy.after_approval is AfterApproval.WAIT_FOR_IT)
    await site.sent_request()
    await site.sent_request(host=LONG_HOST, code="H7M-4QP")
    await look.at("sent-waits-for-it", "/requests/1/sent")
    await _answer(site, 1, "allow")
    await look.at("to-open", "/decide/1/done")
    await look.at("to-open-list", "/decide")
    await look.at("request-to-open", "/requests/1")
    await post(it, "/decide/1/open", "/decide/1/done")
    await look.at("opened", "/decide/1/done")
    async with post_office() as office:
        await with_mail(site, office, webhook=f"https://desk.town.example/{'hook-' * 40}")
        office.days.append(Day.NO_SUCH_MAILBOX)
        await site.until(lambda: not office.days)
        await post(it, "/settings/test/mail", "/settings")
    await post(it, "/settings/test/webhook", "/settings")
    await look.at("settings", "/settings")
    await with_town_accounts(site, f"http://127.0.0.1:{free_port()}/{'realm-' * 20}")
    await post(it, "/settings/test/town-account", "/settings")
    await look.at("settings-town-account", "/settings")
    await look.use(site.client())
    await look.at("sign-in-town-account-away", "/sign-in/town-account", 503)
    await look.use(it)
    with_settings(site, "mail: {servr: x}\n")
    await site.until(lambda: bool(site.admin.settings.problems))
    await look.at("settings-problems", "/settings")


async def test_pages_of_the_notice_are_clean(site: Site, look: Look) -> None:
    await look.at("notice-none", "/notice")
    version = await with_notice(site, NOTICE + LATER)
    await look.at("notice-sign-in-first", "/notice")
    await look.at("recorded-with-notice", "/recorded")
    clerk = await stopped(site)
    await look.use(clerk)
    await look.at("notice", "/notice?from=K7M-4QP")
    await look.answered("notice-unchecked", await post(clerk, "/notice", version=version, code="K7M-4QP"))
    await look.answered(
        "notice-put-off", await post(clerk, "/notice/later", "/notice", version=version, code="K7M-4QP")
    )
    await post(clerk, "/notice", version=version, code="K7M-4QP", agree="yes")
    await look.at("notice-signed", "/notice?from=K7M-4QP")
    await look.at("policy-with-notice", "/policy")
    await with_notice(site, NOTICE.replace("and when.", "and for how long.") + LATER)
    await look.answered("notice-another", await post(clerk, "/notice", version=version, agree="yes"))
    await look.at("notice-changed", "/notice?from=K7M-4QP")
    await look.page.get_by_text("I have read").click()
    look.wrong += await violations(look.page)


async def test_asking_for_a_visitor_is_clean(site: Site, look: Look) -> None:
    await site.log(visit(host=LONG_HOST, addresses=(LONG_ADDRESS,)))
    it = await site.signed_in(people.IT)
    await post(it, "/visits/names", reason="A call to the help desk", case="")
    await look.use(it)
    form = await site.of_visit(1, "visits", "ask")
    await look.at("ask-for-visitor", form)
    await look.answered("ask-for-visitor-error", await post(it, form, reason="", duration="week"))
    await look.page.goto(site.url + "/visits")
    await look.page.locator("#visits summary").first.click()
    look.wrong += await violations(look.page)


async def test_own_visits_are_clean(site: Site, look: Look) -> None:
    await _log_a_day(site)
    await site.log(visit(host=LONG_HOST, device=None, addresses=(LONG_ADDRESS, "https://cardroom.example/")))
    await look.use(await site.signed_in(people.CLERK))
    await look.at("visits-own", "/visits/own")
    await look.page.set_viewport_size(PHONE)
    await look.page.goto(site.url + "/visits/own")
    await look.page.locator("main td summary").first.click()
    assert await look.page.evaluate(_CUT_ELEMENTS) == []
    look.wrong += await violations(look.page)


async def _log_a_day(site: Site) -> None:
    at = FRIDAY_MORNING
    await site.log(
        visit(at - timedelta(minutes=1), code="K7M-4QP"),
        visit(
            at - timedelta(minutes=2),
            host="library.example",
            verdict=Verdict.ALLOW,
            lane=Lane.TUNNEL,
            cause=Cause.DEFAULT,
            rule=None,
            category=None,
            entry=None,
            source=None,
            bytes_up=48_213,
            bytes_down=1_431_000_000,
            ended_at=at + timedelta(hours=1, minutes=5),
        ),
        failed(at=at - timedelta(minutes=3), verdict=Verdict.ALLOW, refusal=None, bytes_down=9_000),
        failed(at=at - timedelta(minutes=3), refusal=None, bytes_down=9_000),
        failed(at=at - timedelta(minutes=3)),
        visit(
            at - timedelta(minutes=3), host="phish.example", category="phishing", cause=Cause.SECURITY_RISK
        ),
        visit(at - timedelta(minutes=4), host=LONG_HOST, person=None, device=None, address="10.10.20.7"),
        visit(at - timedelta(days=1), cause=Cause.UNREACHABLE, refusal="the name is not known", rule=None),
        *(
            visit(at - timedelta(days=2, minutes=n), category="shopping", host="shop.example")
            for n in range(4)
        ),
    )


def _old_token(site: Site) -> str:
    return site.token(issued_at=site.clock.at - timedelta(minutes=16))


async def _answer(site: Site, number: int, answer: str, **more: str) -> None:
    head = await site.signed_in(people.HEAD)
    fields: Mapping[str, str] = {
        "allow": {"expires_at": (site.clock.at + timedelta(days=7)).isoformat()},
        "deny": {"reason": "Not needed for work"},
    }[answer]
    done = await post(head, f"/decide/{number}", answer=answer, step="0", **fields, **more)
    assert done.status_code == 303, done.text


async def test_limits_and_what_is_heavy(look: Look, site: Site) -> None:
    await with_limits(site)
    many = [replace(DOWNLOAD, code=f"K{n}M-4QP", host=LONG_HOST[: 40 * n]) for n in range(1, 4)]
    tell(site, 1, *many, *(updates(number) for number in range(6)))
    loaded = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "bytes_down": 4_200_000_000}
    await site.log(
        stopped_by_limit("big", "files.example", "over 500 MB came on one connection"),
        visit(host=LONG_HOST, **loaded),
        visit(host="updates.example", category="software_updates", **loaded),
    )
    it = await site.signed_in(people.IT)
    await look.use(it)
    await look.at("heavy", "/heavy")
    await look.at("heavy-week", "/heavy?span=week")
    await look.at("heavy-draft", f"/heavy/draft?host={LONG_HOST}")
    await look.at("policy-limits", "/policy")
    await look.use(await site.signed_in(people.CLERK))
    await look.at("stopped-limit", "/stopped")
    await look.at("requests-left", "/requests")
    browser = site.client()
    about = {"host": LONG_HOST, "rule": "big", "approval": (), "address": f"https://{LONG_HOST}/county.zip"}
    await browser.get("/remind", params={"token": site.token(**about)})
    await look.use(browser)
    await look.at("remind-no-hours", "/remind/K7M-4QP")
    assert look.wrong == []


async def test_reminder_of_a_download(look: Look, site: Site) -> None:
    await with_hours(site)
    browser = site.client()
    about = {"host": LONG_HOST, "rule": "big", "approval": (), "address": f"https://{LONG_HOST}/county.zip"}
    await browser.get("/remind", params={"token": site.token(**about)})
    await look.use(browser)
    await look.at("remind-no-mail", "/remind/K7M-4QP")
    async with post_office() as office:
        await with_mail(site, office)
        await look.at("remind", "/remind/K7M-4QP")
        await post(browser, "/remind/K7M-4QP")
        await look.at("remind-asked", "/remind/K7M-4QP")
    assert look.wrong == []


async def test_weekly_report(look: Look, site: Site) -> None:
    document = site.state.policy_document
    report = 'weekly_report: {day: mon, at: "07:00", names: shown}\n'
    document.write_text(document.read_text().replace("head: parks-head,", "head: head,") + report)
    await site.until(lambda: site.admin.policy.weekly_report is not None)
    head, it = await site.signed_in(people.HEAD), await site.signed_in(people.IT)
    await look.use(head)
    await look.at("weekly-empty", "/weekly")
    await look.at("recorded-weekly", "/recorded")
    await _log_a_day(site)
    loaded = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "bytes_down": 4_200_000_000}
    await site.log(
        visit(host=LONG_HOST, category="streaming", **loaded),
        visit(host="updates.example", category="software_updates", **loaded),
        visit(department="parks", host="maps.example", category="weather", **loaded),
    )
    await look.at("weekly-head", "/weekly?of=finance&week=2026-03-02")
    await look.use(it)
    await look.at("weekly-town", "/weekly?of=&week=2026-03-02")


async def test_pages_of_a_second_person_are_clean(look: Look, site: Site) -> None:
    await site.log(visit())
    it, administrator = await site.signed_in(people.IT), await site.signed_in(people.ADMINISTRATOR)
    search = {"next": f"/visits?person={people.CLERK}"}
    await look.use(it)
    await look.at("names-search", "/visits/names?next=/visits%3Fperson%3Dclerk")
    await post(it, "/visits/names", reason="A complaint about mails", case="C-7", **search)
    await look.at("names-waiting", "/visits/names/1")
    await look.use(administrator)
    await look.at("names-to-decide", "/decide")
    await look.at("names-to-answer", "/visits/names/1")
    await post(administrator, "/visits/names/1", answer="agree")
    await look.at("names-answered", "/visits/names/1")
    await look.use(it)
    await look.at("names-agreed", "/visits/names/1")
    site.clock.at += timedelta(minutes=30)
    await look.at("names-ended", "/visits/names/1")
