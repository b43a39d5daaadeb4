"""Visits by the hour, above the visit log: by its filters, with a table, and a link to each hour."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from policy.visit_record import VisitRecord
from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_visit_pages import allowed, hosts

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def table(page: str) -> dict[str, tuple[str, str]]:
    """Return visits and blocked ones of each hour, as the table beside the chart says them."""
    part = page.partition("As a table")[2].partition("</details>")[0]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td></tr>', part)
    return {
        re.sub("<[^>]*>", "", hour).replace("\u00a0", " "): (visits, blocked)
        for hour, visits, blocked in rows
    }


async def log_some(site: Site) -> None:
    at = site.clock.at
    await site.log(
        visit(at - MINUTE),
        allowed(at=at - 2 * MINUTE),
        visit(at - HOUR, host="shop.example", category="shopping", department="parks", person=None),
        # Yesterday.
        visit(at - 20 * HOUR, host="dice.example"),
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"10 AM": ("2", "1"), "9 AM": ("1", "1")}),
        ("verdict=block", {"10 AM": ("1", "1"), "9 AM": ("1", "1")}),
        ("department=parks", {"9 AM": ("1", "1")}),
        ("category=gambling&span=today", {"10 AM": ("1", "1")}),
        (
            "category=gambling&span=week",
            {"Thu, March 5, 2 PM": ("1", "1"), "Fri, March 6, 10 AM": ("1", "1")},
        ),
        ("host=library.example&count=hours", {"10 AM": ("1", "0")}),
        ("rule=not-town-business&department=finance&count=hours", {"10 AM": ("1", "1")}),
        ("not_department=parks", {"10 AM": ("2", "1")}),
        ("not_category=gambling,shopping", {"10 AM": ("1", "0")}),
        ("not_host=shop.example&count=hours", {"10 AM": ("2", "1")}),
        ("not_rule=not-town-business&count=hours", {"10 AM": ("1", "0")}),
        ("since=2026-03-06T09:00&until=2026-03-06T10:00", {"9 AM": ("1", "1")}),
    ],
)
async def test_hours_are_counted_by_the_filters_beside_their_rows(
    query: str, found: dict[str, tuple[str, str]], site: Site
) -> None:
    await log_some(site)
    page = (await (await site.signed_in(people.IT)).get(f"/visits?{query}")).text
    assert table(page) == found
    assert "<svg" in page.partition('class="chart"')[2]


async def test_of_a_longer_time_it_is_said_that_its_last_31_days_are_counted(site: Site) -> None:
    await log_some(site)
    await site.log(visit(site.clock.at - 40 * 24 * HOUR, host="earlier.example"))
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?since=2026-01-01")).text.replace("\u00a0", " ").replace("&nbsp;", " ")
    assert "<h2>By hour, the last 31 days of that time</h2>" in page
    assert "earlier.example" in hosts(page) and len(table(page)) == 3
    for query in ("", "span=month", "since=2026-02-04"):
        assert "of that time" not in (await it.get(f"/visits?{query}")).text


async def test_an_hour_of_the_table_leads_to_its_visits_with_the_other_filters(site: Site) -> None:
    await log_some(site)
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?verdict=block&span=today")).text
    links = re.findall(r'href="([^"]+)"><time[^>]*>9\u00a0AM', page.partition("As a table")[2])
    (link,) = [one.replace("&amp;", "&") for one in links]
    page = (await it.get(link)).text
    assert hosts(page) == ["shop.example"]
    assert "From <time" in page and "Until <time" in page and "Blocked <span" in page
    assert 'value="2026-03-06T09:00"' in page, "the form has the time by the town's clock"


async def test_what_takes_long_is_counted_when_asked_and_what_goes_on_is_not_counted_each_time(
    site: Site,
) -> None:
    await log_some(site)
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?host=library.example")).text
    assert 'class="chart"' not in page and 'href="/visits?host=library.example&amp;count=hours"' in page
    page = (await it.get("/visits", headers={"HX-Request": "true"})).text
    assert 'class="chart"' not in page and hosts(page)


async def test_hours_of_a_person_need_what_a_search_needs(site: Site) -> None:
    await log_some(site)
    it = await site.signed_in(people.IT)
    answer = await it.get("/visits?person=clerk&count=hours")
    assert answer.status_code == 303 and answer.headers["location"].startswith("/visits/names")
    document = site.state.policy_document
    document.write_text(document.read_text() + "names: {second_person: never}\n")
    await site.until(lambda: site.admin.policy.second_person == "never")
    await post(it, "/visits/names", reason="A complaint", case="C-7")
    assert table((await it.get("/visits?person=clerk&count=hours")).text) == {"10 AM": ("2", "1")}


def at_the_end_of(day: str, *hours: tuple[int, int]) -> list[VisitRecord]:
    """Return visits at hours (UTC) of a day, to one site for each."""
    return [
        visit(datetime.fromisoformat(f"{day}T00:00:00+00:00") + hour * HOUR, host=f"h{hour}-{n}.example")
        for hour, count in hours
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("day", "now", "records", "found", "bars"),
    [
        # The clock goes from 1:59 to 3:00: 7:00 UTC is 3 AM.
        (
            "2026-03-08",
            datetime(2026, 3, 9, 3, 30, tzinfo=UTC),
            ((6, 1), (7, 2)),
            [("1 AM", "1"), ("3 AM", "2")],
            23,
        ),
        # It goes from 1:59 to 1:00: the hour from 1 AM comes twice.
        (
            "2026-11-01",
            datetime(2026, 11, 2, 4, 30, tzinfo=UTC),
            ((5, 1), (6, 2), (7, 3)),
            [("1 AM", "1"), ("1 AM", "2"), ("2 AM", "3")],
            25,
        ),
    ],
)
async def test_days_on_which_the_clock_changes_have_each_visit_in_its_hour(
    day: str,
    now: datetime,
    records: tuple[tuple[int, int], ...],
    found: list[tuple[str, str]],
    bars: int,
    site: Site,
) -> None:
    site.clock.at = now
    await site.log(*at_the_end_of(day, *records))
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?span=today")).text
    part = page.partition("As a table")[2].partition("</details>")[0]
    rows = re.findall(r"<time[^>]*>([^<]+)</time></a></th><td[^>]*>(\d+)</td>", part)
    assert [(hour.replace("\u00a0", " "), count) for hour, count in rows] == found
    assert f'viewBox="0 0 {max(24, bars) * 10} 100"' in page
    # Both of the same name lead to visits of their own.
    for link in re.findall(r'<th scope="row"><a href="([^"]+)"', part):
        hour = (await it.get(link.replace("&amp;", "&"))).text
        assert len({host.partition("-")[0] for host in hosts(hour)}) == 1


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=2026-13-01", "since=0001-01-01", "until=9999-12-31"]
)
async def test_time_that_is_none_is_said(query: str, site: Site) -> None:
    answer = await (await site.signed_in(people.IT)).get(f"/visits?{query}")
    assert answer.status_code == 422 and "A time is written like 2026-03-02 10:00" in answer.text


async def test_range_that_is_over_before_it_begins_has_no_visits(site: Site) -> None:
    await log_some(site)
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?since=2026-03-06T10:00&until=2026-03-05T10:00")).text
    assert "No visits match." in page and 'class="chart"' not in page


async def test_show_keeps_what_the_form_has_no_field_for(site: Site) -> None:
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?rule=not-town-business")).text
    assert '<input type="hidden" name="rule" value="not-town-business">' in page
