"""The weekly report as head and IT see it: on the page, on paper, and in their mail."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from admin.outbox import Letter, LetterKind
from admin.weekly_letters import WeeklyLetters
from policy.decision import Lane, Verdict
from policy.visit_record import VisitRecord
from tests import people, towns
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.admin.web.mailed_site import with_mail
from tests.browsing import StartBrowser
from tests.post_office import post_office

WEEK = timedelta(weeks=1)
LAST_WEEK = FRIDAY_MORNING - WEEK
REPORTING = 'weekly_report: {day: mon, at: "07:00", names: hidden}\n'


def load(count: int, at: Any = LAST_WEEK, **changed: Any) -> list[VisitRecord]:
    values = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "category": "press", "host": "news.example"}
    # At computers of their own: what one does at a site within minutes is one visit.
    return [
        visit(at, **{**values, "address": f"10.10.{n // 250}.{n % 250}", **changed}) for n in range(count)
    ]


async def with_report(site: Site, text: str = REPORTING) -> None:
    """Publish a policy that has the report."""
    site.state.policy_document.write_text(towns.DOCUMENT + text)
    await site.until(lambda: site.admin.policy.weekly_report is not None)


def said(text: str) -> str:
    text = re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub("</?time[^>]*>", "", text)
    return " ".join(re.sub("<[^>]*>", " ", text).replace("\u00a0", " ").replace("&nbsp;", " ").split())


async def log_a_week(site: Site) -> None:
    await site.log(
        *load(1204, bytes_up=10_000, bytes_down=90_000),
        *(visit(LAST_WEEK, address=f"10.10.0.{n}") for n in range(11)),
        *(visit(LAST_WEEK, category="adult", host="adult.example", address=f"10.10.0.{n}") for n in range(2)),
        *load(2, host="films.example", category="streaming", bytes_down=1_400_000_000),
        *load(7, department="parks", person=people.PARKS_HEAD, host="maps.example", category="weather"),
        *load(3, LAST_WEEK - WEEK),
        *load(5, FRIDAY_MORNING - timedelta(hours=1)),
    )


async def test_head_sees_the_department_and_it_the_town_by_departments(site: Site) -> None:
    await with_report(site)
    await log_a_week(site)
    head, it = await site.signed_in(people.HEAD), await site.signed_in(people.IT)
    assert 'href="/weekly"' in (await head.get("/requests")).text
    page = said((await head.get("/weekly")).text)
    for shown in (
        "Web use in Finance, February 23 to March 1",
        "By mail to who answers for Finance, the next time on Mon, March 9, 7 AM.",
        "1,219 visits 3 the week before",
        "13 blocked 0 the week before",
        "2.8 GB of 2.9 GB, in 2 visits of 100 MB or more",
        "News 1,204 0 120 MB",
        "Gambling 11 11 0 B",
        "Most blocked Category Bar Visits",
        "films.example 2.8 GB",
        "Nobody is named.",
    ):
        assert shown in page, (shown, page)
    assert "Parks" not in page and "maps.example" not in page and "Clerk" not in page
    page = said((await it.get("/weekly")).text)
    for shown in ("Web use in Town of Exampleton", "Finance 1,219 13", "Parks 7 0", "1,226 visits"):
        assert shown in page, (shown, page)


async def test_weeks_lead_to_each_other_up_to_the_one_that_goes_on(site: Site) -> None:
    await log_a_week(site)
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/weekly")).text
    assert "This goes to nobody by mail" in page
    assert "week=2026-02-16" in page and "week=2026-03-02" in page
    page = (await head.get("/weekly?of=finance&week=2026-03-02")).text
    assert "This week so far." in page and "The week after" not in page
    assert "5 visits" in said(page)
    assert "The week before" not in (await head.get("/weekly?of=finance&week=2026-01-26")).text


@pytest.mark.parametrize(
    "query", ["week=2026-03-09", "week=2026-03-03", "week=x", "week=9999-12-27", "week=0001-01-01"]
)
async def test_week_that_is_none_is_not_found(site: Site, query: str) -> None:
    assert (await (await site.signed_in(people.HEAD)).get(f"/weekly?{query}")).status_code == 404


async def test_names_are_shown_to_the_head_alone_where_the_policy_says_so(site: Site) -> None:
    await with_report(site, REPORTING.replace("hidden", "shown"))
    await log_a_week(site)
    head, it = await site.signed_in(people.HEAD), await site.signed_in(people.IT)
    page = said((await head.get("/weekly")).text)
    assert "Person Visits Clerk 13 visits" in page and "Person Data Clerk 2.8 GB" in page
    assert "People are named as the policy says." in page
    page = said((await it.get("/weekly")).text)
    assert "Clerk" not in page and "Nobody is named." in page


@pytest.mark.parametrize(("names", "told"), [("hidden", "It names nobody."), ("shown", "who of it had most")])
async def test_what_is_recorded_says_who_gets_the_report(site: Site, names: str, told: str) -> None:
    assert "Every week" not in (await site.client().get("/recorded")).text
    await with_report(site, REPORTING.replace("hidden", names))
    page = said((await site.client().get("/recorded")).text)
    assert "Every week" in page and told in page


async def test_mail_says_the_same_as_the_page_and_leads_there(site: Site) -> None:
    await with_report(site)
    job = WeeklyLetters(site.admin.db, lambda: site.admin.policy, site.clock, site.clock)
    await job.look()
    await site.log(
        *load(3),
        *load(1204, FRIDAY_MORNING, bytes_up=10_000, bytes_down=90_000),
        *(visit(FRIDAY_MORNING, address=f"10.10.0.{n}") for n in range(11)),
        *load(2, FRIDAY_MORNING, host="films.example", category="streaming", bytes_down=1_400_000_000),
        *load(7, FRIDAY_MORNING, department="parks", host="maps.example", category="weather"),
    )
    await site.sent_request()
    async with post_office() as office:
        await with_mail(site, office)
        site.clock.at += timedelta(days=3)
        await job.look()
        # The request has a mail, too.
        await site.until(lambda: len(office.messages) == 4)
    reports = [mail for mail in office.messages if "Web use" in mail["Subject"]]
    mails = {mail["To"].addresses[0].username: mail for mail in reports}
    assert mails.keys() == {"head", "parks-head", "it"}
    head = mails["head"]
    assert head["Subject"] == "Web use in Finance, March 2 to 8"
    for part in ("plain", "html"):
        body = head.get_body((part,))
        assert body is not None
        mail = said(body.get_content()).replace(":", "")
        for shown in (
            "Visits 1,217, after 3 the week before",
            "Blocked 11, after 0",
            "Requests 1 1 waiting",
            "Heavy use 2.8 GB of 2.9 GB, in 2 visits of 100 MB or more",
            "News 1,204 visits, 120 MB",
            "Gambling 11 visits",
            "films.example 2.8 GB",
            "Nobody is named.",
        ):
            assert shown in mail, (shown, mail)
        assert "Parks" not in mail and "Clerk" not in mail
    text = head.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    address = text.partition("See the whole report:")[2].split()[0]
    assert address == f"{site.url}/weekly?of=finance&week=2026-03-02"
    page = said((await (await site.signed_in(people.HEAD)).get(address)).text)
    assert "1,217 visits 3 the week before" in page and "11 blocked" in page
    assert mails["it"]["Subject"] == "Web use in Town of Exampleton, March 2 to 8"
    assert "Parks: 7 visits, 0 B" in said(mails["it"].get_body(("plain",)).get_content())  # type: ignore[union-attr]


async def test_who_stands_in_gets_it_too_and_who_answers_no_more_does_not(site: Site) -> None:
    await with_report(site)
    head = await site.signed_in(people.HEAD)
    days = {"first": "2026-03-06", "last": "2026-03-08"}
    await post(head, "/delegation", department="finance", delegate="helpdesk", **days)
    desk = await site.signed_in(people.HELP_DESK)
    assert (await desk.get("/weekly?of=finance")).status_code == 200
    letter = Letter(LetterKind.WEEKLY_REPORT, people.HELP_DESK, "WEEK", _FINANCE)
    async with post_office() as office:
        await site.put(letter)
        await with_mail(site, office)
        # And that they stand in.
        await site.until(lambda: len(office.messages) == 2)
        site.clock.at += timedelta(days=3)
        assert (await desk.get("/weekly?of=finance")).status_code != 200
        await site.put(replace(letter, again="2"), replace(letter, to=people.IT, about="TOWN", values=_TOWN))
        await site.until(lambda: len(office.messages) == 3)
    assert office.recipients == ["helpdesk@town.example", "helpdesk@town.example", "it@town.example"]


async def test_report_that_cannot_be_counted_keeps_no_other_letter_waiting(site: Site) -> None:
    await site.log(visit(LAST_WEEK))
    (month,) = await site.admin.db.visits.months()
    writer = await site.admin.db.visits.writer(month)
    async with writer.changing() as t:
        await t.execute("ALTER TABLE quarter_count RENAME TO gone")
    receipt = {"title": "Use", "text": "Be kind.", "law": "", "version": "1"}
    async with post_office() as office:
        await site.put(
            Letter(LetterKind.WEEKLY_REPORT, people.IT, "WEEK", _TOWN),
            Letter(
                LetterKind.NOTICE_RECEIPT,
                people.CLERK,
                "NOTICE-1",
                {**receipt, "accepted_at": site.clock.at.isoformat()},
            ),
        )
        await with_mail(site, office)
        await site.until(lambda: bool(office.messages))
        assert office.subjects == ["Your copy: Use"]
        async with writer.changing() as t:
            await t.execute("ALTER TABLE gone RENAME TO quarter_count")
        site.clock.at += timedelta(minutes=2)
        await site.until(lambda: len(office.messages) == 2)


_FINANCE = {"department": "finance", "monday": "2026-02-23"}
_TOWN = {"department": "", "monday": "2026-02-23"}


@pytest.mark.long
async def test_report_is_printed_without_what_is_for_screens(
    site: Site, browser: StartBrowser, screenshots: Path
) -> None:
    await with_report(site)
    await log_a_week(site)
    head = await site.signed_in(people.HEAD)
    chromium = await browser()
    context = await chromium.new_context(color_scheme="dark")
    host = urlsplit(site.url).hostname
    await context.add_cookies(
        [{"name": c.name, "value": c.value or "", "domain": host, "path": "/"} for c in head.cookies.jar]
    )
    tab = await context.new_page()
    await tab.goto(f"{site.url}/weekly")
    foot = tab.locator(".print-foot")
    assert not await foot.is_visible()
    await tab.emulate_media(media="print")
    assert "as of Fri, March 6, 10:14 AM" in (await foot.inner_text()).replace("\u00a0", " ")
    for hidden in (".town-nav", ".town-menu", ".weeks", ".town-footer"):
        assert not await tab.locator(hidden).first.is_visible(), hidden
    # Ink on white, also for who reads in the dark.
    colours = "getComputedStyle(document.body)"
    assert await tab.evaluate(f"{colours}.color") == "rgb(0, 0, 0)"
    assert await tab.evaluate(f"{colours}.backgroundColor") == "rgb(255, 255, 255)"
    pdf = screenshots / "weekly.pdf"
    await tab.pdf(path=pdf, format="Letter")
    assert pdf.read_bytes().startswith(b"%PDF-")
