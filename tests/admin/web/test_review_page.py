"""The board: what was opened lately is left open or stopped, and of two people of IT one wins."""

import asyncio

import pytest

from admin import audit, corrections, exemptions
from admin.audit import EventKind
from policy.snapshot import PolicySnapshot
from tests import people, towns
from tests.admin.web.conftest import Site, post
from tests.admin.web.test_social_media import allow
from tests.admin.web.test_standing_permission import ASKED, FORM, allowing
from tests.people import HEAD, IT

UNTIL = "2026-03-13T15:14:07+00:00"


async def opened(site: Site, **changed: object) -> int:
    number = await site.sent_request(**changed)
    head = await site.signed_in(HEAD)
    answer = await post(head, f"/decide/{number}", answer="allow", step="0", expires_at=UNTIL)
    assert answer.status_code == 303
    return number


async def test_access_is_stopped_from_the_board_and_all_concerned_are_told(site: Site) -> None:
    number = await opened(site)
    it = await site.signed_in(IT)
    board = (await it.get("/review")).text
    assert "Opened lately" in board and "cardroom.example" in board and "To review (1)" in board
    empty = await post(it, f"/review/requests/{number}/stop", "/review", reason=" ")
    assert empty.status_code == 422 and "Enter why" in empty.text
    answer = await post(it, f"/review/requests/{number}/stop", "/review", reason="A copy of the bank's page")
    done = (await it.get(answer.headers["location"])).text
    assert "Closed everywhere since" in done and "Nothing to review" in done
    assert PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).exemptions == ()
    page = (await (await site.signed_in(people.CLERK)).get(f"/requests/{number}")).text
    assert "Stopped by IT" in page and "A copy of the bank&#39;s page" in page
    rows = await site.admin.db.fetch_all("SELECT recipient FROM letter WHERE kind = 'request_stopped'")
    assert {row["recipient"] for row in rows} == {people.CLERK, people.HEAD}
    tickets = await site.admin.db.fetch_all("SELECT recipient FROM letter WHERE kind = 'ticket_stopped'")
    assert {row["recipient"] for row in tickets} == {"help_desk"}


async def test_what_is_left_open_leaves_the_board_and_stays_open(site: Site) -> None:
    number = await opened(site)
    it = await site.signed_in(IT)
    answer = await post(it, f"/review/requests/{number}/leave-open", "/review")
    assert answer.status_code == 303
    assert "Nothing to review" in (await it.get("/review")).text
    assert len(await exemptions.live(site.admin.db, site.clock.at)) == 1
    page = (await it.get(f"/requests/{number}")).text
    assert "looked at it and left it open" in page


async def test_of_two_of_it_who_decide_at_once_one_wins_and_the_other_is_told(site: Site) -> None:
    number = await opened(site)
    first, second = await site.signed_in(IT), await site.signed_in(IT)
    answers = await asyncio.gather(
        post(first, f"/review/requests/{number}/stop", "/review", reason="Not safe"),
        post(second, f"/review/requests/{number}/stop", "/review", reason="Not safe, really"),
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert "Nothing changed" in next(a for a in answers if a.status_code == 409).text
    late = await post(second, f"/review/requests/{number}/leave-open", "/requests")
    assert late.status_code == 409 and "stopped this" in late.text


async def test_who_leaves_open_second_is_told(site: Site) -> None:
    number = await opened(site)
    it = await site.signed_in(IT)
    await post(it, f"/review/requests/{number}/leave-open", "/review")
    late = await post(it, f"/review/requests/{number}/leave-open", "/requests")
    assert late.status_code == 409 and "IT looked at this and left it open" in late.text


async def test_nobody_of_it_leaves_their_own_access_open(site: Site) -> None:
    terms = "asking: {emergency_access: {people: [it], reviewed_by: town_administrator}}\n"
    more_it = towns.DOCUMENT.replace("it_security: [it]", "it_security: [it, administrator]")
    site.state.policy_document.write_text(more_it + terms)
    await site.admin._publisher.reload_document()
    it, other = await site.signed_in(IT), await site.signed_in(people.ADMINISTRATOR)
    asked = {"site": "cardroom.example", "reason": "A caller reports a threat."}
    assert (await post(it, "/requests/emergency", **asked)).headers.get("location") == "/requests/1"
    leave_open = "/review/requests/1/leave-open"
    assert (
        "Another of IT looks at it" in (board := (await it.get("/review")).text) and leave_open not in board
    )
    refused = await post(it, leave_open, "/review")
    assert refused.status_code == 403 and "This is your own request" in refused.text
    event = (await audit.events_of(site.admin.db, "REQ-1"))[-1]
    assert (event.kind, event.actor, event.details["move"]) == (
        EventKind.REQUEST_MOVE_REFUSED,
        IT,
        "leave open",
    )
    assert leave_open in (await other.get("/review")).text
    assert (await post(other, leave_open, "/review")).status_code == 303


@pytest.mark.parametrize("person", [people.HEAD, people.HELP_DESK, people.CLERK])
async def test_only_it_leaves_open(site: Site, person: str) -> None:
    number = await opened(site)
    client = await site.signed_in(person)
    answer = await post(client, f"/review/requests/{number}/leave-open", "/requests")
    assert answer.status_code == 403
    assert "To review" not in (await client.get("/requests")).text


async def test_access_that_becomes_a_security_risk_says_so_and_counts_again(site: Site) -> None:
    number = await opened(site)
    correction = {"why": "So", "actor": IT, "at": site.clock.at}
    made = await corrections.correct(site.admin.db, "cardroom.example", ["phishing"], seen=None, **correction)
    clerk, it = await site.signed_in(people.CLERK), await site.signed_in(IT)

    async def page_says(words: str) -> None:
        async with asyncio.timeout(30):
            while words not in (await clerk.get(f"/requests/{number}")).text:
                await asyncio.sleep(0.1)

    await page_says("Paused: now a security risk")
    assert "is now listed as Phishing" in (await clerk.get(f"/requests/{number}")).text
    for path in ("/review", "/exemptions"):
        assert "Paused: now a security risk" in (await it.get(path)).text
    await corrections.undo(site.admin.db, "cardroom.example", seen=made.id, **correction)
    await page_says("Allowed until")
    assert "Access counts again" in (await clerk.get(f"/requests/{number}")).text


async def test_board_says_nothing_of_lists_where_no_site_was_asked_for(site: Site) -> None:
    await allowing(site)
    await post(await site.signed_in(HEAD), FORM, **ASKED)
    assert (await allow(await site.signed_in(people.ADMINISTRATOR), 1, 0)).status_code == 303
    it = await site.signed_in(IT)
    board = (await it.get("/review")).text
    assert ASKED["reason"] in board and "Not listed" not in board
    assert "For everyone in Finance, by the town administrator" in board
    done = await post(it, "/review/requests/1/stop", "/review", reason="The case is closed")
    assert (
        "Done, sites listed as Gambling. Closed everywhere" in (await it.get(done.headers["location"])).text
    )
