"""Asking for a site before a visit to it was stopped."""

from datetime import UTC, datetime

import pytest

from policy.snapshot import PolicySnapshot
from tests import people, towns
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


@pytest.mark.parametrize(
    ("what", "form", "said"),
    [
        (
            "lockdown",
            {"department": "", "because": "A worm goes round.", "next_news": "11:00"},
            "IT has limited the web for now",
        ),
        (
            "device",
            {"device": "FIN-PC-15", "because": "It sends mail by itself."},
            "IT took your computer off the web",
        ),
    ],
)
async def test_what_no_request_opens_now_is_said_without_a_code(
    site: Site, what: str, form: dict[str, str], said: str
) -> None:
    it, clerk = await site.signed_in(people.IT), await site.signed_in(people.CLERK)
    done = await post(it, f"/emergency/{what}", **form, sure="yes")
    assert done.status_code == 303
    answer = await post(clerk, "/requests/new", site="cardroom.example")
    assert answer.status_code == 422 and said in answer.text


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            towns.DOCUMENT + "notice: {title: Use, law: Section 3, text: Sites are recorded.}\n",
            "Accept it first",
        ),
        (towns.DOCUMENT + "asking: {never: [gambling]}\n", "the town never opens"),
        (towns.DOCUMENT.replace("    approval: [department_head]\n", ""), "Nobody can be asked to open"),
        (
            towns.DOCUMENT.replace(
                "action: block\n    approval: [department_head]\n", "action: warn\n"
            ).replace("expect: block", "expect: warn"),
            "needs no asking",
        ),
    ],
)
async def test_why_nobody_can_be_asked_is_said_without_a_code(site: Site, document: str, said: str) -> None:
    clerk = await site.signed_in(people.CLERK)
    await running(site, document)
    answer = await post(clerk, "/requests/new", site="cardroom.example")
    assert answer.status_code == 422 and said in answer.text


async def test_what_is_open_for_reading_can_be_asked_for_to_post(site: Site) -> None:
    document = towns.DOCUMENT.replace("action: block\n    approval", "action: view_only\n    approval")
    await running(site, document.replace("expect: block", "expect: view_only"))
    clerk = await site.signed_in(people.CLERK)
    found = await post(clerk, "/requests/new", site="cardroom.example")
    form = (await clerk.get(found.headers["location"])).text
    assert "is open for reading" in form and "<textarea" in form


async def test_what_a_schedule_opens_is_open_until_that_ends_and_can_be_asked_for(site: Site) -> None:
    site.clock.at = datetime(2026, 3, 6, 17, 30, tzinfo=UTC)
    await running(site, towns.DOCUMENT.replace("[shopping, sports, press]", "[gambling]"))
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, "/requests/new", site="cardroom.example")
    shown = answer.text.replace("\u00a0", " ")
    assert answer.status_code == 200 and "This site is open for now" in shown and "1 PM" in shown
    form = shown.partition('href="/ask/')[2].partition('"')[0]
    assert "Gambling" in (await clerk.get(f"/ask/{form}")).text


async def running(site: Site, document: str) -> None:
    """Put a policy in force."""
    site.state.policy_document.write_text(document)
    await site.admin._publisher.reload_document()
    assert site.admin.policy_problems == ()


async def test_my_requests_has_one_main_button_and_the_other_kinds_of_request_behind_a_line(
    site: Site,
) -> None:
    clerk = await site.signed_in(people.CLERK)
    assert "Ask for something else" not in (await clerk.get("/requests")).text
    site.state.policy_document.write_text(
        f"{towns.DOCUMENT}asking:\n"
        "  personal_use: {categories: [sports]}\n"
        "  own_device: {}\n"
        "  standing_permission: {departments: [finance]}\n"
    )
    await site.admin._publisher.reload_document()
    for person, others in ((people.CLERK, ("personal-use", "device")), (people.HEAD, ("standing",))):
        shown = (await (await site.signed_in(person)).get("/requests")).text
        main, _, folded = shown.partition("Ask for something else")
        assert main.count('class="usa-button') == 1
        assert all(f'href="/requests/{kind}"' in folded for kind in others), person
    assert "/requests/standing" not in (await clerk.get("/requests")).text
