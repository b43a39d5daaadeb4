"""Deciding through the pages, and who is told why they may not."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx

from admin import exemptions
from admin.corrections import correct
from policy.town_policy import AfterApproval
from tests import people, towns
from tests.admin.web.conftest import PASSWORD, Site, post, visit


async def test_head_sees_what_a_decision_needs(site: Site) -> None:
    await site.log(*(visit(site.clock.at - timedelta(days=n)) for n in range(6)))
    await site.sent_request()
    page = (await (await site.signed_in(people.HEAD)).get("/decide/1")).text.replace("\u00a0", " ")
    for said in (
        "Allow cardroom.example for Clerk?",
        "I need their charity report for the grant file.",
        "Gambling",
        "No known risk",
        "6 tries, under 3 people",
        "never asked",
        "Allow until",
    ):
        assert said in page, said


async def test_reach_of_three_people_is_counted(site: Site) -> None:
    await site.log(*(visit(person=None, device=f"FIN-PC-{n}") for n in range(3)))
    await site.sent_request()
    page = (await (await site.signed_in(people.HEAD)).get("/decide/1")).text.replace("\u00a0", " ")
    assert "3 tries, 3 people" in page


async def test_access_ends_at_the_very_time_that_was_on_the_button(site: Site) -> None:
    await site.sent_request()
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/decide/1")).text
    on_button = page.partition('name="expires_at" value="')[2].partition('"')[0]
    site.clock.at += timedelta(minutes=7)
    answer = await post(head, "/decide/1", answer="allow", step="0", expires_at=on_button)
    assert answer.headers["location"] == "/decide/1/done"
    granted = await site.admin.db.fetch_one("SELECT expires_at FROM exemption")
    assert granted is not None and granted["expires_at"] == 1773411247_000
    assert "Open now, until" in (await head.get("/decide/1/done")).text


async def test_time_that_has_passed_meanwhile_is_asked_for_again(site: Site) -> None:
    await site.sent_request()
    head = await site.signed_in(people.HEAD)
    past = site.clock.at.isoformat()
    for expires_at in (past, "soon", "2026-03-07T10:00:00", "2199-01-01T00:00:00+00:00"):
        answer = await post(head, "/decide/1", answer="allow", expires_at=expires_at)
        assert answer.status_code == 422
        assert 'id="expires_at"' in answer.text
    assert "Waiting for you" in (await head.get("/requests/1")).text


async def test_not_allowing_needs_a_reason_which_the_asker_reads(site: Site) -> None:
    client = await site.asking()
    await post(client, "/ask/K7M-4QP", reason="Please.", duration="hour", for_whom="person")
    head = await site.signed_in(people.HEAD)
    answer = await post(head, "/decide/1", answer="deny", reason="", other_reason=" ")
    assert answer.status_code == 422
    assert "Choose a reason, or enter one" in answer.text
    answer = await post(head, "/decide/1", answer="deny", reason="", other_reason="Ask Parks for theirs")
    assert answer.status_code == 303
    page = (await client.get("/requests/1")).text
    assert "Not approved" in page and "Ask Parks for theirs" in page


async def test_no_one_decides_on_their_own_request(site: Site) -> None:
    await site.sent_request(people.HEAD)
    head = await site.signed_in(people.HEAD)
    shown = await head.get("/decide/1")
    assert shown.status_code == 403
    assert "This is your own request" in shown.text and "the town administrator" in shown.text
    answer = await post(head, "/decide/1", "/requests", answer="deny", reason="Use another site")
    assert answer.status_code == 403
    assert "This is your own request" in answer.text
    assert await _refused_moves(site) == [people.HEAD]


async def test_head_of_parks_cannot_decide_on_a_request_from_finance(site: Site) -> None:
    await site.sent_request()
    parks = await site.signed_in(people.PARKS_HEAD)
    assert (await parks.get("/decide/1")).status_code == 404
    answer = await post(parks, "/decide/1", "/decide", answer="deny", reason="Use another site")
    assert answer.status_code == 403
    assert "the department head" in answer.text
    assert await _refused_moves(site) == [people.PARKS_HEAD]


async def test_browser_that_only_asked_decides_nothing(site: Site) -> None:
    client = await site.asking(people.HEAD, code="H7M-4QP")
    await site.sent_request()
    answer = await post(client, "/decide/1", "/ask/H7M-4QP", answer="deny", reason="Use another site")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    assert "Waiting for" in (await (await site.signed_in(people.CLERK)).get("/requests/1")).text


async def test_second_answer_is_told_who_was_first(site: Site) -> None:
    await site.sent_request(people.HEAD)
    first = await site.signed_in(people.ADMINISTRATOR)
    second = await site.signed_in(people.ADMINISTRATOR)
    assert (
        await post(first, "/decide/1", answer="deny", step="0", reason="Use another site")
    ).status_code == 303
    late = await post(
        second,
        "/decide/1",
        "/decide",
        answer="allow",
        step="0",
        expires_at=(site.clock.at + timedelta(hours=1)).isoformat(),
    )
    assert late.status_code == 409
    said = re.sub(r"<[^>]+>", "", late.text).replace("\u00a0", " ")
    assert "Already decided" in said and "You did not allow this at 10:14 AM. Nothing changed." in said


async def test_of_two_answers_at_once_one_counts(site: Site) -> None:
    await site.sent_request()
    browsers = [await site.signed_in(people.HEAD) for _ in range(2)]
    answers = await asyncio.gather(
        *(
            post(browser, "/decide/1", "/decide", answer="deny", step="0", reason="Use another site")
            for browser in browsers
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]


async def test_reloading_the_page_after_a_decision_decides_nothing(site: Site) -> None:
    await site.sent_request()
    await site.sent_request(code="H7M-4QP", host="otherroom.example")
    head = await site.signed_in(people.HEAD)
    await post(head, "/decide/1", answer="deny", step="0", reason="Use another site")
    for _ in range(2):
        page = await head.get("/decide/1/done")
        assert page.status_code == 200
    assert "Next request (1)" in page.text
    assert (await head.get("/decide/1")).headers["location"] == "/decide/1/done"


async def test_earlier_access_that_was_stopped_is_told_with_who_stopped_it_and_why(site: Site) -> None:
    await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await post(head, "/decide/1", answer="deny", reason="Not needed for work")
    await site.sent_request(code="H7M-4QP")
    await post(head, "/decide/2", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    third = await site.sent_request(code="A7M-4QP")
    facts = await _facts(head, third)
    assert facts["Earlier"] == "allowed Fri, March 6 to Fri, March 13"
    assert facts["Before that"] == "not allowed Fri, March 6: “Not needed for work”"
    it = await site.signed_in(people.IT)
    await post(it, "/decide/2/stop", "/decide/2/done?stop=yes", reason="It served malware.")
    assert (await _facts(head, third))["Earlier"] == "stopped by IT Fri, March 6: “It served malware.”"


async def test_earlier_request_that_was_approved_and_not_opened_is_told_as_that(site: Site) -> None:
    waits = towns.DOCUMENT.replace("rules:\n", "after_approval: wait_for_it\nrules:\n", 1)
    site.state.policy_document.write_text(waits)
    await site.until(lambda: site.admin.policy.after_approval is AfterApproval.WAIT_FOR_IT)
    await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await post(head, "/decide/1", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    await site.sent_request(people.HEAD, code="H7M-4QP")
    administrator = await site.signed_in(people.ADMINISTRATOR)
    facts = await _facts(administrator, 2)
    assert facts["Earlier"] == "approved Fri, March 6, waiting for IT to open it"


async def _facts(client: httpx.AsyncClient, number: int) -> dict[str, str]:
    """Return what the page to decide says of a request, by the names of its facts."""
    page = (await client.get(f"/decide/{number}")).text.replace("\u00a0", " ")
    found = re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", page, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", "", said).split()) for name, said in found}


async def test_access_is_stopped_with_a_reason(site: Site) -> None:
    await site.sent_request()
    head = await site.signed_in(people.HEAD)
    expires_at = (site.clock.at + timedelta(days=7)).isoformat()
    await post(head, "/decide/1", answer="allow", step="0", expires_at=expires_at)
    it = await site.signed_in(people.IT)
    listed = (await it.get("/exemptions")).text
    assert "cardroom.example" in listed and "/decide/1/done?stop=yes" in listed
    answer = await post(it, "/decide/1/stop", "/decide/1/done?stop=yes", reason="")
    assert answer.status_code == 422 and "Enter why it ends" in answer.text
    answer = await post(
        it, "/decide/1/stop", "/decide/1/done?stop=yes", reason="It spreads harmful software."
    )
    assert answer.status_code == 303
    clerk = await site.signed_in(people.CLERK)
    page = (await clerk.get("/requests/1")).text
    assert "Stopped by IT" in page and "It spreads harmful software." in page
    assert "Nothing is open" in (await it.get("/exemptions")).text


async def test_security_risk_is_shown_as_one(site: Site) -> None:
    await site.sent_request(
        category="phishing", host="phish.example", rule="security-risk", approval=("it_security",)
    )
    page = (await (await site.signed_in(people.IT)).get("/decide/1")).text
    assert "A known security risk" in page and "No known risk" not in page
    assert "you accept this risk for the town" in page


async def test_head_is_not_offered_a_site_that_has_become_a_security_risk(site: Site) -> None:
    await correct(
        site.admin.db,
        "cardroom.example",
        ["phishing", "malware"],
        why="A copy of the bank's page",
        actor=people.IT,
        at=site.clock.at,
        seen=None,
    )
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    assert (await head.get(f"/decide/{number}")).status_code == 404
    it = await site.signed_in(people.IT)
    page = (await it.get(f"/decide/{number}")).text
    assert "you accept these risks for the town" in page and "Malware, Phishing" in page
    answer = await post(
        it, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00"
    )
    assert answer.status_code == 303
    (exemption,) = await exemptions.live(site.admin.db, site.clock.at)
    assert exemption.accepted_risks == {"phishing", "malware"}


async def test_second_approver_is_named_and_asked_after_the_first(site: Site) -> None:
    await site.sent_request(rule=None, approval=("department_head", "it_security"))
    head = await site.signed_in(people.HEAD)
    assert "Then IT security decides" in (await head.get("/decide/1")).text
    expires_at = (site.clock.at + timedelta(days=7)).isoformat()
    await post(head, "/decide/1", answer="allow", step="0", expires_at=expires_at)
    assert "Your answer is recorded" in (await head.get("/decide/1/done")).text
    it = await site.signed_in(people.IT)
    assert "cardroom.example" in (await it.get("/decide")).text
    await post(it, "/decide/1", answer="allow", step="1", expires_at=expires_at)
    assert "Open now, until" in (await it.get("/decide/1/done")).text


async def test_pages_of_it_are_for_it(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    for path in ("/today", "/visits", "/visits/1/why"):
        assert (await head.get(path)).status_code == 403, path
    assert PASSWORD not in (await head.get("/visits")).text


async def _refused_moves(site: Site) -> list[str]:
    rows = await site.admin.db.fetch_all("SELECT actor FROM event WHERE kind = 'request.move_refused'")
    return [row["actor"] for row in rows]


async def test_access_for_today_is_said_to_end_today(site: Site) -> None:
    client = await site.asking()
    await post(client, "/ask/K7M-4QP", reason="For the file.", duration="today", for_whom="person")
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/decide/1")).text.replace("\u00a0", " ")
    assert "this person, to <time" in page and "Fri, March 6</time>" in page
    asked_end = re.search(r'name="expires_at" value="([^"]+)"><span>Allow until <time[^>]*>([^<]+)<', page)
    assert asked_end is not None and asked_end[2] == "Fri, March 6, 11:59 PM"
    await post(head, "/decide/1", answer="allow", step="0", expires_at=asked_end[1])
    assert "until Fri, March 6, 11:59 PM" in (await head.get("/decide/1/done")).text.replace("\u00a0", " ")
    asker_sees = (await client.get("/requests/1")).text.replace("\u00a0", " ")
    assert "11:59 PM" in asker_sees and "12 AM" not in asker_sees
    (exemption,) = await exemptions.live(site.admin.db, site.clock.at)
    assert exemption.expires_at == datetime(2026, 3, 7, 5, tzinfo=UTC)


async def test_who_did_not_ask_is_told_for_whom_it_opens_and_not_to_load_it(site: Site) -> None:
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    asker = await site.signed_in(people.CLERK)
    assert "again: it opens." in (await asker.get(f"/requests/{number}")).text
    page = (await head.get(f"/requests/{number}")).text
    assert "<p>It opens for Clerk.</p>" in page and "again: it opens" not in page
