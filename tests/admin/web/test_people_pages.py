"""People: IT finds and closes who leaves, and it is in force when the page says so."""

import asyncio
import sqlite3
from contextlib import closing

from click.testing import CliRunner

from admin.accounts import set_password
from admin.command import cli
from policy.identity import Identities
from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import Site, post
from tests.admin.web.test_records_page import text


def published(site: Site) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())


async def test_closing_a_person_ends_all_they_have_before_the_page_is_there(site: Site) -> None:
    it, head = await site.signed_in(people.IT), await site.signed_in(people.HEAD)
    clerk = await site.signed_in(people.CLERK)
    await set_password(
        site.admin.db, people.CLERK, "a proxy password", "proxy", actor="it", now=site.clock.at
    )
    first, second = await site.sent_request(), await site.sent_request(host="dice.example", code="D7M-4QP")
    allowed = await post(
        head, f"/decide/{first}", answer="allow", step="0", expires_at="2026-03-07T15:00:00Z"
    )
    assert allowed.status_code == 303
    assert people.CLERK in published(site).proxy_passwords
    assert len(published(site).exemptions) == 1

    closed = await post(it, f"/people/{people.CLERK}/close", f"/people/{people.CLERK}", why="Retired.")

    assert closed.headers["location"] == f"/people/{people.CLERK}"
    snapshot = published(site)
    assert (snapshot.exemptions, dict(snapshot.proxy_passwords)) == ((), {})
    assert Identities(snapshot.policy).identify("127.0.0.1").person is None
    assert (await clerk.get("/requests")).headers["location"].startswith("/sign-in")
    assert "Withdrawn" in text(await it.get(f"/requests/{second}"))
    assert "Nothing to decide" in text(await head.get("/decide"))
    shown = text(await it.get(f"/people/{people.CLERK}"))
    assert "Closed Fri, March 6" in shown
    assert "by IT Why Retired." in shown
    assert "Closed a person" in text(await it.get("/records?kinds=people"))
    again = await post(it, f"/people/{people.CLERK}/close", f"/people/{people.CLERK}", why="Twice.")
    assert (again.status_code, "Somebody was first" in again.text) == (409, True)

    page = f"/people/{people.CLERK}"
    missing = await post(it, f"{page}/reopen", page, why=" ")
    assert (missing.status_code, "Enter why, for the records" in missing.text) == (422, True)
    opened = await post(it, f"{page}/reopen", page, why="Works here again.")
    assert opened.status_code == 303
    assert "Why Works here again." in text(await it.get("/records?kinds=people"))
    assert Identities(published(site).policy).identify("127.0.0.1").person == people.CLERK
    assert (await clerk.get("/requests")).headers["location"].startswith("/sign-in")


async def test_a_head_who_is_closed_decides_nothing_more_and_the_administrator_does(site: Site) -> None:
    it, head = await site.signed_in(people.IT), await site.signed_in(people.HEAD)
    number = await site.sent_request()
    token = (
        (await head.get(f"/decide/{number}")).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    )
    await post(it, f"/people/{people.HEAD}/close", f"/people/{people.HEAD}", why="Left.")
    fields = {"csrf_token": token, "answer": "allow", "step": "0", "expires_at": "2026-03-07T15:00:00Z"}
    refused = await head.post(f"/decide/{number}", data=fields)
    assert refused.status_code in (303, 403)
    assert published(site).exemptions == ()
    administrator = await site.signed_in(people.ADMINISTRATOR)
    assert "To decide (1)" in (await administrator.get("/decide")).text
    # A restart, and a new document, change nothing about it.
    document = site.state.policy_document
    document.write_text(document.read_text() + "# saved again\n")
    version = site.admin.policy.version
    await site.until(lambda: site.admin.policy.version != version)
    assert people.HEAD not in site.admin.policy.people


async def test_closing_needs_a_reason_and_leaves_it_somebody(site: Site) -> None:
    it = await site.signed_in(people.IT)
    page = f"/people/{people.CLERK}"
    missing = await post(it, f"{page}/close", page, why=" ")
    assert (missing.status_code, "Enter why, for the records" in missing.text) == (422, True)
    own = await post(it, f"/people/{people.IT}/close", f"/people/{people.IT}", why="I leave.")
    assert (own.status_code, "Nobody closes themselves; ask another" in own.text) == (422, True)
    assert (await post(it, "/people/nobody/close", page, why="x")).status_code == 404
    assert (await it.get("/people/nobody")).status_code == 404
    for person in (people.CLERK, people.HEAD, people.HELP_DESK, people.ADMINISTRATOR):
        client = await site.signed_in(person)
        assert (await client.get("/people")).status_code == 403
        assert (await post(client, f"{page}/close", "/requests", why="x")).status_code == 403
    assert people.CLERK in site.admin.policy.people


async def test_people_are_found_by_parts_of_name_mail_and_department(site: Site) -> None:
    it = await site.signed_in(people.IT)
    found = text(await it.get("/people?q=FIN+head@"))
    assert "1 person." in found
    assert "Head of Finance Department head, Finance" in found
    assert "Nobody matches" in text(await it.get("/people?q=nobody+like+this"))


async def test_a_command_closes_a_person_while_admin_runs(site: Site) -> None:
    run = CliRunner().invoke
    state = ["--state", str(site.state.root)]
    done = await asyncio.to_thread(run, cli, ["people", "close", people.CLERK, "--because", "Left.", *state])
    assert done.exit_code == 0, done.output
    assert "clerk is closed. In force in every running proxy within a second." in done.output
    assert people.CLERK not in published(site).policy.people
    again = await asyncio.to_thread(run, cli, ["people", "close", people.CLERK, "--because", "x", *state])
    assert (again.exit_code, again.output) == (1, "clerk is closed already. Nothing changed.\n")
    missing = await asyncio.to_thread(run, cli, ["people", "reopen", people.CLERK, *state])
    assert (missing.exit_code, "--because: Enter why, for the records" in missing.output) == (2, True)
    because = ["--because", "Works here again."]
    back = await asyncio.to_thread(run, cli, ["people", "reopen", people.CLERK, *because, *state])
    assert "clerk is open again." in back.output
    with closing(sqlite3.connect(site.state.database)) as connection:
        rows = connection.execute("SELECT actor FROM event WHERE kind LIKE 'person.%opened'").fetchall()
    assert rows[0][0].endswith(" at the command line")
