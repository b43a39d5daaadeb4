"""Asking for a site before a visit to it was stopped."""

import pytest

from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import Site, post

SENT = {"reason": "For the grant file.", "duration": "week", "for_whom": "person"}


async def test_a_site_that_would_be_stopped_leads_to_the_form_of_its_block_page(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    assert 'href="/requests/new"' in (await clerk.get("/requests")).text
    found = await post(clerk, "/requests/new", site="https://www.cardroom.example/report?year=2025")
    form = found.headers["location"]
    assert "Gambling" in (await clerk.get(form)).text
    sent = await post(clerk, form, **SENT)
    assert sent.status_code == 303
    head = await site.signed_in(people.HEAD)
    ends_at = site.clock.at.replace(day=9).isoformat()
    await post(head, "/decide/1", answer="allow", step="0", hosts="", joined="", expires_at=ends_at)
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(e.host, e.person) for e in snapshot.exemptions] == [("cardroom.example", "clerk")]
    # What is open by now is said to be.
    again = await post(clerk, "/requests/new", site="cardroom.example")
    assert again.status_code == 200 and "This site is open" in again.text


async def test_a_site_that_no_rule_stops_is_said_to_be_open(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, "/requests/new", site=" library.example ")
    assert "This site is open" in answer.text and "library.example" in answer.text


@pytest.mark.parametrize("typed", ["", "not a site", "ftp://cardroom.example/", "localhost", "\u202ex"])
async def test_what_is_no_site_brings_the_form_back(site: Site, typed: str) -> None:
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, "/requests/new", site=typed)
    assert answer.status_code == 422 and "Enter a site, like library.example" in answer.text


async def test_a_browser_that_only_knows_the_device_signs_in_first(site: Site) -> None:
    asking = await site.asking()
    answer = await asking.get("/requests/new")
    assert answer.status_code in (303, 401, 403) and "Which site?" not in answer.text
