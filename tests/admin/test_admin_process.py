import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from admin import accounts, audit, sessions
from admin.accounts import SignInError
from admin.admin_process import AdminProcess, admin_process
from admin.asking import ForWhom, NotAllowedError, State, UnknownRequestError
from admin.audit import EventKind
from admin.clock import utc_now
from admin.database import Database
from admin.ingest import Ingest
from admin.publisher import NoPolicyError
from admin.sessions import NotAtTheDeviceError, Opened, Session
from admin.state_folder import StateFolder, StateFolderError
from admin.visit_log.counting import Reach
from admin.visit_log.searching import VisitFilter
from admin.visits import NamesHiddenError
from categories.first_visits import FirstVisits
from policy.access_duration import Duration
from policy.ask_token import AskToken, AskTokenError, AskTokenExpiredError
from policy.snapshot import PolicySnapshot
from tests.admin.small_town import MONDAY, visit_record
from tests.at_once import assert_soon
from tests.people import ADMINISTRATOR, CLERK, HEAD, HELP_DESK, IT, PARKS_HEAD
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

PASSWORD = "correct horse battery"
URL = "http://127.0.0.1:8000"


@dataclass
class Clock:
    at: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    state = PublishedTown(tmp_path / "state").state
    state.policy_document.write_text(DOCUMENT)
    return state


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def admin(state: StateFolder, clock: Clock) -> AsyncIterator[AdminProcess]:
    async with admin_process(state, URL, clock) as running:
        yield running


def published(state: StateFolder) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())


def link(admin: AdminProcess, **changed: Any) -> str:
    """Return the code of a block page's Ask link, as the proxy signs it for the clerk."""
    values: dict[str, Any] = {
        "host": "www.cardroom.example",
        "category": "gambling",
        "entry": "cardroom.example",
        "source": "starter",
        "rule": "not-town-business",
        "approval": ("department_head",),
        "person": CLERK,
        "device": "FIN-PC-15",
        "department": "finance",
        "policy_version": admin.policy.version,
        "code": "K7M-4QP",
        "issued_at": admin.now(),
    }
    return AskToken(**{**values, **changed}).seal(admin.state.ask_token_key.read_bytes())


async def follow(admin: AdminProcess, text: str, current: Session | None = None) -> Opened:
    return (await admin.asks.follow(text, current))[0]


async def signed_in(admin: AdminProcess, person: str) -> Session:
    await accounts.set_password(admin.db, person, PASSWORD, "admin", actor="test", now=admin.now())
    return (await admin.sign_in(person, PASSWORD)).session


async def asked(admin: AdminProcess, **changed: Any) -> tuple[Session, int]:
    """Return the session of the clerk's device and the request sent from it."""
    session = (await follow(admin, link(admin, **changed))).session
    code = changed.get("code", "K7M-4QP")
    request = await admin.requests.submit(session, code, "For the grant file", Duration.WEEK, ForWhom.PERSON)
    return session, request.id


async def test_a_clerk_asks_by_her_device_and_her_head_opens_the_site(
    admin: AdminProcess, state: StateFolder, clock: Clock
) -> None:
    device, id_ = await asked(admin)
    head = await signed_in(admin, HEAD)
    (waiting,) = await admin.request_views.to_decide(head)
    assert (waiting.id, waiting.person, waiting.host) == (id_, CLERK, "cardroom.example")
    approved = await admin.requests.approve(head, id_)
    (exemption,) = published(state).exemptions
    assert (exemption.person, exemption.host) == (CLERK, "cardroom.example")
    assert exemption.expires_at == approved.expires_at
    assert [request.state for request in await admin.request_views.mine(device)] == [State.APPROVED]
    stopped = await admin.requests.stop(head, id_, "Not needed any more")
    assert stopped.state is State.STOPPED
    assert published(state).exemptions == ()


async def test_a_session_that_only_knows_the_device_never_decides_and_the_try_is_recorded(
    admin: AdminProcess,
) -> None:
    _, id_ = await asked(admin)
    heads_device = (await follow(admin, link(admin, person=HEAD, code="ANO-THR"))).session
    for attempt in (
        admin.requests.approve(heads_device, id_),
        admin.requests.deny(heads_device, id_, "No"),
        admin.requests.stop(heads_device, id_, "No"),
    ):
        with pytest.raises(NotAllowedError, match="Sign in"):
            await attempt
    refused = [e for e in await audit.events_of(admin.db, f"REQ-{id_}") if e.actor == HEAD]
    assert [e.kind for e in refused] == [EventKind.REQUEST_MOVE_REFUSED] * 3
    assert await admin.request_views.to_decide(heads_device) == []


async def test_a_device_sees_and_withdraws_what_was_sent_from_its_browser_and_nothing_else(
    admin: AdminProcess,
) -> None:
    session, id_ = await asked(admin)
    elsewhere = (await follow(admin, link(admin, code="ANO-THR"))).session
    assert await admin.request_views.mine(elsewhere) == []
    with pytest.raises(UnknownRequestError):
        await admin.request_views.get(elsewhere, id_)
    with pytest.raises(UnknownRequestError):
        await admin.requests.withdraw(elsewhere, id_)
    assert (await admin.requests.withdraw(session, id_)).state is State.WITHDRAWN


async def test_a_form_needs_its_followed_link(admin: AdminProcess) -> None:
    session, _ = await asked(admin)
    with pytest.raises(UnknownRequestError, match="no Ask link"):
        await admin.requests.submit(session, "ANO-THR", "Please", Duration.WEEK, ForWhom.PERSON)


async def test_a_form_may_be_sent_after_the_link_itself_is_too_old(admin: AdminProcess, clock: Clock) -> None:
    text = link(admin)
    session = (await follow(admin, text)).session
    clock.at += timedelta(hours=1)
    request = await admin.requests.submit(
        session, "K7M-4QP", "Lunch came first", Duration.HOUR, ForWhom.PERSON
    )
    assert request.submitted_at == clock.at
    with pytest.raises(AskTokenExpiredError):
        await follow(admin, text)
    with pytest.raises(AskTokenError):
        await follow(admin, text[:-2] + "xx")


async def test_a_device_that_becomes_someone_elses_ends_the_sessions_it_opened(
    admin: AdminProcess, state: StateFolder
) -> None:
    await accounts.set_password(admin.db, CLERK, PASSWORD, "admin", actor="test", now=admin.now())
    clerk = await follow(admin, link(admin))
    earlier = link(admin, code="ANO-THR")
    known = await admin.sign_in(CLERK, PASSWORD)
    at_work = await admin.sign_in(CLERK, PASSWORD, previous=(await follow(admin, earlier)).session)
    unfollowed = link(admin, code="ELS-WHR")
    assert clerk.token is not None and known.token is not None and at_work.token is not None
    assert await admin.session_of(clerk.token) == clerk.session
    assert (await admin.session_of(at_work.token) or known.session).device == "FIN-PC-15"
    state.policy_document.write_text(
        DOCUMENT.replace("{name: FIN-PC-15, person: clerk}", "{name: FIN-PC-15, person: head}")
    )
    async with asyncio.timeout(30):
        while admin.policy.devices["127.0.0.1"].person != HEAD:
            await asyncio.sleep(0.05)
    assert await admin.session_of(clerk.token) is None
    still = await admin.session_of(at_work.token)
    assert still is not None and (still.person, still.device) == (CLERK, None)
    late = (await follow(admin, unfollowed)).session
    assert (late.person, late.device) == (None, None), "a link from before opens nothing of the device"


async def test_one_who_signed_in_to_the_proxy_elsewhere_is_known_without_that_device(
    admin: AdminProcess,
) -> None:
    opened = await follow(admin, link(admin, person=HEAD))
    assert opened.token is not None
    session = await admin.session_of(opened.token)
    assert session is not None and (session.person, session.device) == (HEAD, None)


async def test_what_was_stopped_here_needs_a_fresh_link_or_a_sign_in(
    admin: AdminProcess, clock: Clock
) -> None:
    session = (await follow(admin, link(admin))).session
    assert await admin.visit_views.stopped_here(session) == []
    clock.at += timedelta(minutes=15)
    with pytest.raises(NotAtTheDeviceError):
        await admin.visit_views.stopped_here(session)
    with pytest.raises(NotAtTheDeviceError):
        await admin.requests.ask_about(session, 1)
    session = (await follow(admin, link(admin, code="ANO-THR"), session)).session
    assert await admin.visit_views.stopped_here(session) == []
    clock.at += timedelta(hours=1)
    assert await admin.visit_views.stopped_here(await signed_in(admin, CLERK)) == []


async def test_a_form_goes_through_the_rule_as_it_is_when_it_is_sent(
    admin: AdminProcess, state: StateFolder
) -> None:
    session = (await follow(admin, link(admin))).session
    gone = (await follow(admin, link(admin, code="ANO-THR", rule="gone"), session)).session
    stricter = "approval: [department_head, it_security]"
    state.policy_document.write_text(DOCUMENT.replace("approval: [department_head]", stricter))
    async with asyncio.timeout(30):
        while len(admin.policy.rules[-1].approval) == 1:
            await asyncio.sleep(0.05)
    ask = await admin.asks.followed(session, "K7M-4QP")
    assert ask is not None and ask.approval == ("department_head", "it_security")
    request = await admin.requests.submit(session, "K7M-4QP", "For the file", Duration.WEEK, ForWhom.PERSON)
    assert [role.value for role in request.chain] == ["department_head", "it_security"]
    # A rule that is gone asks as its link said.
    ask = await admin.asks.followed(gone, "ANO-THR")
    assert ask is not None and ask.approval == ("department_head",)


async def test_at_a_shared_device_one_signs_in_to_ask(admin: AdminProcess) -> None:
    device = (await follow(admin, link(admin, person=None, device="LOBBY"))).session
    with pytest.raises(NotAllowedError, match="Sign in to ask"):
        await admin.requests.submit(device, "K7M-4QP", "Please", Duration.WEEK, ForWhom.PERSON)
    await accounts.set_password(admin.db, CLERK, PASSWORD, "admin", actor="test", now=admin.now())
    clerk = (await admin.sign_in(CLERK, PASSWORD, previous=device)).session
    request = await admin.requests.submit(clerk, "K7M-4QP", "Please", Duration.WEEK, ForWhom.PERSON)
    assert (request.person, request.department) == (CLERK, "finance")


@pytest.mark.parametrize(
    ("person", "sees"),
    [(CLERK, True), (HEAD, True), (IT, True), (HELP_DESK, True), (ADMINISTRATOR, True), (PARKS_HEAD, False)],
)
async def test_who_sees_a_request(admin: AdminProcess, person: str, sees: bool) -> None:
    _, id_ = await asked(admin)
    session = await signed_in(admin, person)
    if sees:
        assert (await admin.request_views.get(session, id_)).id == id_
    else:
        with pytest.raises(UnknownRequestError):
            await admin.request_views.get(session, id_)


@pytest.mark.parametrize(
    ("person", "sees_visits", "shows_names", "sees_access"),
    [
        (CLERK, False, False, False),
        (HEAD, False, False, True),
        (ADMINISTRATOR, False, False, True),
        (HELP_DESK, True, False, True),
        (IT, True, True, True),
    ],
)
async def test_who_sees_the_records(
    admin: AdminProcess, person: str, sees_visits: bool, shows_names: bool, sees_access: bool
) -> None:
    session = await signed_in(admin, person)
    for attempt, may in (
        (admin.visit_views.query(session, VisitFilter()), sees_visits),
        (admin.names.ask(session, "A complaint", "C-7"), shows_names),
        (admin.request_views.granted(session), sees_access),
    ):
        if may:
            await attempt
        else:
            with pytest.raises(NotAllowedError):
                await attempt


async def test_visits_come_from_the_spool_and_names_are_shown_for_half_an_hour(
    admin: AdminProcess, state: StateFolder, clock: Clock
) -> None:
    (state.spool / "1.visits").write_bytes(visit_record().to_line())
    it = await signed_in(admin, IT)
    async with asyncio.timeout(30):
        while not (rows := await admin.visit_views.query(it, VisitFilter())):
            await asyncio.sleep(0.05)
    assert rows[0].who.person is None
    with pytest.raises(NamesHiddenError):
        await admin.visit_views.query(it, VisitFilter(person=CLERK))
    assert await admin.names.ask(it, "A complaint", "C-7") is None
    it = await sessions.by_id(admin.db, it.id)
    assert it is not None
    (row,) = await admin.visit_views.query(it, VisitFilter())
    assert row.who.person == CLERK
    assert (await admin.visit_views.get(it, row.id)).who.person == CLERK
    clock.at += timedelta(minutes=30)
    assert (await admin.visit_views.get(it, row.id)).who.person is None


async def test_what_was_stopped_here_can_be_asked_for(
    admin: AdminProcess, state: StateFolder, clock: Clock
) -> None:
    long_ago = MONDAY - timedelta(minutes=16)
    (state.spool / "1.visits").write_bytes(
        visit_record(code="ANO-THR").to_line()
        + visit_record(code="ELS-WHR", device="PARKS-PC-1", person=PARKS_HEAD).to_line()
        + visit_record(code="OLD-222", started_at=long_ago, ended_at=long_ago).to_line()
    )
    session = (await follow(admin, link(admin))).session
    async with asyncio.timeout(30):
        while not (rows := await admin.visit_views.stopped_here(session)):
            await asyncio.sleep(0.05)
    assert [row.code for row in rows] == ["ANO-THR"]
    code = await admin.requests.ask_about(session, rows[0].id)
    request = await admin.requests.submit(session, code, "For the grant file", Duration.TODAY, ForWhom.PERSON)
    assert (request.code, request.rule, request.category) == ("ANO-THR", "not-town-business", "gambling")
    assert [role.value for role in request.chain] == ["department_head"]
    with pytest.raises(UnknownRequestError):
        await admin.requests.ask_about(session, rows[0].id + 1)


async def test_reach_and_earlier_decisions_tell_what_a_decision_needs(
    admin: AdminProcess, state: StateFolder
) -> None:
    records = [visit_record(started_at=MONDAY - timedelta(days=day)) for day in (1, 2, 29, 31)]
    (state.spool / "1.visits").write_bytes(b"".join(record.to_line() for record in records))
    head = await signed_in(admin, HEAD)
    _, first = await asked(admin)
    await admin.requests.deny(head, first, "Not needed for work")
    _, second = await asked(admin, code="ANO-THR")
    request = await admin.request_views.get(head, second)
    async with asyncio.timeout(30):
        while (facts := await admin.request_views.decision_facts(request)).reach != Reach(3, 1):
            await asyncio.sleep(0.05)
    assert [earlier.id for earlier in facts.earlier] == [first]
    assert [move.after for move in await admin.request_views.time_line(request)] == [State.SUBMITTED]


async def test_who_left_the_policy_is_signed_out_and_cannot_sign_in(
    admin: AdminProcess, state: StateFolder
) -> None:
    await accounts.set_password(admin.db, HELP_DESK, PASSWORD, "admin", actor="test", now=admin.now())
    token = (await admin.sign_in(HELP_DESK, PASSWORD)).token
    assert token is not None
    gone = "\n".join(line for line in DOCUMENT.splitlines() if HELP_DESK not in line or "mail:" not in line)
    state.policy_document.write_text(gone.replace("  help_desk: [helpdesk]\n", "") + "\n")
    async with asyncio.timeout(30):
        while HELP_DESK in admin.policy.people:
            await asyncio.sleep(0.05)
            assert not admin.policy_problems
    assert await admin.session_of(token) is None
    with pytest.raises(SignInError):
        await admin.sign_in(HELP_DESK, PASSWORD)


async def test_approval_is_published_in_well_under_a_second(admin: AdminProcess, state: StateFolder) -> None:
    head, codes = await signed_in(admin, HEAD), count(1)

    async def seconds_until_published() -> float:
        number = next(codes)
        _, id_ = await asked(admin, host=f"site{number}.example", code=f"K7M-4Q{'23456789AB'[number - 1]}")
        began = time.monotonic()
        await admin.requests.approve(head, id_)
        assert len(published(state).exemptions) == number
        return time.monotonic() - began

    await assert_soon(seconds_until_published)


async def test_a_second_admin_process_does_not_start_on_the_same_state(
    admin: AdminProcess, state: StateFolder
) -> None:
    with pytest.raises(StateFolderError, match="another admin process"):
        async with admin_process(state, URL):
            pass


async def test_without_a_policy_nothing_starts_and_nothing_stays_behind(state: StateFolder) -> None:
    state.policy_snapshot.unlink()
    state.policy_document.write_text("town: {}\n")
    for _ in range(2):
        with pytest.raises(NoPolicyError, match="mend it, then start again"):
            async with admin_process(state, URL):
                pass
    state.policy_document.write_text(DOCUMENT)
    async with admin_process(state, URL) as admin:
        assert admin.troubles() == ()


async def test_the_next_start_finds_everything_again(state: StateFolder, clock: Clock) -> None:
    async with admin_process(state, URL, clock) as admin:
        head = await signed_in(admin, HEAD)
        _, id_ = await asked(admin)
        await admin.requests.approve(head, id_)
        key = state.ask_token_key.read_bytes()
    async with admin_process(state, URL, clock) as admin:
        assert state.ask_token_key.read_bytes() == key
        assert (await admin.request_views.get(head, id_)).state is State.APPROVED
        assert len(published(state).exemptions) == 1


async def test_trouble_is_said_and_goes_when_it_is_over(admin: AdminProcess, state: StateFolder) -> None:
    assert admin.troubles() == ()
    state.spool.rename(state.proxy / "away")
    async with asyncio.timeout(60):
        while not admin.troubles():
            await asyncio.sleep(0.05)
        assert "Visits wait in the spool" in admin.troubles()[0]
        (state.proxy / "away").rename(state.spool)
        while admin.troubles():
            await asyncio.sleep(0.05)


async def test_misnamed_file_of_the_spool_is_named_until_it_is_renamed(
    admin: AdminProcess, state: StateFolder
) -> None:
    for name in (b"\xff.visits", b"\x1b.visits"):
        (state.spool / os.fsdecode(name)).touch()
    async with asyncio.timeout(8):
        while not admin.troubles():
            await asyncio.sleep(0.05)
        (trouble,) = admin.troubles()
        assert r"'\x1b.visits' and 1 more cannot be the name of a file there. Rename it" in trouble
        assert trouble.isprintable()
        (state.spool / "\x1b.visits").rename(state.spool / "found.visits")
        (state.spool / os.fsdecode(b"\xff.visits")).unlink()
        while admin.troubles():
            await asyncio.sleep(0.05)
        assert admin.visits_behind is None


async def test_first_visits_are_published_at_the_start(
    state: StateFolder, clock: Clock, visited_before: None
) -> None:
    async with admin_process(state, URL, clock), asyncio.timeout(30):
        while not state.first_visits.exists():
            await asyncio.sleep(0.02)
    found = FirstVisits.from_bytes(state.first_visits.read_bytes())
    assert not found.is_newly_seen("www.old.example", MONDAY, timedelta(days=7))
    assert found.is_newly_seen("other.example", MONDAY, timedelta(days=7))


@pytest.fixture
async def visited_before(state: StateFolder) -> None:
    """Leave a database in which a month ago somebody visited old.example."""
    at = MONDAY - timedelta(days=30)
    (state.spool / "1.visits").write_bytes(
        visit_record(host="old.example", started_at=at, ended_at=at).to_line()
    )
    async with Database.open(state.database) as db:
        await Ingest(db, state.spool, utc_now).take_in()
