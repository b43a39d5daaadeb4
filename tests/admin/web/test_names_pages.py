"""Names in the visit log where a second person must agree: another with the right, once, for a while."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from admin import audit
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.mailed_site import with_mail
from tests.post_office import post_office

AUDITOR = "auditor"
SEARCH = "/visits?person=clerk"
DOCUMENT = (
    towns.DOCUMENT.replace(
        "people:\n", "people:\n  auditor: {name: Ann Auditor, mail: auditor@town.example}\n"
    )
    .replace("people:\n", "people:\n  it-2: {name: More IT, mail: it-2@town.example}\n")
    .replace("it_security: [it]", "it_security: [it, it-2]\n  auditor: [auditor]")
)
ALWAYS = "names: {second_person: always}\n"


async def with_auditor(site: Site, more: str = "") -> None:
    """Publish a policy of a town with two of IT and an auditor; log a visit."""
    site.state.policy_document.write_text(DOCUMENT + more)
    await site.until(lambda: AUDITOR in site.admin.policy.people)
    await site.log(visit())


async def ask(client: httpx.AsyncClient, next_path: str = SEARCH) -> str:
    """Ask for names; return the page that says how it stands."""
    answer = await post(client, "/visits/names", reason="A complaint", case="C-7", next=next_path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


async def kinds(site: Site, number: str = "NAMES-1") -> list[tuple[Any, str]]:
    """Return what was recorded of a request, and of whom."""
    return [(event.kind.value, event.actor) for event in await audit.events_of(site.admin.db, number)]


async def test_search_by_name_runs_once_another_has_agreed_and_ends_by_itself(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    assert "A second person must agree first" in (await it.get(SEARCH, follow_redirects=True)).text
    asked = await ask(it)
    assert asked == "/visits/names/1"
    assert "Waiting for a second person" in (await it.get(asked)).text
    assert (await it.get(SEARCH)).status_code == 303
    assert "Clerk" not in (await it.get("/visits")).text
    assert "To decide (1)" in (await auditor.get("/visits")).text
    assert asked in (await auditor.get("/decide")).text
    page = (await auditor.get(asked)).text
    assert "a search for visits of Clerk" in page and "A complaint" in page and "C-7" in page
    assert (await post(auditor, asked, answer="agree")).headers["location"] == asked
    assert "Agreed until" in (await it.get(asked)).text
    assert "Finance, Clerk" in (await it.get(SEARCH)).text
    assert (await it.get("/visits?person=head")).status_code == 303, "it is for the one who was asked for"
    assert "Clerk" not in (await auditor.get("/visits")).text
    assert await kinds(site) == [("names.asked", people.IT), ("names.agreed", AUDITOR)]
    (shown,) = await audit.events_of(site.admin.db, "visits")
    assert (shown.actor, shown.details["request"]) == (people.IT, "NAMES-1")
    records = (await auditor.get("/records")).text
    assert ">NAMES-1<" in records and "Not a person now" not in records
    site.clock.at += timedelta(minutes=30)
    assert (await it.get(SEARCH)).status_code == 303
    assert "Clerk" not in (await it.get("/visits")).text
    assert "Ended" in (await it.get(asked)).text


async def test_own_request_is_never_agreed_to_nor_one_about_oneself_and_the_try_is_recorded(
    site: Site,
) -> None:
    await with_auditor(site)
    it, other = await site.signed_in(people.IT), await site.signed_in("it-2")
    own = await ask(it)
    assert "Agree, show" not in (await it.get(own)).text
    refused = await post(it, own, "/visits/names", answer="agree")
    assert refused.status_code == 403 and "Only people with that duty see and do this" in refused.text
    about = await ask(it, "/visits?person=it-2")
    assert (await other.get(about)).status_code == 404
    assert (await post(other, about, "/visits/names", answer="agree")).status_code == 403
    desk = await site.signed_in(people.HELP_DESK)
    assert (await post(desk, own, "/visits/names", answer="agree")).status_code == 403
    assert await kinds(site) == [
        ("names.asked", people.IT),
        ("names.refused", people.IT),
        ("names.refused", people.HELP_DESK),
    ]
    assert (await it.get(SEARCH)).status_code == 303


async def test_reason_alone_shows_names_but_finds_nobody_unless_the_policy_says_otherwise(site: Site) -> None:
    await with_auditor(site)
    it = await site.signed_in(people.IT)
    answer = await post(it, "/visits/names", reason="A complaint", next="/visits?host=cardroom.example")
    assert answer.headers["location"] == "/visits?host=cardroom.example"
    assert "Finance, Clerk" in (await it.get("/visits")).text
    assert (await it.get(SEARCH)).status_code == 303
    site.state.policy_document.write_text(DOCUMENT + ALWAYS.replace("always", "never"))
    await site.until(lambda: site.admin.policy.second_person.value == "never")
    assert "Finance, Clerk" in (await it.get(SEARCH)).text


async def test_policy_can_want_a_second_person_always(site: Site) -> None:
    await with_auditor(site, ALWAYS)
    it, other = await site.signed_in(people.IT), await site.signed_in("it-2")
    asked = await ask(it, "/heavy")
    assert asked == await ask(it, "/heavy"), "what waits is not asked for twice"
    assert "Clerk" not in (await it.get("/visits")).text
    assert (await post(other, asked, answer="refuse")).status_code == 303
    assert "Not agreed" in (await it.get(asked)).text
    assert "Clerk" not in (await it.get("/visits")).text
    again = await ask(it)
    await post(other, again, answer="agree")
    assert "Finance, Clerk" in (await it.get("/visits")).text


async def test_first_answer_counts_and_none_comes_too_late(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    other = await site.signed_in("it-2")
    asked = await ask(it)
    await post(other, asked, answer="refuse")
    assert (await post(auditor, asked, "/visits/names", answer="agree")).status_code == 303
    assert (await it.get(SEARCH)).status_code == 303
    assert (await kinds(site))[1:] == [("names.not_agreed", "it-2"), ("names.refused", AUDITOR)]
    late = await ask(it)
    site.clock.at += timedelta(hours=4)
    auditor, it = await site.signed_in(AUDITOR), await site.signed_in(people.IT)
    assert "To decide (1)" not in (await auditor.get("/visits")).text
    await post(auditor, late, "/visits/names", answer="agree")
    assert "Nobody answered in time" in (await it.get(late)).text
    assert (await kinds(site, "NAMES-2"))[1:] == [("names.refused", AUDITOR)]
    assert (await it.get(SEARCH)).status_code == 303


async def test_agreement_is_for_the_session_that_asked(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    elsewhere = await site.signed_in(people.IT)
    await post(auditor, await ask(it), answer="agree")
    assert (await it.get(SEARCH)).status_code == 200
    assert (await elsewhere.get(SEARCH)).status_code == 303


async def test_agreement_shows_no_names_to_whoever_signs_in_after_the_one_who_asked(site: Site) -> None:
    await with_auditor(site)
    auditor, it = await site.signed_in(AUDITOR), await site.signed_in(people.IT)
    before, after = await ask(it), await ask(it, "/visits?person=head")
    await post(auditor, before, answer="agree")
    await post(it, "/sign-out", "/requests")
    # Its session has the number that was free again.
    desk = await site.signed_in(people.HELP_DESK)
    await post(auditor, after, answer="agree")
    assert "Clerk" not in (await desk.get("/visits")).text
    for search in (SEARCH, "/visits?person=head"):
        assert (await desk.get(search)).status_code == 303
    assert [shown.details["request"] for shown in await audit.events_of(site.admin.db, "visits")] == [
        "NAMES-1"
    ], "what was shown to nobody is not recorded as shown"


async def test_what_was_asked_is_over_with_the_session_that_asked(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    asked = await ask(it)
    await post(it, "/sign-out", "/requests")
    site.clock.at += timedelta(seconds=1)
    it = await site.signed_in(people.IT)
    assert asked not in (await auditor.get("/decide")).text
    assert "IT signed out where it was asked" in (await auditor.get(asked)).text
    await post(auditor, asked, "/visits/names", answer="agree")
    assert "You signed out where it was asked" in (await it.get(asked)).text
    assert await kinds(site) == [("names.asked", people.IT), ("names.refused", AUDITOR)]
    idle = await ask(it)
    site.clock.at += timedelta(hours=2)
    auditor = await site.signed_in(AUDITOR)
    await post(auditor, idle, "/visits/names", answer="agree")
    assert (await kinds(site, "NAMES-2"))[-1] == ("names.refused", AUDITOR)


async def test_nobody_agrees_any_more_once_who_asked_may_see_no_names(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    asked = await ask(it)
    site.state.policy_document.write_text(DOCUMENT.replace("it_security: [it, it-2]", "it_security: [it-2]"))
    await site.until(lambda: site.admin.policy.roles["it_security"] == ("it-2",))
    assert asked not in (await auditor.get("/decide")).text
    assert (await post(auditor, asked, "/visits/names", answer="agree")).status_code == 403
    assert await kinds(site) == [("names.asked", people.IT), ("names.refused", AUDITOR)]


async def test_agreement_elsewhere_is_said_to_be_elsewhere(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    elsewhere = await site.signed_in(people.IT)
    asked = await ask(it)
    await post(auditor, asked, answer="agree")
    assert "See the visits" in (await it.get(asked)).text
    shown = (await elsewhere.get(asked)).text
    assert "See the visits" not in shown and "Names are shown where you asked" in shown


async def test_town_administrator_agrees_where_nobody_else_may_see_names(site: Site) -> None:
    await site.log(visit())
    it, administrator = await site.signed_in(people.IT), await site.signed_in(people.ADMINISTRATOR)
    await post(administrator, await ask(it), answer="agree")
    assert "Finance, Clerk" in (await it.get(SEARCH)).text


async def test_page_says_so_where_nobody_may_agree_and_nothing_is_asked(site: Site) -> None:
    text = towns.DOCUMENT.replace("town_administrator: [administrator]", "town_administrator: [it]")
    site.state.policy_document.write_text(text)
    await site.until(lambda: site.admin.policy.roles["town_administrator"] == (people.IT,))
    it = await site.signed_in(people.IT)
    assert "There is nobody who may agree" in (await it.get(SEARCH, follow_redirects=True)).text
    refused = await post(it, "/visits/names", reason="A complaint", next=SEARCH)
    assert refused.status_code == 422 and "nothing was asked" in refused.text
    assert await site.admin.db.fetch_all("SELECT 1 FROM names_request") == []


async def test_those_who_may_agree_get_a_mail_and_who_asked_hears_the_answer(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    async with post_office() as office:
        await with_mail(site, office)
        asked = await ask(it)
        assert "Ann Auditor or More IT can agree. They get a mail" in (await it.get(asked)).text
        await site.until(lambda: len(office.messages) == 2)
        assert office.recipients == ["auditor@town.example", "it-2@town.example"]
        assert set(office.subjects) == {"[NAMES-1] A second person is needed, by Fri, March 6, 2:14 PM"}
        body = office.messages[0].get_body(("plain",))
        assert body is not None
        text = body.get_content()
        assert f"{site.url}{asked}" in text and "> A complaint" in text and "Clerk" not in text
        await post(auditor, asked, answer="agree")
        await site.until(lambda: len(office.messages) == 3)
    assert office.recipients[-1] == "it@town.example"
    assert office.subjects[-1] == "[NAMES-1] Agreed until Fri, March 6, 10:44 AM"


async def test_page_says_whom_to_tell_where_no_mail_goes_out(site: Site) -> None:
    await with_auditor(site)
    it = await site.signed_in(people.IT)
    shown = (await it.get(await ask(it))).text
    assert "Ann Auditor or More IT can agree. Tell them: they find it under To decide." in shown


async def test_no_mail_says_that_names_are_shown_to_who_is_signed_out(site: Site) -> None:
    await with_auditor(site)
    it, auditor = await site.signed_in(people.IT), await site.signed_in(AUDITOR)
    await post(auditor, await ask(it), answer="agree")
    await post(it, "/sign-out", "/requests")
    site.clock.at += timedelta(seconds=1)
    it = await site.signed_in(people.IT)
    await post(auditor, await ask(it), answer="refuse")
    async with post_office() as office:
        await with_mail(site, office)
        waiting = "SELECT 1 FROM letter WHERE channel = 'mail' AND state = 'waiting'"
        async with asyncio.timeout(60):
            while await site.admin.db.fetch_all(waiting):
                await asyncio.sleep(0.05)
    assert office.subjects == ["[NAMES-2] Not agreed"], "what is no longer so is dropped"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "Before they look for one person’s visits by name, another must agree."),
        (ALWAYS, "Another person must agree first."),
    ],
)
async def test_what_is_recorded_says_when_another_must_agree(site: Site, more: str, said: str) -> None:
    await with_auditor(site, more)
    assert said in (await site.client().get("/recorded")).text
