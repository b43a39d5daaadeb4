"""No page is a dead end: those below another lead back to it, and those that refuse lead on."""

import re
from datetime import timedelta

import pytest

from tests import people
from tests.admin.web.conftest import Site, visit


@pytest.mark.parametrize(
    ("person", "path", "back", "label"),
    [
        (people.CLERK, "/requests/new", "/requests", "My requests"),
        (people.CLERK, "/requests/personal-use", "/requests", "My requests"),
        (people.CLERK, "/requests/device", "/requests", "My requests"),
        (people.CLERK, "/requests/emergency", "/requests", "My requests"),
        (people.CLERK, "/requests/1", "/requests", "My requests"),
        (people.CLERK, "/tokens", "/api", "For programs"),
        (people.HEAD, "/requests/standing", "/requests", "My requests"),
        (people.HEAD, "/accounts/ask", "/decide", "To decide"),
        (people.IT, "/categories/unlisted", "/categories", "Categories"),
        (people.IT, "/heavy/draft?host=files.example", "/heavy", "Heavy now"),
    ],
)
async def test_page_below_another_leads_back_to_it(
    person: str, path: str, back: str, label: str, site: Site
) -> None:
    await site.sent_request()
    shown = await (await site.signed_in(person)).get(path)
    assert shown.status_code == 200
    assert f'<p class="crumb"><a href="{back}">{label}</a>' in shown.text


async def test_why_leads_back_to_the_visits(site: Site) -> None:
    await site.log(visit())
    it = await site.signed_in(people.IT)
    assert (
        '<p class="crumb"><a href="/visits">Visits</a>'
        in (await it.get(await site.why_of_first_visit())).text
    )


async def test_request_of_somebody_else_does_not_lead_to_ones_own(site: Site) -> None:
    await site.sent_request()
    shown = await (await site.signed_in(people.IT)).get("/requests/1")
    assert shown.status_code == 200 and "crumb" not in shown.text


async def test_link_that_is_no_good_any_more_leads_on(site: Site) -> None:
    old = site.token(issued_at=site.clock.at - timedelta(minutes=16))
    used = site.token(code="S7M-4QP")
    await site.client().get("/ask", params={"token": used})
    clerk = await site.signed_in(people.CLERK)
    for browser, token, exit_ in (
        (site.client(), old, "/stopped"),
        (site.client(), used, "/sign-in?next=/requests"),
        (clerk, used, "/requests"),
    ):
        shown = await browser.get("/ask", params={"token": token})
        assert shown.status_code == 410
        assert re.findall(r'<a class="usa-button" href="([^"]+)"', shown.text) == [exit_]


async def test_where_no_mail_can_be_sent_a_forgotten_password_leads_back_to_signing_in(site: Site) -> None:
    shown = (await site.client().get("/password/forgot")).text
    assert '<a class="usa-button" href="/sign-in">' in shown
