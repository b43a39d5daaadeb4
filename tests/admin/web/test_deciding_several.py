"""Several requests, one answer: chosen in the inbox, listed, asked again, each with an outcome of its own."""

import re
from datetime import timedelta

import httpx

from admin import audit
from admin.deciding_several import MOST
from policy.visit_record import new_code
from tests import people
from tests.admin.web.conftest import Site, post
from tests.admin.web.test_api import program_of
from tests.admin.web.test_personal_use import ASKED, FORM, FOUR_PM, offering
from tests.admin.web.test_who_may_do_what import DOCUMENT

BOTH = ("department_head", "it_security")


async def sent(site: Site, *hosts: str, person: str = people.CLERK, **changed: object) -> list[int]:
    """Send a request for each site; return their numbers."""
    return [await site.sent_request(person, host=host, code=new_code(), **changed) for host in hosts]


async def asks_again(head: httpx.AsyncClient, answer: str, *numbers: int) -> httpx.Response:
    """Choose some in the inbox."""
    return await head.get("/decide/several", params={"answer": answer, "request": [*map(str, numbers)]})


async def confirm(head: httpx.AsyncClient, shown: httpx.Response, **more: str) -> httpx.Response:
    """Send the form of the page that asks again, as it is."""
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', shown.text)
    data: dict[str, list[str]] = {}
    for name, value in hidden:
        data.setdefault(name, []).append(value)
    data["csrf_token"] = data["csrf_token"][:1]
    return await head.post("/decide/several", data={**data, **more})


def said(page: httpx.Response) -> str:
    """Return a page's words."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text.replace("\u00a0", " ")).split())


async def test_those_chosen_are_listed_with_their_risk_and_nothing_is_decided_yet(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    head = await site.signed_in(people.HEAD)
    inbox = await head.get("/decide")
    assert inbox.text.count('type="checkbox" name="request"') == 2
    page = said(await asks_again(head, "allow", 1, 2))
    for words in ("Allow these 2 requests?", "cardroom.example", "bingo.example", "No known risk"):
        assert words in page, words
    assert page.count("I need their charity report") == 2 and page.count("to Fri, March 13") == 2
    assert page.count("List entry") == 2 and page.count("Reach") == 2 and page.count("never asked") == 2
    assert len(await site.admin.db.fetch_all("SELECT 1 FROM access_request WHERE state = 'submitted'")) == 2


async def test_those_chosen_are_allowed_each_until_its_own_end(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    head = await site.signed_in(people.HEAD)
    shown = await asks_again(head, "allow", 1, 2)
    site.clock.at += timedelta(minutes=7)
    done = await confirm(head, shown)
    assert "Your 2 answers are recorded" in said(done)
    assert said(done).count("Allowed until Fri, March 13, 10:14 AM") == 2
    rows = await site.admin.db.fetch_all("SELECT expires_at, approved_by FROM exemption")
    assert {(row["expires_at"], row["approved_by"]) for row in rows} == {(1773411247_000, people.HEAD)}
    again = await confirm(head, shown)
    assert "0 of 2 answers are recorded" in said(again) and said(again).count("Answered already.") == 2
    assert len(await site.admin.db.fetch_all("SELECT 1 FROM exemption")) == 2


async def test_those_chosen_are_denied_with_one_reason_that_all_read(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    head = await site.signed_in(people.HEAD)
    shown = await asks_again(head, "deny", 1, 2)
    missing = await confirm(head, shown, reason="", other_reason=" ")
    assert missing.status_code == 422 and "Choose a reason, or enter one" in missing.text
    done = await confirm(head, missing, reason="Not needed for work")
    assert "Your 2 answers are recorded" in said(done) and said(done).count("Not approved") == 2
    rows = await site.admin.db.fetch_all("SELECT state, note FROM access_request")
    assert {(row["state"], row["note"]) for row in rows} == {("denied", "Not needed for work")}


async def test_what_changed_meanwhile_is_not_decided_and_the_others_are(site: Site) -> None:
    await sent(site, *(f"site-{n}.example" for n in range(1, 5)))
    head = await site.signed_in(people.HEAD)
    shown = await asks_again(head, "allow", 1, 2, 3, 4)
    await post(head, "/decide/1", answer="deny", step="0", reason="Not needed for work")
    async with site.admin.db.transaction() as t:
        await t.execute(
            "INSERT INTO access_request_host (access_request, host, added_by, added_at)"
            " VALUES (2, 'cdn.example', 'clerk', 1)"
        )
    site.state.policy_document.write_text(DOCUMENT.replace("asking:\n", "asking:\n  never: [dating]\n"))
    await site.until(lambda: bool(site.admin.policy.asking.never))
    async with site.admin.db.transaction() as t:
        await t.execute("UPDATE access_request SET category = 'dating' WHERE id = 3")
    done = said(await confirm(head, shown))
    assert "1 of 4 answers are recorded" in done
    for words in (
        "Not decided Answered already. Not approved.",
        "Not decided Hosts were added meanwhile. Look at them, then decide.",
        "site-4.example Clerk REQ-4 Allowed until Fri, March 13, 10:14 AM",
    ):
        assert words in done, words
    assert done.count("Not decided") == 3
    granted = await site.admin.db.fetch_all("SELECT access_request FROM exemption")
    assert [row["access_request"] for row in granted] == [4]


async def test_what_it_has_a_say_in_is_decided_alone(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    await sent(site, "dice.example", rule=None, approval=BOTH)
    head = await site.signed_in(people.HEAD)
    assert (await head.get("/decide")).text.count('type="checkbox" name="request"') == 2
    shown = await asks_again(head, "allow", 1, 3)
    assert "Allow this request?" in said(shown)
    assert "REQ-3: IT has a say in it: look at it and decide it alone." in said(shown)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', shown.text)[0]
    fields = {"csrf_token": token, "answer": "deny", "reason": "Not needed for work"}
    done = await head.post("/decide/several", data={**fields, "request": "3", "step-3": "0"})
    assert "0 of 1 answers are recorded" in said(done) and "IT has a say in it" in said(done)
    assert "Waiting for you" in said(await head.get("/requests/3"))
    refused = (await audit.events_of(site.admin.db, "REQ-3"))[-1]
    assert (refused.kind, refused.actor) == (audit.EventKind.REQUEST_MOVE_REFUSED, people.HEAD)
    assert refused.details["move"] == "deny" and "IT has a say in it" in str(refused.details["why"])


async def test_own_and_others_requests_are_refused_and_recorded_as_alone(site: Site) -> None:
    (own,) = await sent(site, "cardroom.example", person=people.HEAD)
    (theirs,) = await sent(site, "bingo.example")
    parks, head = await site.signed_in(people.PARKS_HEAD), await site.signed_in(people.HEAD)
    page = said(await asks_again(head, "allow", own, theirs, 99))
    assert "This is your own request. It waits for the town administrator." in page
    assert "REQ-99: There is no such request, or it is for someone else." in page
    nothing = await asks_again(parks, "allow", theirs)
    assert "Nothing of this can be decided" in said(nothing) and "bingo.example" not in nothing.text
    token = re.findall(r'name="csrf_token" value="([^"]+)"', nothing.text)[0]
    fields = {"csrf_token": token, "answer": "deny", "reason": "Not needed for work", "request": str(theirs)}
    done = await parks.post("/decide/several", data=fields)
    assert "There is no such request, or it is for someone else." in said(done)
    assert "bingo.example" not in done.text
    rows = await site.admin.db.fetch_all("SELECT actor FROM event WHERE kind = 'request.move_refused'")
    assert [row["actor"] for row in rows] == [people.PARKS_HEAD]


async def test_none_chosen_or_too_many_leads_back_to_the_list(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    head = await site.signed_in(people.HEAD)
    none = await asks_again(head, "allow")
    assert none.status_code == 422 and "Choose at least one request" in none.text
    many = await asks_again(head, "allow", *range(1, MOST + 2))
    assert many.status_code == 422 and f"Choose {MOST} requests at most; these are {MOST + 1}" in many.text


async def test_as_many_as_may_be_are_decided_by_one_form(site: Site) -> None:
    site.state.policy_document.write_text(DOCUMENT + "  per_day: 50\n")
    await site.until(lambda: site.admin.policy.asking.per_day == 50)
    numbers = await sent(site, *(f"site-{n}.example" for n in range(MOST)))
    head = await site.signed_in(people.HEAD)
    done = await confirm(head, await asks_again(head, "allow", *numbers))
    assert f"Your {MOST} answers are recorded" in said(done)


async def test_what_was_withdrawn_meanwhile_is_not_said_to_be_answered(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    head = await site.signed_in(people.HEAD)
    shown = await asks_again(head, "allow", 1, 2)
    await post(await site.signed_in(people.CLERK), "/requests/1/withdraw")
    done = said(await confirm(head, shown))
    assert "1 of 2 answers are recorded" in done
    assert "Not decided Withdrawn." in done and "Answered already" not in done


async def test_what_is_over_is_not_decided_among_others_and_said_to_be_over(site: Site) -> None:
    await offering(site)
    await post(await site.signed_in(people.CLERK), FORM, **ASKED)
    head = await site.signed_in(people.HEAD)
    shown = await asks_again(head, "allow", 1)
    assert "Allow this request?" in said(shown)
    site.clock.at = FOUR_PM
    head = await site.signed_in(people.HEAD)
    over = await asks_again(head, "allow", 1)
    assert "Nothing of this can be decided" in said(over) and "REQ-1: Its time is over." in said(over)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', shown.text))
    token = re.findall(r'name="csrf_token" value="([^"]+)"', over.text)[0]
    done = await head.post("/decide/several", data={**hidden, "csrf_token": token})
    assert "0 of 1 answers are recorded" in said(done) and "Its time is over." in said(done)


async def test_site_that_several_ask_for_is_one_card_that_chooses_them_all(site: Site) -> None:
    await sent(site, "cardroom.example")
    await sent(site, "bingo.example")
    await sent(site, "cardroom.example", person=people.HEAD)
    await sent(site, "cardroom.example", person=people.PARKS_HEAD, department="parks")
    administrator = await site.signed_in(people.ADMINISTRATOR)
    inbox = await administrator.get("/decide")
    assert inbox.text.count('<li class="card">') == 1
    assert "2 requests for it" in said(inbox) and "Choose these 2" in said(inbox)
    chosen = re.findall(r'name="request" id="[^"]+" value="([^"]+)"', inbox.text)
    assert chosen == ["3 4"]
    shown = await administrator.get("/decide/several", params={"answer": "allow", "request": chosen})
    assert "Allow these 2 requests?" in said(shown)
    assert "Your 2 answers are recorded" in said(await confirm(administrator, shown))


async def test_downloads_of_a_site_are_one_card_where_the_same_limit_or_rule_stops_them(site: Site) -> None:
    stops = "categories: [press], action: block, approval: [department_head]"
    rules = "rules:\n" + "".join(
        f"  - {{id: {id_}, file_types: [{kind}], {stops}}}\n"
        for id_, kind in (("no-programs", "executable"), ("no-archives", "archive"))
    )
    limits = (
        "limits:\n  - {id: large, hosts: [news.example], larger_than: 1GB, action: ask,"
        " approval: [department_head]}\n"
    )
    site.state.policy_document.write_text(DOCUMENT.replace("rules:\n", rules) + limits)
    await site.until(lambda: bool(site.admin.policy.limits))
    stopped = ("no-programs", "no-archives", "large")
    for rule in stopped:
        await sent(site, "news.example", person=people.HEAD, rule=rule, duration="once")
    of_parks = {"person": people.PARKS_HEAD, "department": "parks"}
    await sent(site, "news.example", rule="large", duration="once", **of_parks)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    inbox = await administrator.get("/decide")
    assert inbox.text.count('<li class="card">') == 3
    chosen = re.findall(r'name="request" id="[^"]+" value="([^"]+)"', inbox.text)
    assert sorted(chosen) == ["1", "2", "3 4"]
    asked_about = ("programs", "archives", "more than 1 GB")
    for what in asked_about:
        assert f"Stopped there: a download of {what}" in said(inbox), what
    shown = await administrator.get("/decide/several", params={"answer": "allow", "request": chosen})
    for what in asked_about:
        assert f"Stopped there a download of {what}" in said(shown), what


async def test_several_are_decided_by_a_program_with_an_outcome_each(site: Site) -> None:
    await sent(site, "cardroom.example", "bingo.example")
    await sent(site, "dice.example", rule=None, approval=BOTH)
    head = await program_of(site, people.HEAD)
    chosen = [{"id": number, "step": 0} for number in (1, 2, 3, 99)]
    items = (await head.post("/requests/decide", answer="allow", requests=chosen))["items"]
    assert [(item["id"], item["is_decided"], item["why_not"]) for item in items] == [
        (1, True, None),
        (2, True, None),
        (3, False, "IT has a say in it: look at it and decide it alone."),
        (99, False, "There is no such request, or it is for someone else."),
    ]
    assert items[0]["request"]["status"] == "Allowed until Fri, March 13, 10:14 AM"
    assert items[2]["request"]["state"] == "submitted" and items[3]["request"] is None
    await sent(site, "poker.example")
    refused = await head.post("/requests/decide", 422, answer="deny", requests=[{"id": 4, "step": 0}])
    assert [error["field"] for error in refused["errors"]] == ["reason"]
    denied = await head.post(
        "/requests/decide", answer="deny", reason="Use another site", requests=[{"id": 4, "step": 0}]
    )
    assert denied["items"][0]["request"]["note"] == "Use another site"
    too_many = [{"id": number, "step": 0} for number in range(1, MOST + 2)]
    await head.post("/requests/decide", 422, answer="allow", requests=too_many)
