"""Records: the audit log for those with that duty, people by role, and whether it is whole."""

import html
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from admin import access_requests, audit, closed_people, roles, stored_requests, unanswered
from admin.acting_roles import ROLES, Who, who_is
from admin.asking import NotAllowedError, State
from admin.audit import Event, EventKind
from admin.closed_people import LastOfItError
from admin.database import Database
from admin.records import KINDS
from admin.web.people import People
from admin.web.record_facts import facts
from admin.web.record_words import KIND_LABELS, ROLE_LABELS, WHAT
from admin.web.words import STATES, Times
from policy.town_policy import Policy
from tests import people, towns
from tests.admin.small_town import AUDITOR, DELEGATE, MONDAY, TOWN, listed
from tests.admin.web.conftest import Site, post
from tests.admin.web.test_api import program_of


def cut_off(site: Site) -> None:
    """Cut the newest record off, with the rights of the database's owner."""
    with closing(sqlite3.connect(site.state.database)) as connection, connection:
        connection.execute("DROP TRIGGER event_is_never_deleted")
        connection.execute("DELETE FROM event WHERE id = (SELECT max(id) FROM event)")


def text(answer: httpx.Response) -> str:
    main = answer.text.partition("<main")[2].partition(">")[2].partition("</main")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


async def record(site: Site, *events: tuple[EventKind, str, str]) -> None:
    async with site.admin.db.transaction() as t:
        for kind, actor, subject in events:
            await audit.record(t, Event(kind, actor, subject, site.clock.at, {"why": f"by {kind.value}"}))


async def test_records_are_told_by_role_and_never_by_name(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await record(
        site,
        (EventKind.REQUEST_DENIED, people.HEAD, "REQ-7"),
        (EventKind.SIGNED_IN, people.CLERK, people.CLERK),
        (EventKind.BACKUP_STARTED, "root at the command line", "monday"),
    )
    shown = text(await it.get("/records"))
    assert "Did not allow More on record" in shown
    assert "Department head, Finance" in shown
    assert "Signed in More on record" in shown
    assert "Employee, Finance Employee, Finance" in shown
    assert "Command line" in shown
    assert "Head of Finance" not in shown
    assert "Clerk" not in shown
    assert 'href="/requests/7"' in (await it.get("/records")).text


async def test_what_an_event_is_about_is_told_where_that_is_no_person(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await record(
        site,
        (EventKind.LOCKDOWN_BEGUN, people.IT, "lockdown"),
        (EventKind.LOCKDOWN_ENDED, people.IT, "lockdown parks"),
        (EventKind.DEVICE_TAKEN_OFF, people.IT, "device_off 10.10.20.7"),
        (EventKind.FILTER_SWITCHED_OFF, people.IT, "filter_off"),
        (EventKind.PEOPLE_IMPORTED, people.IT, "people.csv"),
        (EventKind.NOTICE_EXPORTED, people.IT, "notices"),
    )
    page = (await it.get("/records")).text
    found = re.findall(r'data-label="About">(.*?)</td>', page)[:6]
    about = [re.sub(r"<[^>]*>", "", each) for each in found]
    assert about == ["notices", "people.csv", "The filter", "10.10.20.7", "Parks", "Everyone"]


async def test_who_stands_in_is_told_as_that(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    day = "2026-03-06"
    await post(head, "/delegation", department="finance", delegate=people.CLERK, first=day, last=day)
    await record(site, (EventKind.REQUEST_DENIED, people.CLERK, "REQ-7"))
    it = await site.signed_in(people.IT)
    for query in ("", "?role=stand_in"):
        shown = text(await it.get(f"/records{query}"))
        assert "Did not allow More on record" in shown and "Stand-in for the head, Finance" in shown, query


async def test_who_acted_is_told_by_the_role_that_they_acted_in_whatever_they_are_by_now(site: Site) -> None:
    db, day = site.admin.db, "2026-03-06"
    for code, host in (("AAA-111", "one.example"), ("BBB-222", "two.example")):
        await site.sent_request(code=code, host=host)
    head = await site.signed_in(people.HEAD)
    await post(head, "/delegation", department="finance", delegate=people.PARKS_HEAD, first=day, last=day)
    with pytest.raises(NotAllowedError):
        await access_requests.approve(
            db, site.admin.policy, listed, 1, actor=people.HELP_DESK, at=site.clock.at
        )
    for id_, person in ((1, people.HEAD), (2, people.PARKS_HEAD)):
        decider = await site.signed_in(person)
        await post(decider, f"/decide/{id_}", answer="deny", step="0", reason="Not needed for work")
    # As events were before that was kept with them.
    async with Database.open(site.state.database) as before, before.transaction() as t:
        await audit.record(t, Event(EventKind.REQUEST_STOPPED, people.HEAD, "REQ-9", site.clock.at))
    changed = towns.DOCUMENT.replace("head: head,", "head: helpdesk,").replace("help_desk: [helpdesk]", "")
    site.state.policy_document.write_text(changed)
    await site.admin._publisher.reload_document()
    assert site.admin.policy.departments["finance"].head == people.HELP_DESK, site.admin.policy_problems
    it = await site.signed_in(people.IT)
    shown = told(await it.get("/records"))
    assert re.findall(r"REQ-(\d) ((?:Department|Help|Stand-in|Employee)[\w -]*(?:, \w+)?) Fri", shown) == [
        ("9", "Employee, Finance"),
        ("2", "Stand-in for the head, Finance"),
        ("1", "Department head, Finance"),
        ("1", "Help desk"),
        ("2", "Employee, Finance"),
        ("1", "Employee, Finance"),
    ]
    for role, did in (("department_head", "Did not allow"), ("help_desk", "A move on a request was refused")):
        assert did in told(await it.get(f"/records?kinds=asking&role={role}")), role
    assert "Did not allow" not in told(await it.get("/records?kinds=asking&role=employee"))
    clerk = await site.signed_in(people.CLERK)
    for id_, decider in ((1, "Your department head"), (2, "The stand-in for your department head")):
        of_request = await clerk.get(f"/requests/{id_}")
        assert f"Not needed for work {decider}" in text(of_request), id_
        assert f"{decider} did not allow it" in text(of_request), id_
    program = await program_of(site, people.IT)
    (by_stand_in,) = (await program.get("/records", kinds="asking", role="stand_in"))["items"]
    assert (by_stand_in["what"], by_stand_in["who"]) == ("Did not allow", "Stand-in for the head, Finance")
    first = await program.get("/requests/1")
    assert first["decided_by"] == first["moves"][-1]["who"] == "the department head"
    assert (await audit.verify(db)).is_whole


FILTERED = [
    ("role=department_head", "Did not allow", "Backed the town up"),
    ("role=command_line", "Backed the town up", "Did not allow"),
    ("kinds=running", "Backed the town up", "Did not allow"),
    ("kinds=asking&role=department_head&span=today", "Did not allow", "Backed the town up"),
    ("kinds=nonsense&before=nonsense", "Did not allow", "Ended the limit"),
]


async def test_who_is_closed_is_told_by_the_role_that_they_had(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    await post(head, "/sign-out", "/requests")
    it = await site.signed_in(people.IT)
    await post(it, f"/people/{people.HEAD}/close", f"/people/{people.HEAD}", why="Retired.")
    shown = (await it.get("/records")).text
    assert "Not a person now" not in shown
    assert "Department head, Finance" in shown
    assert "Department head, Finance" in (await it.get("/records?role=department_head")).text


async def test_filters_are_in_the_address(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await record(
        site,
        (EventKind.REQUEST_DENIED, people.HEAD, "REQ-7"),
        (EventKind.BACKUP_STARTED, "root at the command line", "monday"),
    )
    for query, found, left_out in FILTERED:
        shown = text(await it.get(f"/records?{query}")).partition(" Show ")[2]
        assert (found in shown, left_out in shown) == (True, False), query
    site.clock.at += timedelta(days=2)
    it = await site.signed_in(people.IT)
    assert "No records match" in text(await it.get("/records?span=today&kinds=asking"))


async def test_older_records_are_a_page_on_and_none_comes_twice(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await record(site, *((EventKind.REQUEST_SUBMITTED, people.CLERK, f"REQ-{n}") for n in range(1, 121)))
    address, seen = "/records?kinds=asking", list[str]()
    while address:
        shown = await it.get(address)
        seen += re.findall(r">(REQ-\d+)<", shown.text)
        older = re.search(r'href="(/records\?[^"]*before=\d+)"', shown.text)
        address = html.unescape(older[1]) if older else ""
    assert seen == [f"REQ-{n}" for n in range(120, 0, -1)]


async def test_verify_says_that_all_are_whole_and_then_which_one_was_removed(site: Site) -> None:
    it = await site.signed_in(people.IT)
    site.admin.audit_heads.file.unlink(missing_ok=True)
    answer = await post(it, "/records/verify", "/records")
    assert (answer.status_code, answer.headers["location"]) == (303, "/records#verified")
    assert "compared with no copy kept elsewhere" in text(await it.get("/records"))
    await record(site, (EventKind.REQUEST_DENIED, people.HEAD, "REQ-7"))
    await site.admin.audit_heads.export()
    head = await audit.head(site.admin.db, site.clock.at)
    assert head is not None
    await post(it, "/records/verify", "/records")
    shown = text(await it.get("/records"))
    assert f"All {head.events} records are whole." in shown
    assert "kept elsewhere" not in shown
    cut_off(site)
    await post(it, "/records/verify", "/records")
    shown = text(await it.get("/records"))
    called = "Touch nothing; call Town administrator."
    assert f"Record {head.last_id} was changed or removed. {called}" in shown
    assert f"What refuses changes to records was removed from the database, or changed. {called}" in shown


async def test_others_see_no_records_and_verify_nothing(site: Site) -> None:
    for person in (people.CLERK, people.HEAD, people.HELP_DESK):
        client = await site.signed_in(person)
        assert (await client.get("/records")).status_code == 403
        assert (await post(client, "/records/verify", "/requests")).status_code == 403
        assert "/records" not in (await client.get("/requests")).text


def test_an_auditor_sees_records_and_what_is_about_people_never_by_id() -> None:
    seen = {person for person in TOWN.people if roles.sees_records(TOWN, person)}
    assert seen == {"it", "it-2", AUDITOR, people.ADMINISTRATOR}


IN_SEVERAL_PARTS = replace(
    TOWN,
    departments={
        "finance": replace(
            TOWN.departments["finance"], delegates=(DELEGATE, people.IT), stand_ins=(people.IT,)
        ),
        "parks": replace(TOWN.departments["parks"], head=people.IT, delegates=(DELEGATE,)),
    },
)


@pytest.mark.parametrize(
    ("actor", "department", "asked_as", "expected"),
    [
        (people.IT, None, None, Who("it_security")),
        (people.IT, "parks", None, Who("department_head", "parks")),
        (people.IT, "finance", "department_head", Who("stand_in", "finance")),
        (people.IT, "parks", "it_security", Who("it_security")),
        (people.IT, "finance", "town_administrator", Who("stand_in", "finance")),
        (DELEGATE, "parks", "department_head", Who("delegate", "parks")),
        (people.CLERK, "parks", "department_head", Who("employee", "finance")),
    ],
)
def test_who_has_several_parts_acts_in_that_of_the_matter(
    actor: str, department: str | None, asked_as: str | None, expected: Who
) -> None:
    assert who_is(IN_SEVERAL_PARTS, actor, department, asked_as) == expected


@pytest.mark.parametrize(
    ("actor", "role", "department"),
    [
        (people.IT, "it_security", None),
        (people.HEAD, "department_head", "finance"),
        (DELEGATE, "delegate", "finance"),
        (people.CLERK, "employee", "finance"),
        ("root at the command line", "command_line", None),
        ("policy.yaml", "itself", None),
    ],
)
def test_a_person_counts_as_the_first_role_that_they_have(
    actor: str, role: str, department: str | None
) -> None:
    who = who_is(TOWN, actor)
    assert (who.role, who.department) == (role, department)


IDS = re.compile(
    r"\b(clerk|(?<!Department )head|parks-head|helpdesk|(?<!Town )administrator|left-the-town)\b"
)


def told(answer: httpx.Response) -> str:
    """Return the page's records without what the filters are called."""
    return text(answer).partition(" Show ")[2]


async def test_details_of_what_people_did_tell_who_it_was_by_role_and_no_raw_values(site: Site) -> None:
    terms = "asking: {personal_use: {categories: [sports, shopping], longest: 90m}}\n"
    site.state.policy_document.write_text(site.state.policy_document.read_text() + terms)
    await site.admin._publisher.reload_document()
    db, policy = site.admin.db, site.admin.policy
    id_ = await site.sent_request()
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    window = {"day": "2026-03-06", "begins": "15:00", "ends": "16:00", "reason": "A match."}
    sent = await post(clerk, "/requests/personal-use", "/requests", categories="sports", **window)
    assert sent.status_code == 303
    for person in (people.CLERK, people.PARKS_HEAD):
        with pytest.raises(NotAllowedError):
            await access_requests.approve(db, policy, listed, id_, actor=person, at=site.clock.at)
    with pytest.raises(NotAllowedError):
        await access_requests.stop(
            db, policy, id_, actor=people.PARKS_HEAD, at=site.clock.at, reason="Why not"
        )
    async with db.transaction() as t:
        request = await stored_requests.get(t, id_)
        await unanswered.remind(t, policy, request, site.clock.at)
        await unanswered.pass_on(t, policy, request, site.clock.at)
    days = {"first": "2026-03-06", "last": "2026-03-31"}
    await post(head, "/delegation", department="finance", delegate=people.PARKS_HEAD, **days)
    await post(head, "/delegation/1/end", page="/delegation")
    with pytest.raises(LastOfItError):
        await closed_people.close(
            db, policy, people.IT, actor=people.ADMINISTRATOR, at=site.clock.at, why="Left"
        )
    await closed_people.close(db, policy, people.CLERK, actor=people.IT, at=site.clock.at, why="Left")
    rows = await db.fetch_all("SELECT DISTINCT kind FROM event")
    assert {row["kind"] for row in rows} >= {
        *("request.submitted", "request.move_refused", "request.reminded", "request.passed_on"),
        *(
            "delegation.named",
            "delegation.ended",
            "person.closed",
            "person.move_refused",
            "request.withdrawn",
        ),
    }
    shown = told(await (await site.signed_in(people.IT)).get("/records"))
    assert IDS.findall(shown) == []
    assert "REQ-1 does not wait for Department head, Parks" in shown
    assert "Department head, Parks has no say over access by REQ-1" in shown
    assert "Personal use Sports, Fri, March 6, 3 PM to Fri, March 6, 4 PM" in shown.replace("\xa0", " ")
    assert "Stands in Department head, Parks" in shown
    assert not re.search(r"[{}\[\]]|_at|T\d\d:", shown)


async def test_no_detail_of_any_kind_shows_an_id_and_what_is_not_listed_is_not_shown(site: Site) -> None:
    of_people: dict[str, audit.Detail] = {
        "person": people.CLERK,
        "delegate": people.PARKS_HEAD,
        "people": [people.HEAD, people.CLERK, "left-the-town"],
        "removed": ["left-the-town", people.HELP_DESK],
        "browser": people.CLERK,
        "step": 4711,
    }
    handed_on: dict[str, audit.Detail] = {"before": "left-the-town", "person": people.CLERK}
    async with site.admin.db.transaction() as t:
        handed = Event(EventKind.REQUEST_HANDED_ON, people.IT, "REQ-7", site.clock.at, handed_on)
        await audit.record(t, handed)
        for kind in EventKind:
            await audit.record(t, Event(kind, people.CLERK, "REQ-7", site.clock.at, of_people))
    it = await site.signed_in(people.IT)
    address, pages = "/records", list[httpx.Response]()
    while address:
        pages.append(await it.get(address))
        older = re.search(r'href="(/records\?[^"]*before=\d+)"', pages[-1].text)
        address = html.unescape(older[1]) if older else ""
    shown = " ".join(map(told, pages))
    assert shown.count("Person Employee, Finance") >= len(EventKind)
    assert "People Department head, Finance; Employee, Finance; Not a person now" in shown
    assert "Removed 2" in shown
    assert "Before Not a person now Person Employee, Finance" in shown
    assert IDS.findall(shown) == []
    assert "4711" not in shown


def test_every_kind_of_event_has_words_and_a_filter() -> None:
    assert set(WHAT) == set(EventKind)
    assert KIND_LABELS.keys() == KINDS.keys()
    nobody = Policy("v", TOWN.town)
    others = {who_is(nobody, actor).role for actor in ("x", "policy.yaml")}
    assert {*ROLES, *others} == ROLE_LABELS.keys()
    beginnings = [beginning for group in KINDS.values() for beginning in group]
    assert len(beginnings) == len(set(beginnings))
    assert {kind.value.partition(".")[0] for kind in EventKind} <= set(beginnings)


def test_where_a_request_stood_is_said_as_on_the_pages() -> None:
    details = {"before": "awaits_signature", "after": "awaits_opening", "state": "approved", "level": "view"}
    assert facts(details, People(TOWN), Times(ZoneInfo("UTC"), MONDAY)) == [
        ("Before", "Approved, the terms are to be signed"),
        ("After", "Approved, waiting for IT to open it"),
        ("State", "Allowed"),
        ("Opens", "To read"),
    ]
    assert set(STATES) == set(State)
