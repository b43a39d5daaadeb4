"""Allowing a person something for a while from a row of the visit log: a request like any other, by IT."""

import re

import httpx

from admin import audit
from admin.audit import EventKind
from policy.decision import Cause, Lane, Verdict
from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_api import program_of
from tests.admin.web.test_tokens_page import bearer, made


async def with_names(site: Site) -> httpx.AsyncClient:
    """Return IT's browser, with names shown."""
    it = await site.signed_in(people.IT)
    await post(it, "/visits/names", reason="A call to the help desk", case="")
    return it


async def test_what_it_asks_for_is_decided_by_the_head_and_opens_for_the_person_alone(site: Site) -> None:
    await site.log(visit())
    it = await with_names(site)
    (form,) = re.findall(r'href="([^"]+)">Allow Clerk for a while<', (await it.get("/visits")).text)
    page = (await it.get(form)).text
    assert "Ask for cardroom.example for Clerk" in page and "Gambling" in page
    assert "The department head" in page.partition("Who decides")[2]
    answer = await post(it, form, reason="Their charity report", duration="week")
    assert answer.headers["location"] == "/requests/1"
    head, clerk = await site.signed_in(people.HEAD), await site.signed_in(people.CLERK)
    page = (await head.get("/decide/1")).text
    assert "Allow cardroom.example for Clerk?" in page
    assert "Asked for by IT: Their charity report" in page, "nobody takes IT's words for the clerk's"
    assert "cardroom.example" in (await clerk.get("/requests")).text
    (sent,) = [
        e for e in await audit.events_of(site.admin.db, "REQ-1") if e.kind is EventKind.REQUEST_SUBMITTED
    ]
    assert (sent.actor, sent.details["person"]) == (people.IT, people.CLERK)
    await post(head, "/decide/1", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    (exemption,) = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).exemptions
    assert (exemption.host, exemption.person) == ("cardroom.example", people.CLERK)


async def test_programs_ask_so_too_once_names_are_shown_to_their_token(site: Site) -> None:
    await site.log(visit())
    it = await program_of(site, people.IT)
    path = await site.of_visit(1, "visits", "ask")
    asked = {"reason": "Their charity report", "duration": "week"}
    assert (await it.post(path, 403, **asked))["type"] == "/api#names-hidden"
    await it.post("/visits/names", reason="A call to the help desk")
    sent = await it.post(path, 201, **asked)
    assert (sent["number"], sent["site"], sent["state"]) == ("REQ-1", "cardroom.example", "submitted")
    assert (await it.post(path, 409, **asked))["type"] == "/api#asked-already"
    await it.post("/visits/1/ask", 404, **asked)


async def test_request_that_waits_already_is_led_to(site: Site) -> None:
    await site.log(visit())
    number = await site.sent_request()
    it = await with_names(site)
    form = await site.of_visit(1, "visits", "ask")
    answer = await post(it, form, reason="Their charity report", duration="week")
    assert answer.headers["location"] == f"/requests/{number}"


async def test_names_are_asked_for_first_and_the_form_says_what_is_missing(site: Site) -> None:
    await site.log(visit())
    it = await site.signed_in(people.IT)
    form = await site.of_visit(1, "visits", "ask")
    assert "Allow" not in (await it.get("/visits")).text.partition('id="visits"')[2]
    assert (await it.get(form)).headers["location"].startswith("/visits/names?next=")
    answer = await post(it, form, "/visits/names", reason="Needed", duration="week")
    assert answer.headers["location"].startswith("/visits/names?next=")
    it = await with_names(site)
    for fields, said in (
        ({"reason": " ", "duration": "week"}, "Enter what"),
        ({"reason": "Needed", "duration": ""}, "Choose for how long"),
        ({"reason": "x" * 495, "duration": "week"}, "500"),
    ):
        answer = await post(it, form, **fields)
        assert answer.status_code == 422 and said in answer.text, fields
    assert await site.admin.db.fetch_all("SELECT * FROM access_request") == []


async def test_nobody_asks_for_what_they_would_decide_nor_for_nobody(site: Site) -> None:
    await site.log(
        visit(host="bad.example", category="malware", cause=Cause.SECURITY_RISK, rule="security-risk"),
        visit(host="shared.example", person=None),
        visit(host="open.example", verdict=Verdict.ALLOW, lane=Lane.TUNNEL, cause=Cause.DEFAULT, rule=None),
        visit(host="odd.example", cause=Cause.MALFORMED, rule=None),
        visit(host="left.example", person="somebody-who-left"),
    )
    it = await with_names(site)
    statuses = [(await it.get(await site.of_visit(n, "visits", "ask"))).status_code for n in range(1, 6)]
    assert statuses == [403, 404, 404, 404, 404]
    assert (await it.get("/visits/1/ask")).status_code == 404
    desk = await site.signed_in(people.HELP_DESK)
    assert (await desk.get(await site.of_visit(3, "visits", "ask"))).status_code == 403
    refused = [
        event.actor
        for event in await audit.events_of(site.admin.db, "visits")
        if event.kind is EventKind.REQUEST_MOVE_REFUSED
    ]
    assert refused == [people.IT, people.HELP_DESK]


async def test_program_that_is_for_names_alone_sends_nothing_for_whom_it_sees(site: Site) -> None:
    await site.log(visit())
    it = await site.signed_in(people.IT)
    program, headers = site.client(), bearer(await made(it, "visits:read", "visits:names"))
    shown = await program.post("/api/v1/visits/names", json={"reason": "A call"}, headers=headers)
    assert shown.status_code == 200
    path = await site.of_visit(1, "api/v1/visits", "ask")
    asked = {"reason": "Their charity report", "duration": "week"}
    assert (await program.post(path, json=asked, headers=headers)).status_code == 403
    assert await site.admin.db.fetch_all("SELECT * FROM access_request") == []
