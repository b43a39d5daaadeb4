"""What scripts add to the pages, and that nothing is lost without them."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from policy.decision import Cause, Verdict
from tests import people
from tests.admin.web.conftest import PASSWORD, Site, post, visit
from tests.admin.web.test_personal_use import ASKED, FORM, offering
from tests.admin.web.test_social_media import approved, authorising, version_of
from tests.admin.web.test_visit_pages import allowed
from tests.browsing import StartBrowser

ALLOWED = {"verdict": Verdict.ALLOW, "cause": Cause.DEFAULT, "rule": None, "category": None, "entry": None}
PHONE = {"width": 360, "height": 640}
# Since the page was loaded, by the town's clock.
LIVE = "Live since 10:14 AM"


@pytest.fixture
async def page(browser: StartBrowser) -> AsyncIterator[Page]:
    """Return a page of a phone's browser."""
    chromium = await browser()
    yield await chromium.new_page(viewport=PHONE)


async def sign_in(page: Page, site: Site, person: str) -> None:
    await site.give_password(person)
    await page.goto(f"{site.url}/sign-in")
    await page.get_by_label("Name").fill(person)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def test_whole_story_works_without_scripts(browser: StartBrowser, site: Site) -> None:
    chromium = await browser()
    clerk = await (await chromium.new_context(java_script_enabled=False, viewport=PHONE)).new_page()
    await clerk.goto(f"{site.url}/ask?token={site.token()}")
    await clerk.get_by_label("What do you need it for?").fill("For the grant file.")
    await clerk.get_by_text("1 week").click()
    await clerk.get_by_role("button", name="Send request").click()
    await expect(clerk.locator("h1")).to_have_text("Request sent")
    head = await (await chromium.new_context(java_script_enabled=False, viewport=PHONE)).new_page()
    await sign_in(head, site, people.HEAD)
    await head.get_by_text("Menu", exact=True).click()
    await expect(head.get_by_role("link", name="To decide (1)")).to_be_visible()
    await head.get_by_role("link", name="cardroom.example").click()
    await head.locator("summary", has_text="Do not allow").click()
    await head.get_by_text("Not needed for work").click()
    await head.get_by_role("button", name="Do not allow it").click()
    await expect(head.locator("h1")).to_have_text("Not allowed")
    await clerk.get_by_role("link", name="See the request").click()
    await expect(clerk.locator("h1")).to_have_text("Not approved")


async def test_decision_is_one_screen_of_a_phone(site: Site, page: Page) -> None:
    await site.log(*(visit(site.clock.at - timedelta(days=n)) for n in range(6)))
    await site.sent_request()
    await sign_in(page, site, people.HEAD)
    await page.get_by_role("link", name="cardroom.example").click()
    for needed in (
        "charity report",
        "Listed as",
        "No known risk",
        "6\u00a0tries",
        "never asked",
        "Allow until",
    ):
        box = await page.locator("main").get_by_text(needed).first.bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= PHONE["height"], needed
    await page.get_by_text("More", exact=True).click()
    entry = page.get_by_text("List entry")
    await entry.scroll_into_view_if_needed()
    await expect(entry).to_be_in_viewport()


@pytest.mark.parametrize(("height", "stick"), [(640, True), (639, False), (360, False)])
async def test_buttons_stick_only_where_the_screen_is_high(
    height: int, stick: bool, site: Site, page: Page
) -> None:
    await site.sent_request()
    await sign_in(page, site, people.HEAD)
    await page.set_viewport_size({"width": 360, "height": height})
    await page.goto(f"{site.url}/decide/1")
    await page.get_by_text("More", exact=True).click()
    await page.evaluate("scrollTo(0, 0)")
    bar = await page.locator(".decide-bar").bounding_box()
    assert bar is not None
    assert (bar["y"] + bar["height"] <= height) == stick, "else it is below, where it covers nothing"


async def test_answers_that_are_opened_leave_room_for_what_is_decided_on(site: Site, page: Page) -> None:
    await site.sent_request()
    await sign_in(page, site, people.HEAD)
    await page.get_by_role("link", name="cardroom.example").click()
    for answer, last in (("Do not allow", "Do not allow it"), ("Change time", "Allow until Sun")):
        await page.locator("summary", has_text=answer).click()
        bar = await page.locator(".decide-bar").bounding_box()
        assert bar is not None and bar["height"] <= 0.6 * PHONE["height"] + 1
        await expect(page.locator("h1")).to_be_in_viewport(ratio=1)
        button = page.get_by_role("button", name=last)
        await button.scroll_into_view_if_needed()
        await expect(button).to_be_in_viewport(ratio=0.9)
        await page.evaluate("scrollTo(0, 0)")


async def test_keyboard_alone_signs_in_and_decides(site: Site, page: Page) -> None:
    await site.sent_request()
    await site.give_password(people.HEAD)
    await page.goto(f"{site.url}/sign-in")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the page's own part")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.type(people.HEAD)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("To decide")
    await page.goto(f"{site.url}/decide/1")
    change = page.locator("summary", has_text="Change time")
    await change.focus()
    outline = await change.evaluate(
        "(e) => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth"
    )
    assert outline == "solid3px"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_contain_text("Open now, until")


async def test_several_are_chosen_and_decided_by_keyboard_without_scripts(
    browser: StartBrowser, site: Site
) -> None:
    await site.sent_request()
    await site.sent_request(host="bingo.example", code="H7M-4QP")
    chromium = await browser()
    head = await (await chromium.new_context(java_script_enabled=False, viewport=PHONE)).new_page()
    await sign_in(head, site, people.HEAD)
    await head.goto(f"{site.url}/decide")
    await head.get_by_role("link", name="cardroom.example").focus()
    for key in ("Tab", "Space", "Tab", "Tab", "Space"):
        await head.keyboard.press(key)
    # The box stands above the link that its card is.
    await head.locator("label").last.click()
    await expect(head.get_by_role("checkbox", name="bingo.example")).not_to_be_checked()
    await head.locator("label").last.click()
    await head.get_by_role("button", name="Allow those chosen", exact=True).press("Enter")
    await expect(head.locator("h1")).to_have_text("Allow these 2 requests?")
    await head.get_by_role("button", name="Allow these 2 requests").press("Enter")
    await expect(head.locator("h1")).to_have_text("Your 2 answers are recorded")
    await expect(head.get_by_text("Allowed until")).to_have_count(2)


async def test_visit_log_is_live_and_stands_still_while_it_is_read(site: Site, page: Page) -> None:
    await page.set_viewport_size({"width": 1280, "height": 800})
    await site.log(visit(host="first.example"))
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/visits?verdict=block")
    await expect(page.locator("#live")).to_have_text(LIVE)
    await site.log(visit(host="second.example"))
    await expect(page.get_by_role("rowheader", name="second.example")).to_be_visible()
    await page.locator("#visits summary").first.click()
    await expect(page.locator("#live")).to_have_text("Paused.")
    await site.log(visit(host="third.example"))
    await page.wait_for_timeout(2500)
    await expect(page.get_by_role("rowheader", name="third.example")).to_have_count(0)
    await expect(page.get_by_role("link", name="Why")).to_be_visible()
    await page.locator("#visits summary").first.click()
    await page.locator("h1").click()
    await expect(page.get_by_role("rowheader", name="third.example")).to_be_visible()


async def test_paused_visit_log_counts_what_came_by_its_filters_and_shows_it(site: Site, page: Page) -> None:
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.clock.install()
    await site.log(*(visit(host=f"h{n}.example") for n in range(30)))
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/visits?department=finance&verdict=block")
    await page.mouse.wheel(0, 600)
    await page.wait_for_function("window.scrollY > 200")
    await page.clock.run_for(2_000)
    await expect(page.get_by_role("status")).to_have_text("Paused.")
    parks = visit(host="parks.example", department="parks", person=None)
    await site.log(visit(host="first.example"), parks, allowed("open.example"))
    await page.clock.run_for(10_000)
    await expect(page.get_by_role("status")).to_have_text("Paused. Show 1 new")
    await site.log(visit(host="second.example"), visit(host="third.example"))
    await page.clock.run_for(10_000)
    await expect(page.get_by_role("status")).to_have_text("Paused. Show 3 new")
    await expect(page.get_by_role("rowheader", name="second.example")).to_have_count(0)
    await page.get_by_role("link", name="Show 3 new").click()
    await expect(page.get_by_role("rowheader", name="second.example")).to_be_visible()
    assert page.url == f"{site.url}/visits?department=finance&verdict=block"
    await expect(page.get_by_role("status")).to_have_text(LIVE)
    await page.get_by_role("button", name="Pause").click()
    await page.clock.run_for(2_000)
    await expect(page.get_by_role("status")).to_have_text("Paused.")
    await site.log(visit(host="fourth.example"))
    await page.clock.run_for(2_000)
    await page.get_by_role("button", name="Resume").click()
    await page.clock.run_for(10_000)
    await expect(page.get_by_role("rowheader", name="fourth.example")).to_be_visible()
    await expect(page.get_by_role("status")).to_have_text(LIVE)


async def test_row_that_is_opened_while_an_answer_is_on_its_way_stays_open(site: Site, page: Page) -> None:
    await page.set_viewport_size({"width": 1280, "height": 800})
    await site.log(visit(host="first.example"))
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/visits")

    async def open_row(route: Route) -> None:
        await page.locator("#visits summary").first.click()
        await route.continue_()

    await page.route(f"{site.url}/visits", open_row, times=1)
    async with page.expect_request_finished(lambda request: request.url == f"{site.url}/visits"):
        pass
    await expect(page.get_by_role("status")).to_have_text("Paused.")
    await expect(page.get_by_role("link", name="Why")).to_be_visible()


# When the status line says something else, by the clock of the page.
_SAID = """
    window.said = [];
    const line = document.getElementById("live");
    const heed = () => window.said.push([performance.now(), line.textContent]);
    new MutationObserver(heed).observe(line, { childList: true, characterData: true, subtree: true });
"""


async def test_status_line_of_the_visit_log_changes_every_ten_seconds_at_most(site: Site, page: Page) -> None:
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.clock.install()
    await site.log(visit(host="first.example"))
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/visits")
    await expect(page.get_by_role("status")).to_have_text(LIVE)
    await page.evaluate(_SAID)
    row = page.locator("#visits summary").first
    for second in range(0, 60, 2):
        if second in (2, 6, 8, 44):
            await row.click()
            await page.locator("h1").click()
        await site.log(visit(host=f"h{second}.example"))
        await page.clock.run_for(2_000)
    await expect(page.get_by_role("status")).to_have_text(LIVE)
    said = await page.evaluate("window.said")
    assert len({text for _, text in said}) > 3, "counts, too"
    assert all(later - earlier >= 10_000 for (earlier, _), (later, _) in itertools.pairwise(said))


async def test_live_visit_log_keeps_its_filters_and_copying_from_it_filters_nothing(
    site: Site, page: Page
) -> None:
    await page.set_viewport_size({"width": 1280, "height": 800})
    await site.log(visit(host="first.example"))
    await sign_in(page, site, people.IT)
    address = f"{site.url}/visits?department=finance&since=2026-03-06T09:00&verdict=block"
    await page.goto(address)
    await site.log(
        visit(host="parks.example", department="parks", person=None),
        allowed("open.example"),
        visit(site.clock.at - timedelta(hours=2), host="early.example"),
    )
    await site.log(visit(host="second.example"))
    await expect(page.get_by_role("rowheader", name="second.example")).to_be_visible()
    hosts = await page.locator("#visits th.site").all_inner_texts()
    assert {*hosts} == {"first.example", "second.example"}
    # What is copied is text: a double click selects it, and leads nowhere.
    await page.get_by_role("rowheader", name="second.example").dblclick(position={"x": 24, "y": 20})
    selected = await page.evaluate("document.getSelection().toString().trim()")
    assert selected and selected in "second.example"
    await expect(page.locator("#live")).to_have_text("Paused.")
    assert page.url == address


async def test_visit_log_says_when_it_is_not_up_to_date(site: Site, page: Page) -> None:
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/visits")
    await page.context.set_offline(True)
    await expect(page.locator("#live")).to_have_text("Not up to date. It tries again.")
    await expect(page.locator("#visits")).to_contain_text("No visits match")


async def test_visits_of_the_filters_are_exported_by_a_link_that_stays_while_they_come(
    site: Site, page: Page
) -> None:
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/visits?span=today&verdict=block")
    await site.log(visit(host="first.example"), allowed("open.example"))
    await expect(page.get_by_role("rowheader", name="first.example")).to_be_visible()
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Export").click()
    file = await downloading.value
    assert file.suggested_filename == "visits-2026-03-06.csv"
    lines = Path(await file.path()).read_text().splitlines()
    assert len(lines) == 2 and "first.example" in lines[1]
    await expect(page.locator("h1")).to_have_text("Visits")


async def test_asker_sees_the_answer_without_a_reload(site: Site, page: Page) -> None:
    await page.clock.install()
    await page.goto(f"{site.url}/ask?token={site.token()}")
    await page.get_by_label("What do you need it for?").fill("For the grant file.")
    await page.get_by_text("1 hour").click()
    await page.get_by_role("button", name="Send request").click()
    await page.get_by_role("link", name="See the request").click()
    await expect(page.locator("h1")).to_have_text("Waiting for your department head")
    row = await site.admin.db.fetch_one("SELECT id FROM access_request")
    assert row is not None
    head = await site.signed_in(people.HEAD)
    shown = (await head.get("/decide/1")).text
    token = shown.partition('name="csrf_token" value="')[2].partition('"')[0]
    answer = {"csrf_token": token, "answer": "deny", "reason": "Use another site"}
    assert (await head.post("/decide/1", data=answer)).status_code == 303
    await page.clock.run_for(16_000)
    await expect(page.locator("h1")).to_have_text("Not approved")
    await expect(page.locator("main")).to_contain_text("Use another site")
    await expect(page.get_by_role("button", name="Withdraw the request")).to_have_count(0)
    assert (await page.title()).startswith("Not approved")


async def test_form_is_sent_once_however_often_its_button_is_pressed(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/ask?token={site.token()}")
    await page.get_by_label("What do you need it for?").fill("For the grant file.")
    await page.get_by_text("1 hour").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await page.get_by_role("button", name="Send request").dblclick()
    await expect(page.locator("h1")).to_have_text("Request sent")
    assert len(sent) == 1


# Ten seconds are half a one. While it waits for an answer a page is looked at by its own script alone.
_IMPATIENT = """
    const later = window.setTimeout;
    window.setTimeout = (what, ms, ...rest) => later(what, ms / 20, ...rest);
    window.said = [];
    const look = () => {
        const button = document.querySelector("[data-once] [type=submit]");
        window.said.push(button.textContent, document.querySelector("[role=status]")?.textContent ?? "");
    };
    const cancel = () => document.querySelector(".waiting button").click();
    document.addEventListener("submit", () => { later(look, 100); later(look, 700); later(cancel, 800); });
"""


async def test_form_that_takes_long_says_so_and_can_be_given_up_and_sent_again(
    site: Site, page: Page
) -> None:
    await page.add_init_script(_IMPATIENT)
    await page.goto(f"{site.url}/ask?token={site.token()}")
    await page.get_by_label("What do you need it for?").fill("For the grant file.")
    await page.get_by_text("1 hour").click()
    # An answer that never comes.
    await page.route("**/ask/*", lambda _route: None)
    send = page.get_by_role("button", name="Send request")
    await send.click(no_wait_after=True)
    await expect(page.get_by_role("status")).to_contain_text("look before you send it again")
    assert await page.evaluate("window.said") == ["Sending...", "", "Sending...", "Still working"]
    await expect(page.get_by_label("What do you need it for?")).to_have_value("For the grant file.")
    await page.unroute("**/ask/*")
    await send.click()
    await expect(page.locator("h1")).to_have_text("Request sent")


async def test_request_can_be_printed_where_there_are_scripts(
    browser: StartBrowser, site: Site, page: Page
) -> None:
    number = await site.sent_request()
    await page.add_init_script("window.print = () => { window.printed = true; }")
    await sign_in(page, site, people.CLERK)
    await page.goto(f"{site.url}/requests/{number}")
    await page.get_by_role("button", name="Print").click()
    assert await page.evaluate("window.printed") is True
    await page.emulate_media(media="print")
    await expect(page.locator("main button:visible")).to_have_count(0)
    await expect(page.locator(".print-foot")).to_contain_text("Town of Exampleton, REQ-1, as of")
    chromium = await browser()
    without = await (await chromium.new_context(java_script_enabled=False)).new_page()
    await sign_in(without, site, people.CLERK)
    await without.goto(f"{site.url}/requests/{number}")
    await expect(without.get_by_role("button", name="Withdraw the request")).to_be_visible()
    await expect(without.get_by_role("button", name="Print")).to_have_count(0)


async def test_what_is_left_of_a_reason_is_counted_while_it_is_written(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/ask?token={site.token()}")
    await expect(page.locator("#reason-left")).to_have_text("500 characters at most")
    await page.get_by_label("What do you need it for?").press_sequentially("It")
    await expect(page.locator("#reason-left")).to_have_text("498 characters left")


async def test_password_can_be_shown(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/sign-in")
    await page.get_by_label("Password", exact=True).fill("secret words")
    await page.get_by_role("button", name="Show password").click()
    await expect(page.locator("#password")).to_have_attribute("type", "text")


async def test_error_above_a_form_has_the_focus_and_leads_to_its_field(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/ask?token={site.token()}")
    await page.get_by_label("What do you need it for?").fill("   ")
    await page.get_by_text("1 hour").click()
    await page.get_by_role("button", name="Send request").click()
    await expect(page.locator("[data-focus]")).to_be_focused()
    await page.get_by_role("link", name="Enter what you need it for").click()
    await expect(page.get_by_label("What do you need it for?")).to_be_focused()


async def test_longest_date_stays_within_its_box_on_a_phone(site: Site, page: Page) -> None:
    await offering(site)
    site.clock.at = datetime(2026, 9, 23, 14, tzinfo=UTC)
    window = {"day": "2026-09-23", "begins": "12:44", "ends": "13:44"}
    await post(await site.signed_in(people.CLERK), FORM, **{**ASKED, **window})
    await sign_in(page, site, people.CLERK)
    await page.goto(f"{site.url}/requests/1")
    date = page.locator(".facts dd time").first
    assert await date.inner_text() == "Wed,\u00a0September\u00a023,\u00a012:44\u00a0PM"
    within, box = await date.bounding_box(), await page.locator(".facts").first.bounding_box()
    assert within is not None and box is not None
    assert within["x"] + within["width"] <= box["x"] + box["width"]


async def _allowed_until_the_longest_date(site: Site) -> None:
    site.clock.at = datetime(2026, 9, 30, 14, tzinfo=UTC)
    asker = await site.asking()
    await post(asker, "/ask/K7M-4QP", reason="For the file.", duration="today", for_whom="person")
    head = await site.signed_in(people.HEAD)
    await post(head, "/decide/1", answer="allow", step="0", expires_at="2026-10-01T00:00:00-04:00")


@pytest.mark.parametrize("width", [320, 360])
async def test_longest_date_stays_within_its_heading_on_a_phone(site: Site, page: Page, width: int) -> None:
    await _allowed_until_the_longest_date(site)
    await sign_in(page, site, people.CLERK)
    await page.set_viewport_size({"width": width, "height": 640})
    await page.goto(f"{site.url}/requests/1")
    date = page.locator("h1 time")
    assert await date.inner_text() == "Wed,\u00a0September\u00a030,\u00a011:59\u00a0PM"
    assert await date.evaluate("(e) => e.getClientRects().length") == 1, "in one line"
    right = await date.evaluate("(e) => e.getBoundingClientRect().right")
    assert right <= width - 15


async def test_paper_is_white_and_its_tables_are_tables(site: Site, page: Page) -> None:
    await sign_in(page, site, people.IT)
    await page.goto(f"{site.url}/records")
    await page.emulate_media(media="print", color_scheme="dark")
    await page.set_viewport_size({"width": 720, "height": 960})
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await page.evaluate("getComputedStyle(document.body).getPropertyValue('--ok-tint')") == "#ecf3ec"
    row = page.locator("tbody tr").first
    assert await row.evaluate("(e) => getComputedStyle(e).display") == "table-row"
    foot = (await page.locator(".print-foot").inner_text()).replace("\u00a0", " ")
    assert foot == "Town of Exampleton, Records, as of Fri, March 6, 10:14 AM"
    heading = page.get_by_role("columnheader", name="About")
    box, cell = await heading.bounding_box(), await row.locator("td").first.bounding_box()
    assert box is not None and cell is not None and abs(box["x"] - cell["x"]) < 1
    assert await page.evaluate("document.documentElement.scrollWidth") <= 720


async def test_longest_date_of_a_row_is_whole_on_the_narrowest_phone(site: Site, page: Page) -> None:
    await _allowed_until_the_longest_date(site)
    await sign_in(page, site, people.HEAD)
    await page.set_viewport_size({"width": 320, "height": 640})
    await page.goto(f"{site.url}/exemptions")
    date = page.locator("[data-label=Until] time")
    await date.evaluate("(e) => e.textContent = e.textContent.replace('30,', '30,\\u00a02027,')")
    right = await date.evaluate("(e) => e.getBoundingClientRect().right")
    assert right <= 320 - 15
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.locator("[data-label=Until]").evaluate("""(cell) => {
        const used = `<svg class=usa-icon></svg><span>Used ${cell.innerHTML}</span>`;
        cell.innerHTML += `<span class=status>${used}</span>`;
    }""")
    right = await page.locator(".status").evaluate("(e) => e.getBoundingClientRect().right")
    assert right <= 360 - 15


async def test_answers_below_each_other_on_a_phone_are_as_wide(site: Site, page: Page) -> None:
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    await sign_in(page, site, people.HEAD)
    await page.goto(f"{site.url}/requests/{number}")
    widths = await page.locator(".actions .usa-button").evaluate_all("(all) => all.map((e) => e.offsetWidth)")
    assert len(widths) > 2 and len(set(widths)) == 1


async def test_bars_of_several_tables_begin_below_each_other_and_have_room_on_a_phone(
    site: Site, page: Page
) -> None:
    await site.log(
        visit(host="library.example", bytes_down=400_000_000, **ALLOWED),
        visit(host="update.of.a.long.name.example", bytes_down=8_100, **ALLOWED),
    )
    await sign_in(page, site, people.IT)
    for width in (360, 1280):
        await page.set_viewport_size({"width": width, "height": 640})
        await page.goto(f"{site.url}/heavy?span=today")
        boxes = await page.locator(".bars tbody svg").evaluate_all(
            "(all) => all.map((e) => e.getBoundingClientRect()).map((box) => [box.left, box.width])"
        )
        assert len(boxes) == 4 and all(box == boxes[0] for box in boxes) and boxes[0][1] >= 64, width


async def test_phone_number_of_the_help_desk_is_never_cut_at_the_end_of_a_line(
    site: Site, page: Page
) -> None:
    await sign_in(page, site, people.CLERK)
    await page.goto(f"{site.url}/requests/new")
    await page.get_by_label("Which site?").fill("library.example")
    await page.get_by_role("button", name="Look it up").click()
    number = page.locator("main").get_by_text("555-0100", exact=True)
    cut_at = await number.evaluate("""(number) => {
        const paragraph = number.closest("p"), widths = [...Array(100).keys()].map((n) => 200 + 4 * n);
        return widths.filter((width) => {
            paragraph.style.width = `${width}px`;
            return number.getClientRects().length > 1;
        });
    }""")
    assert cut_at == []


async def test_names_of_sites_are_whole_beside_states_with_dates(site: Site, page: Page) -> None:
    await authorising(site)
    clerk = await approved(site)
    await post(clerk, "/requests/1/terms", version=await version_of(clerk, 1), agree="yes")
    await sign_in(page, site, people.IT)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(f"{site.url}/social-media")
    lines = await page.locator(".rows .site").evaluate_all(
        "(all) => all.map((e) => (e.textContent = 'instagram.example', e.getClientRects().length))"
    )
    assert lines and set(lines) == {1}
    needed = await page.evaluate("document.querySelector('.rows').getBoundingClientRect().right")
    assert needed <= 1280 - 16
