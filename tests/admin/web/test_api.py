"""The API below /api/v1, with real tokens: what it does, shows and refuses, and how often it may be used."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from admin.audit import EventKind
from admin.used_downloads import UsedDownloads
from policy import state_names
from policy.visit import Client
from tests import people, towns
from tests.admin.counted_use import write_use
from tests.admin.web import test_own_device, test_standing_permission
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.admin.web.test_heavy_page import DOWNLOAD, tell, updates
from tests.admin.web.test_limit_pages import DOCUMENT as LIMITED
from tests.admin.web.test_limit_pages import NOT_LISTED, published, stopped, with_limits
from tests.admin.web.test_tokens_page import bearer, events
from tests.admin.web.test_weekly_page import REPORTING, log_a_week, with_report
from tests.admin.web.test_who_may_do_what import new_token


class Program:
    """A program with a token."""

    def __init__(self, client: httpx.AsyncClient, text: str) -> None:
        self._client = client
        self._headers = bearer(text)

    async def get(self, path: str, status: int = 200, **query: str | int) -> Any:
        """Return what is answered."""
        answer = await self._client.get(_at(path), params=query or None, headers=self._headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, status: int = 200, **body: object) -> Any:
        """Send something; return what is answered."""
        answer = await self._client.post(_at(path), json=body or None, headers=self._headers)
        assert answer.status_code == status, answer.text
        return answer.json()


def _at(path: str) -> str:
    return path if path.startswith("/api/") else f"/api/v1{path}"


async def program_of(site: Site, person: str, name: str = "Grant files") -> Program:
    """Return a program with a token for whatever a person's can be for."""
    return Program(site.client(), await new_token(site, person, name))


async def test_a_request_goes_its_way_by_programs_alone(site: Site) -> None:
    clerk, head = await program_of(site, people.CLERK), await program_of(site, people.HEAD)
    asked = {"reason": "Their charity report.", "duration": "week", "for_whom": "person"}
    sent = await clerk.post("/requests", 201, site="https://www.cardroom.example/x", **asked)
    assert (sent["number"], sent["site"], sent["state"]) == ("REQ-1", "cardroom.example", "submitted")
    assert sent["status"] == "Waiting for your department head"
    assert [one["id"] for one in (await head.get("/requests", show="to_decide"))["items"]] == [1]
    assert (await head.get("/requests/1"))["status"] == "Waiting for you"
    until = "2026-03-13T22:00:00Z"
    allowed = await head.post("/requests/1/approve", step=0, expires_at=until)
    assert allowed["status"] == "Allowed until Fri, March 13, 6 PM" and allowed["expires_at"] == until
    again = await head.post("/requests/1/deny", 409, step=0, reason="Not needed for work")
    assert again == {
        "type": "/api#already-decided",
        "title": "Already decided",
        "status": 409,
        "detail": "Allowed until Fri, March 13, 6 PM. Nothing changed.",
    }
    open_already = await clerk.post("/requests", 409, site="cardroom.example", **asked)
    assert open_already["type"] == "/api#already-open"
    seen = await clerk.get("/requests/1")
    assert [(move["who"], move["what"]) for move in seen["moves"]] == [
        ("you", "submitted"),
        ("your department head", "approved"),
    ]
    it = await program_of(site, people.IT)
    assert [one["id"] for one in (await it.get("/review/opened"))["items"]] == [1]
    stopped = await head.post("/requests/1/stop", reason="The report is there.")
    assert stopped["state"] == "stopped"
    assert (await clerk.get("/requests/1"))["note"] == "The report is there."


async def test_who_decides_by_a_program_is_told_what_the_page_tells(site: Site) -> None:
    clerk, head = await program_of(site, people.CLERK), await program_of(site, people.HEAD)
    await site.log(*(visit(site.clock.at - timedelta(days=n)) for n in range(6)))
    await site.sent_request()
    await head.post("/requests/1/deny", step=0, reason="Not needed for work")
    await site.sent_request(code="H7M-4QP")
    told = (await head.get("/requests/2"))["to_decide"]
    assert (told["entry"], told["source"]) == ("cardroom.example", "starter")
    assert told["reach"] == {"tries": 6, "people": None}
    assert told["use"] is None and told["ends_at"] == "2026-03-13T14:14:07Z"
    (earlier,) = told["earlier"]
    assert earlier["state"] == "denied" and earlier["note"] == "Not needed for work"
    assert earlier["said"] == "not allowed Fri, March 6: “Not needed for work”"
    assert (await clerk.get("/requests/2"))["to_decide"] is None
    assert (await (await program_of(site, people.IT)).get("/requests/2"))["to_decide"] is None


async def test_program_that_asks_again_is_told_the_answer_of_lately(site: Site) -> None:
    clerk, head = await program_of(site, people.CLERK), await program_of(site, people.HEAD)
    body = {"site": "cardroom.example", "reason": "For the file.", "duration": "week", "for_whom": "person"}
    assert (await clerk.post("/requests", 201, **body))["answered_before"] is None
    await head.post("/requests/1/deny", step=0, reason="The library has a copy.")
    told = (await clerk.post("/requests", 201, **body))["answered_before"]
    assert (told["state"], told["note"]) == ("denied", "The library has a copy.")


async def test_program_of_a_colleague_is_told_which_request_to_join(site: Site) -> None:
    colleague = "people:\n  colleague: {name: Colleague, department: finance}\n"
    site.state.policy_document.write_text(towns.DOCUMENT.replace("people:\n", colleague, 1))
    await site.until(lambda: "colleague" in site.admin.policy.people)
    await site.sent_request()
    program = await program_of(site, "colleague")
    body = {"site": "cardroom.example", "reason": "I do, too.", "duration": "week", "for_whom": "person"}
    told = await program.post("/requests", 409, **body)
    assert told["type"] == "/api#join-instead"
    assert told["detail"].startswith("REQ-1 waits for an answer: join it by POST /api/v1/requests/join.")
    joined = await program.post("/requests/join", site="cardroom.example")
    assert joined["number"] == "REQ-1" and [one["id"] for one in joined["joined"]] == ["colleague"]


async def test_program_whose_download_was_stopped_is_told_how_to_join_a_colleagues_request(
    site: Site,
) -> None:
    colleague = "people:\n  colleague: {name: Colleague, department: finance}\n"
    site.state.policy_document.write_text(LIMITED.replace("people:\n", colleague, 1))
    await site.until(lambda: "colleague" in site.admin.policy.people and bool(site.admin.policy.limits))
    await site.sent_request(duration="today", host="iso.example", rule="asked", **NOT_LISTED)
    await site.log(stopped("asked", "iso.example", "over", person="colleague", device=None))
    program = await program_of(site, "colleague")
    (visit,) = (one["id"] for one in (await program.get("/stopped"))["items"])
    body = {"reason": "I do, too.", "duration": "today", "for_whom": "person"}
    told = await program.post(f"/stopped/{visit}/ask", 409, **body)
    assert told["type"] == "/api#join-instead"
    path = f"/api/v1/stopped/{visit}/join"
    assert told["detail"] == f"REQ-1 waits for an answer: join it by POST {path}. Nothing changed."
    joined = await program.post(path)
    assert joined["number"] == "REQ-1" and [one["id"] for one in joined["joined"]] == ["colleague"]


async def test_program_asks_for_one_download_and_is_told_that_it_is_used(site: Site) -> None:
    site.state.policy_document.write_text(LIMITED)
    await site.until(lambda: bool(site.admin.policy.limits))
    await site.log(stopped("asked", "iso.example", "over"))
    clerk, head = await program_of(site, people.CLERK), await program_of(site, people.HEAD)
    (visit,) = (one["id"] for one in (await clerk.get("/stopped"))["items"])
    body = {"reason": "A manual.", "duration": "once", "for_whom": "person"}
    asked = await clerk.post(f"/stopped/{visit}/ask", 201, **body)
    assert (asked["kind"], asked["duration"], asked["used_at"]) == ("download", "once", None)
    await head.post("/requests/1/approve", step=0)
    (access,) = published(site).exemptions
    (site.state.spool / state_names.claim(access.id, access.granted_at)).touch()
    await UsedDownloads(site.admin.db, site.state.spool, site.clock).look()
    told = await clerk.get("/requests/1")
    assert told["used_at"] is not None and told["status"].startswith("Used ")
    assert [move["what"] for move in told["moves"]] == ["submitted", "approved", "used_up"]


async def test_own_request_is_refused_as_on_the_page(site: Site) -> None:
    await site.sent_request(people.HEAD)
    head = await program_of(site, people.HEAD)
    refused = await head.post("/requests/1/approve", 403, step=0)
    assert refused["type"] == "/api#own-request"
    assert refused["detail"] == "It goes to the town administrator. Nothing changed."


async def test_what_is_wrong_with_a_body_is_said_by_field(site: Site) -> None:
    await site.sent_request()
    headers = bearer(await new_token(site, people.HEAD)) | {"Content-Type": "application/json"}
    cases: list[tuple[bytes, int, str, list[str]]] = [
        (b"{", 400, "not-json", []),
        (b"[]", 422, "invalid", ["body"]),
        (b'{"step": "0"}', 422, "invalid", ["step"]),
        (b'{"step": 0, "for": 1}', 422, "invalid", ["for"]),
        (b'{"step": 0, "expires_at": "2026-03-05T00:00:00Z"}', 422, "invalid", ["expires_at"]),
        (b'{"step": 0, "expires_at": "9999-12-31T23:59:59Z"}', 422, "invalid", ["expires_at"]),
        (b" " * 70_000, 413, "too-large", []),
    ]
    for body, status, kind, fields in cases:
        answer = await site.client().post("/api/v1/requests/1/approve", content=body, headers=headers)
        assert answer.status_code == status, (body[:60], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == f"/api#{kind}"
        assert [error["field"] for error in answer.json().get("errors", [])] == fields


async def test_each_message_about_a_body_names_the_fields_that_it_is_about(site: Site) -> None:
    it = await program_of(site, people.IT)
    refused = await it.post("/corrections", 422, because="The town's own shop")
    assert refused["detail"] == (
        "site, categories, why: Field required. because: Extra inputs are not permitted."
    )


async def test_neither_a_cookie_nor_another_ones_text_opens_anything(site: Site) -> None:
    browser = await site.signed_in(people.IT)
    headers: list[dict[str, str]] = [
        *({}, {"Authorization": "Basic aXQ6eA=="}, {"Authorization": "Bearer"}),
        *(bearer("tg_" + "x" * 43), bearer("x")),
    ]
    for header in headers:
        answer = await browser.get("/api/v1/people", headers=header)
        assert answer.status_code == 401, header
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["type"] == "/api#token"
    assert await events(site) == []


async def test_a_form_of_another_site_changes_nothing(site: Site) -> None:
    await site.sent_request()
    browser = await site.signed_in(people.HEAD)
    headers = bearer(await new_token(site, people.HEAD))
    answer = await browser.post("/api/v1/requests/1/deny", data={"step": "0", "reason": "x"}, headers=headers)
    assert answer.status_code == 415
    # A page elsewhere is not told that it may read what is answered.
    asked = await browser.get("/api/v1/me", headers={**headers, "Origin": "https://elsewhere.example"})
    assert not [name for name in asked.headers if name.startswith("access-control")]


async def test_an_unknown_address_or_method_is_a_problem_too(site: Site) -> None:
    it = await program_of(site, people.IT)
    assert (await it.get("/nowhere", 404))["type"] == "/api#not-found"
    assert (await it.get("/requests/7", 404))["type"] == "/api#not-found"
    assert (await it.post("/me", 405))["type"] == "/api#not-here"
    kinds = "'mine', 'to_decide', 'to_open', 'to_review'"
    assert (await it.get("/requests", 422, show="all", x="1"))["errors"] == [
        {"field": "show", "message": f"Input should be {kinds} or 'still_needed'"},
        {"field": "x", "message": "Extra inputs are not permitted"},
    ]


async def test_a_token_used_too_often_is_told_when_it_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.call_limit.MOST_AT_ONCE", 4)
    headers, program = bearer(await new_token(site, people.CLERK)), site.client()
    answers = [await program.get("/api/v1/me", headers=headers) for _ in range(5)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[-1].status_code == 429 and answers[-1].headers["retry-after"] == "1"
    other = await program_of(site, people.CLERK, "Another program")
    await other.get("/me")
    site.clock.at += timedelta(seconds=1)
    again = [(await program.get("/api/v1/me", headers=headers)).status_code for _ in range(3)]
    assert again == [200, 200, 429]


async def test_names_are_shown_to_the_token_that_gave_a_reason(site: Site) -> None:
    await site.log(visit())
    it, other = await program_of(site, people.IT), await program_of(site, people.IT, "Another program")
    (hidden,) = (await it.get("/visits"))["items"]
    assert hidden["who"]["person"] is None and hidden["who"]["code"] and hidden["status"] == "Blocked"
    assert (await it.get("/visits", 403, person=people.CLERK))["type"] == "/api#names-hidden"
    assert (await it.post("/visits/names", 422, reason=" "))["errors"][0]["field"] == "reason"
    shown = await it.post("/visits/names", reason="A phishing mail", case="7")
    assert shown == {"until": "2026-03-06T15:44:07Z", "waits": None}
    assert (await it.get("/visits"))["items"][0]["who"]["person"] == people.CLERK
    assert (await other.get("/visits"))["items"][0]["who"]["person"] is None
    site.clock.at += timedelta(minutes=30)
    assert (await it.get("/visits"))["items"][0]["who"]["person"] is None
    (row,) = await site.admin.db.fetch_all("SELECT details FROM event WHERE kind = ?", EventKind.NAMES_SHOWN)
    assert json.loads(row["details"])["case"] == "7"


async def test_full_addresses_are_part_of_a_visit_while_names_are_shown(site: Site) -> None:
    await site.log(visit(addresses=("http://cardroom.example/clerk",)), visit(host="a.example"))
    it = await program_of(site, people.IT)
    assert [one["addresses"] for one in (await it.get("/visits"))["items"]] == [None, None]
    await it.post("/visits/names", reason="A phishing mail")
    shown = {one["host"]: one["addresses"] for one in (await it.get("/visits"))["items"]}
    assert shown == {"cardroom.example": ["http://cardroom.example/clerk"], "a.example": []}


async def test_search_by_name_waits_for_a_second_person(site: Site) -> None:
    await site.log(visit())
    it = await program_of(site, people.IT)
    asked = await it.post("/visits/names", reason="A phishing mail", person=people.CLERK)
    assert asked == {"until": None, "waits": "NAMES-1"}
    administrator = await program_of(site, people.ADMINISTRATOR)
    await it.get("/visits", 403, person=people.CLERK)
    (waiting,) = (await administrator.get("/visits/names"))["items"]
    assert (waiting["number"], waiting["person"]["name"], waiting["may_answer"]) == ("NAMES-1", "Clerk", True)
    refused = await it.post("/visits/names/1", 403, agrees=True)
    assert refused["detail"] == "Only people with that duty see and do this. Nothing changed."
    own = await it.get("/visits/names/1")
    assert (own["state"], own["reason"], own["may_answer"]) == ("waiting", "A phishing mail", False)
    agreed = await administrator.post("/visits/names/1", agrees=True)
    assert (agreed["state"], agreed["holds_until"]) == ("agreed", "2026-03-06T15:44:07Z")
    late = await administrator.post("/visits/names/1", agrees=False)
    assert late["state"] == "agreed", "the first answer counts"
    assert (await administrator.get("/visits/names"))["items"] == []
    assert (await it.get("/visits", person=people.CLERK))["items"][0]["who"]["person"] == people.CLERK
    await it.get("/visits", 403, person=people.HEAD)


async def test_lists_go_on_where_the_page_before_ended(site: Site) -> None:
    await site.log(*(visit(FRIDAY_MORNING - timedelta(minutes=n), host=f"{n}.example") for n in range(1, 6)))
    it = await program_of(site, people.IT)
    for path, of in (("/visits", "host"), ("/records", "id"), ("/people", "id")):
        whole = [one[of] for one in (await it.get(path))["items"]]
        paged, following = [], f"/api/v1{path}?limit=2"
        while following:
            page = await it.get(following)
            assert len(page["items"]) <= 2
            paged += [one[of] for one in page["items"]]
            following = page["next"]
        assert paged == whole and len(whole) == len(set(whole)) > 0, path
    assert (await it.get("/visits", 422, before="0.x"))["errors"][0]["field"] == "before"


async def test_visits_leave_out_what_they_are_told_to_on_every_page(site: Site) -> None:
    at = site.clock.at
    hosts = ["a.example", "www.a.example", "b.example", "c.example", "d.example"]
    await site.log(*(visit(at - timedelta(minutes=n), host=host) for n, host in enumerate(hosts)))
    it = await program_of(site, people.IT)
    first = await it.get("/visits", not_host="a.example,C.example", limit=1)
    assert "not_host=a.example%2CC.example" in first["next"]
    following = await it.get(first["next"].removeprefix("/api/v1"))
    assert [one["host"] for one in (*first["items"], *following["items"])] == ["b.example", "d.example"]
    assert (await it.get("/visits", not_rule="not-town-business"))["items"] == []
    many = ",".join(f"r{n}" for n in range(51))
    for field, value in (("not_host", "a b"), ("not_rule", many), ("code", "K7M")):
        assert (await it.get("/visits", 422, **{field: value}))["errors"][0]["field"] == field


async def test_why_and_whether_the_records_are_whole(site: Site) -> None:
    await site.log(visit())
    it = await program_of(site, people.IT)
    (seen,) = (await it.get("/visits"))["items"]
    why = await it.get(f"/visits/{seen['id']}/why")
    assert (why["verdict"], why["rule"], why["agrees"]) == ("block", "not-town-business", True)
    assert [step["why"] for step in why["steps"] if step["is_hit"]]
    now = site.admin.policy.version
    assert (why["decided_by"]["policy"], why["decided_by"]["is_of_that_day"]) == (now, False)
    assert why["said"].startswith(
        f"What was in force then is not kept. With what is in force now: policy {now}, "
    )
    assert why["today"] == {
        "verdict": "block",
        "rule": "not-town-business",
        "exemption": None,
        "agrees": True,
    }
    verified = await it.post("/records/verify")
    assert verified["is_whole"] and verified["events"] > 0
    (made,) = (await it.get("/records", kinds="people", limit=1))["items"]
    assert (made["what"], made["about"], made["subject"]) == ("Made a token", "IT security", None)
    assert {"label": "Token", "text": "TOK-1, Grant files"} in made["facts"]


async def test_the_api_says_of_limits_what_the_page_says(site: Site) -> None:
    await with_limits(site)
    shopping = next(limit for limit in site.admin.policy.limits if limit.id == "shopping-time")
    clerk = Client("", person=people.CLERK, department="finance")
    write_use(site.state.spool, FRIDAY_MORNING.date(), "0", clerk, (shopping, 0, range(30)))
    await site.log(stopped("shopping-time", "shop.example", "30 minutes a day are used"), visit())
    it = await program_of(site, people.IT)
    said = {}
    for seen in (await it.get("/visits"))["items"]:
        said[seen["cause"]] = await it.get(f"/visits/{seen['id']}/why")
    assert said["limit"]["limits"] == [
        {
            "id": "shopping-time",
            "says": "more than 30 minutes a day for each person is stopped",
            "stops": True,
            "left": "nothing of 30 minutes",
            "is_used_up": True,
        }
    ]
    assert said["limit"]["no_limits"] is None
    assert said["rule"]["limits"] == []
    assert said["rule"]["no_limits"] == "None is part of this: limits hold only for what is allowed."
    blocked = await site.of_visit(2, "visits", "why")
    assert said["rule"]["no_limits"] in (await (await site.signed_in(people.IT)).get(blocked)).text


async def test_what_is_heavy_names_nobody_and_is_ended_by_its_code(site: Site) -> None:
    tell(site, 1, DOWNLOAD, updates(1))
    it = await program_of(site, people.IT)
    heavy = await it.get("/heavy")
    (shown,) = heavy["visits"]
    assert (shown["code"], shown["host"], shown["bytes_down"]) == ("K7M-4QP", "files.example", 4_200_000_000)
    assert (shown["who"]["department"], shown["who"]["person"], shown["who"]["device"]) == (
        "finance",
        None,
        None,
    )
    assert heavy["updates"]["computers"] == 1
    assert shown["is_ending"] is False
    await it.post("/heavy/K7M-4QP/end")
    assert [visit["is_ending"] for visit in (await it.get("/heavy"))["visits"]] == [True]
    await it.post("/heavy/X7M-4QP/end", 404)
    (ended,) = (await it.get("/records", kinds="sites"))["items"]
    assert (ended["kind"], ended["who"]) == ("visit.ended", "IT security")


async def test_head_reads_the_departments_week_and_it_the_towns_with_names_where_the_policy_says_so(
    site: Site,
) -> None:
    await with_report(site, REPORTING)
    await log_a_week(site)
    head, it = await program_of(site, people.HEAD), await program_of(site, people.IT)
    week = await head.get("/weekly")
    assert (week["department"], week["monday"], week["goes_on"]) == ("finance", "2026-02-23", False)
    assert (week["reports_of"], week["has_earlier"], week["named"]) == (["finance"], True, None)
    now, before = week["now"], week["before"]
    assert (now["visits"], now["blocked"], before["visits"]) == (1219, 13, 3)
    assert (now["heavy_visits"], now["heavy_bytes"]) == (2, 2_800_000_000)
    news = {"id": "press", "visits": 1204, "blocked": 0, "size_bytes": 120_400_000}
    assert week["categories"][0] == news and week["departments"] == []
    assert {"id": "gambling", "visits": 11} in week["blocked"]
    assert week["heavy_sites"] == [{"host": "films.example", "size_bytes": 2_800_000_000}]
    town = await it.get("/weekly")
    assert (town["department"], town["reports_of"], town["now"]["visits"]) == (None, [""], 1226)
    assert [one["id"] for one in town["departments"]] == ["finance", "parks"]
    assert (await head.get("/weekly", week="2026-03-02"))["goes_on"]
    for of in ("", "parks", "none"):
        await head.get("/weekly", 403, of=of)
    for day in ("2026-03-03", "2026-03-09", "0001-01-01", "x"):
        await head.get("/weekly", 422, week=day)
    await with_report(site, REPORTING.replace("hidden", "shown"))
    await site.until(lambda: site.admin.policy.weekly_report.names_shown)  # type: ignore[union-attr]
    named = (await head.get("/weekly"))["named"]
    assert named == {
        "blocked": [{"person": "clerk", "name": "Clerk", "visits": 13}],
        "heavy": [{"person": "clerk", "name": "Clerk", "size_bytes": 2_800_000_000}],
    }
    assert (await it.get("/weekly"))["named"] is None


async def test_who_decides_is_told_what_other_kinds_ask_for(site: Site) -> None:
    own_device, standing = (
        terms.partition("{")[2].rpartition("}")[0]
        for terms in (test_own_device.TERMS, test_standing_permission.TERMS)
    )
    site.state.policy_document.write_text(f"{towns.DOCUMENT}asking: {{{own_device}, {standing}}}\n")
    await site.until(lambda: site.admin.policy.asking.own_device is not None)
    await post(await site.signed_in(people.CLERK), test_own_device.FORM, **test_own_device.ASKED)
    head = await site.signed_in(people.HEAD)
    await post(head, test_standing_permission.FORM, **test_standing_permission.ASKED)
    device = await (await program_of(site, people.HEAD)).get("/requests/1")
    assert (device["kind"], device["site"], device["device"]["address"]) == (
        "device",
        None,
        "10.10.20.77",
    )
    case = await (await program_of(site, people.ADMINISTRATOR)).get("/requests/2")
    assert case["standing"] == {
        "case_number": "2026-104",
        "categories": ["gambling"],
        "until": "2026-09-01T04:00:00Z",
    }
