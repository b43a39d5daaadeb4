"""The page on which a person makes tokens for their programs, ends them, and what ends them beside that."""

import re
from datetime import timedelta

import httpx

from admin import accounts
from admin.api_tokens import MOST_OF_A_PERSON
from admin.audit import EventKind
from tests import people, towns
from tests.admin.web.conftest import Site, post

ME = "/api/v1/me"


async def sent(client: httpx.AsyncClient, *scopes: str, **fields: str) -> httpx.Response:
    """Send the form for a token as its page has it."""
    csrf_token = (
        (await client.get("/tokens")).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    )
    values = {"csrf_token": csrf_token, "name": "Grant files", "last_day": "2026-04-30", **fields}
    return await client.post("/tokens", data={**values, "scopes": list(scopes)})


async def made(client: httpx.AsyncClient, *scopes: str, **fields: str) -> str:
    """Make a token; return its text."""
    answer = await sent(client, *scopes, **fields)
    assert answer.status_code == 201, answer.text
    found = re.search(r">(tg_[\w-]{43})<", answer.text)
    assert found is not None, answer.text
    return found[1]


def bearer(text: str) -> dict[str, str]:
    """Return the header that a program sends."""
    return {"Authorization": f"Bearer {text}"}


async def events(site: Site) -> list[tuple[str, str]]:
    """Return what the audit log says of tokens: the kind and why."""
    rows = await site.admin.db.fetch_all(
        "SELECT kind, details ->> 'why' AS why FROM event WHERE kind LIKE 'token.%' ORDER BY id"
    )
    return [(row["kind"], row["why"] or "") for row in rows]


async def refusal(site: Site, text: str) -> str:
    """Return why a token opens nothing."""
    answer = await site.client().get(ME, headers=bearer(text))
    assert answer.status_code == 401, answer.text
    detail: str = answer.json()["detail"]
    return detail


async def test_a_token_is_shown_once_works_and_is_revoked_by_one_click(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    assert "You have no tokens" in (await clerk.get("/tokens")).text
    text = await made(clerk, "requests:read")
    shown = (await clerk.get("/tokens")).text
    assert text not in shown and "Works until" in shown and "Never" in shown
    answer = await site.client().get(ME, headers=bearer(text))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "number": "TOK-1",
        "name": "Grant files",
        "person": people.CLERK,
        "scopes": ["requests:read"],
        "ends_at": "2026-05-01T04:00:00Z",
    }
    assert "Never" not in (await clerk.get("/tokens")).text
    assert (await post(clerk, "/tokens/1/revoke", "/tokens")).status_code == 303
    assert "You have no tokens" in (await clerk.get("/tokens")).text
    assert await refusal(site, text) == "This token was revoked."
    assert await events(site) == [
        (EventKind.TOKEN_CREATED, ""),
        (EventKind.TOKEN_REVOKED, ""),
        (EventKind.TOKEN_REFUSED, "This token was revoked"),
    ]
    kept = await site.admin.db.fetch_all("SELECT * FROM api_token")
    assert text not in str([dict(row) for row in kept])


async def test_what_cannot_be_a_token_is_said_at_its_field(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    await made(clerk, "requests:read")
    for answer, said in (
        (await sent(clerk, "requests:read"), "A token of that name is there already"),
        (await sent(clerk, "requests:read", name=" "), "Enter what it is for"),
        (await sent(clerk, name="Other"), "Choose what the token may do"),
        (await sent(clerk, "emergency", name="Other"), "Choose what the token may do"),
        (await sent(clerk, "requests:read", name="Other", last_day="2026-03-05"), "Choose a last day"),
        (await sent(clerk, "requests:read", name="Other", last_day="2027-03-08"), "Choose a last day"),
        (await sent(clerk, "requests:read", name="Other", last_day="soon"), "Choose a last day"),
    ):
        assert answer.status_code == 422 and said in answer.text, answer.text
    for number in range(MOST_OF_A_PERSON - 1):
        await made(clerk, "requests:read", name=f"Program {number}")
    assert "Revoke one first" in (await sent(clerk, "requests:read", name="One more")).text


async def test_a_clerk_is_offered_what_a_clerk_may(site: Site) -> None:
    shown = (await (await site.signed_in(people.CLERK)).get("/tokens")).text
    assert re.findall(r'name="scopes" id="scopes-\d+" value="([\w:]+)"', shown) == [
        "requests:read",
        "requests:write",
        "visits:own",
    ]


async def test_a_token_ends_with_its_last_day(site: Site) -> None:
    text = await made(await site.signed_in(people.CLERK), "requests:read", last_day="2026-03-06")
    site.clock.at = site.clock.at.replace(day=7, hour=4, minute=59, second=59)
    assert (await site.client().get(ME, headers=bearer(text))).status_code == 200
    site.clock.at += timedelta(seconds=1)
    assert await refusal(site, text) == "The time of this token is over."


async def test_a_token_goes_with_a_duty_that_is_lost_and_does_not_come_back(site: Site) -> None:
    text = await made(await site.signed_in(people.IT), "people:read")
    program = site.client()
    assert (await program.get("/api/v1/people", headers=bearer(text))).status_code == 200
    site.state.policy_document.write_text(
        towns.DOCUMENT.replace("it_security: [it]", "it_security: [helpdesk]")
    )
    await site.until(lambda: site.admin.policy.roles["it_security"] == (people.HELP_DESK,))
    shown = (await (await site.signed_in(people.IT)).get("/tokens")).text
    assert "Ended: a duty or the password changed" in shown
    site.state.policy_document.write_text(towns.DOCUMENT)
    await site.until(lambda: site.admin.policy.roles["it_security"] == (people.IT,))
    assert "duties" in await refusal(site, text)
    assert "duties" in await refusal(site, text)
    # A program that goes on trying does not fill the log.
    assert [kind for kind, _ in await events(site)] == [EventKind.TOKEN_CREATED, EventKind.TOKEN_REFUSED]


async def test_what_went_with_a_duty_stays_gone_also_where_nobody_used_it_meanwhile(site: Site) -> None:
    it = await site.signed_in(people.IT)
    text = await made(it, "people:read")
    clerk = await site.signed_in(people.CLERK)
    for other in (people.HELP_DESK, people.IT):
        site.state.policy_document.write_text(
            towns.DOCUMENT.replace("it_security: [it]", f"it_security: [{other}]")
        )
        await site.until(lambda other=other: site.admin.policy.roles["it_security"] == (other,))
    assert "duties" in await refusal(site, text)
    assert (await it.get("/people")).status_code == 303
    assert (await clerk.get("/requests")).status_code == 200


async def test_a_token_goes_with_the_person_and_with_another_password(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    text = await made(clerk, "requests:read")
    await accounts.set_password(
        site.admin.db, people.CLERK, "another horse battery", "admin", actor=people.IT, now=site.clock.at
    )
    assert "password" in await refusal(site, text)
    desk = await made(await site.signed_in(people.HELP_DESK), "visits:read")
    it = await site.signed_in(people.IT)
    page = f"/people/{people.HELP_DESK}"
    assert (await post(it, f"{page}/close", page, why="Left")).status_code == 303
    assert await refusal(site, desk)


async def test_program_that_may_ask_but_not_decide_stops_nobodys_access(site: Site) -> None:
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    program, headers = site.client(), bearer(await made(head, "requests:read", "requests:write"))
    stopped = await program.post(
        f"/api/v1/requests/{number}/stop", json={"reason": "Not for work"}, headers=headers
    )
    ended = await program.post(f"/api/v1/requests/{number}/end", headers=headers)
    assert (stopped.status_code, ended.status_code) == (403, 403)
    shown = await program.get(f"/api/v1/requests/{number}", headers=headers)
    assert shown.json()["state"] == "approved"
