"""Others are told of who is stopped too often, and of what is stopped as a risk: once, whatever restarts."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin import audit
from admin.admin_process import admin_process
from admin.attempts import AttemptsJob, first_over
from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log import searching
from admin.visit_log.clients import StoppedVisit
from policy.decision import Cause, Lane, Verdict
from policy.town_policy import Approver, Attempts, Policy
from policy.visit_record import VisitRecord, new_code
from tests import towns
from tests.admin.small_town import MONDAY, PARKS_CLERK, SECOND_IT, TOWN, visit_record
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT, PARKS_HEAD
from tests.published_town import PublishedTown

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
THREE_A_DAY = Attempts(3, DAY, frozenset({"gambling", "adult"}))
WATCHED = replace(TOWN, attempts=THREE_A_DAY)
SOON = MONDAY + MINUTE
"""What a test does comes after the first look."""


class Watching:
    """The job by a clock that a test sets; `restart` is all that a restart of admin forgets."""

    def __init__(self, db: Database, spool: Path) -> None:
        self.db = db
        self.spool = spool
        self.at = MONDAY
        self.policy: Policy = WATCHED
        self.restart()

    def restart(self) -> None:
        self.job = AttemptsJob(self.db, lambda: self.policy, lambda: self.at)

    async def arrive(self, *records: VisitRecord) -> None:
        """Bring visits into the log, as the proxy and ingest do."""
        (self.spool / f"{new_code()}.visits").write_bytes(b"".join(one.to_line() for one in records))
        await Ingest(self.db, self.spool, lambda: self.at).take_in()

    async def letters(self, kind: str) -> list[tuple[str, dict[str, str]]]:
        """Look, and return all letters of a kind: to whom, and what they tell."""
        await self.job.look()
        rows = await self.db.fetch_all(
            "SELECT recipient, details FROM letter WHERE kind = ? ORDER BY id", kind
        )
        return [(row["recipient"], json.loads(row["details"])["values"]) for row in rows]

    async def told(self, kind: str = "attempts_repeated") -> list[str]:
        """Look, and return who was told, ever."""
        return [to for to, _ in await self.letters(kind)]


@pytest.fixture
async def watching(db: Database, tmp_path: Path) -> Watching:
    """Return the job after its first look."""
    spool = tmp_path / "spool"
    spool.mkdir()
    watching = Watching(db, spool)
    await watching.job.look()
    return watching


def stopped(at: datetime = SOON, **changed: Any) -> VisitRecord:
    return visit_record(code=new_code(), started_at=at, ended_at=at, **changed)


def risk(at: datetime = SOON, **changed: Any) -> VisitRecord:
    values = {"cause": Cause.SECURITY_RISK, "category": "malware", "host": "bad.example", "rule": None}
    return stopped(at, **{**values, **changed})


def times(count: int, at: datetime = SOON, **changed: Any) -> list[VisitRecord]:
    return [stopped(at + number * MINUTE, **changed) for number in range(count)]


async def test_head_and_it_are_told_once_of_more_visits_than_the_policy_allows(watching: Watching) -> None:
    await watching.arrive(*times(2), *times(1, category="adult"))
    assert await watching.told() == []
    await watching.arrive(*times(1, SOON + 9 * MINUTE))
    told = await watching.letters("attempts_repeated")
    assert [to for to, _ in told] == [HEAD, IT, SECOND_IT]
    assert told[0][1] == {
        "person": CLERK,
        "department": "finance",
        "visits": "4",
        "categories": "gambling adult",
        "from": SOON.isoformat(),
        "until": (SOON + 9 * MINUTE).isoformat(),
    }
    await watching.arrive(*times(20, SOON + 10 * MINUTE))
    assert await watching.told() == [HEAD, IT, SECOND_IT]
    (event,) = await audit.events_of(watching.db, CLERK)
    assert (event.kind, event.actor) == (audit.EventKind.ATTEMPTS_TOLD, "the visit log")
    assert event.details == {
        "visits": 4,
        "categories": ["adult", "gambling"],
        "people": [HEAD, IT, SECOND_IT],
    }


async def test_visits_of_more_than_the_span_ago_do_not_count(watching: Watching) -> None:
    await watching.arrive(*times(3))
    await watching.arrive(*times(1, SOON + DAY))
    assert await watching.told() == []
    # The second of the three is not over yet.
    await watching.arrive(*times(1, SOON + DAY + MINUTE - MINUTE / 2), *times(1, SOON + DAY + MINUTE / 3))
    assert len(await watching.told()) == 3


async def test_it_is_told_again_when_it_is_so_again_after_the_span(watching: Watching) -> None:
    await watching.arrive(*times(4))
    assert len(await watching.told()) == 3
    over = SOON + 3 * MINUTE + DAY
    await watching.arrive(*times(3, over - 4 * MINUTE))
    assert len(await watching.told()) == 3
    await watching.arrive(stopped(over))
    assert len(await watching.told()) == 6


async def test_admin_that_was_down_for_days_tells_of_each_span(watching: Watching) -> None:
    await watching.arrive(*times(9), *times(9, SOON + 3 * DAY))
    assert len(await watching.told()) == 6


async def test_restarts_tell_nothing_twice_and_leave_nothing_out(watching: Watching) -> None:
    for record in (*times(7), risk()):
        await watching.arrive(record)
        watching.restart()
        await watching.job.look()
        watching.restart()
    assert await watching.told() == [HEAD, IT, SECOND_IT]
    assert await watching.told("risk_stopped") == [HEAD, IT, SECOND_IT]


async def test_place_that_was_not_kept_tells_nothing_twice(watching: Watching) -> None:
    await watching.arrive(*times(5), risk())
    assert len(await watching.told()) == 3
    async with watching.db.transaction() as t:
        await t.execute("UPDATE attempts_place SET last_visit = 0")
    assert len(await watching.told()) == len(await watching.told("risk_stopped")) == 3


async def test_failing_look_moves_nothing_and_the_next_one_tells(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watching.arrive(*times(4), risk())
    before = await watching.db.fetch_one("SELECT last_visit FROM attempts_place")
    async with watching.db.transaction() as t:
        await t.execute(
            "CREATE TRIGGER no_room BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    with pytest.raises(Exception, match="no room"):
        await watching.job.look()
    assert await watching.db.fetch_one("SELECT last_visit FROM attempts_place") == before
    assert await watching.db.fetch_all("SELECT * FROM letter") == []
    async with watching.db.transaction() as t:
        await t.execute("DROP TRIGGER no_room")
    assert len(await watching.told()) == len(await watching.told("risk_stopped")) == 3


async def test_only_what_is_blocked_for_what_its_site_is_listed_as_counts(watching: Watching) -> None:
    allowed = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL}
    others: Sequence[dict[str, Any]] = (
        allowed,
        {"verdict": Verdict.WARN},
        {"category": "shopping"},
        {"category": None, "entry": None, "source": None},
        {"cause": Cause.LOCKDOWN},
        {"cause": Cause.LIMIT},
        {"person": None},
        {"person": "left-the-town"},
    )
    for changed in others:
        await watching.arrive(*times(5, **changed))
    await watching.arrive(risk(**allowed), risk(cause=Cause.LOCKDOWN))
    assert await watching.told() == await watching.told("risk_stopped") == []
    await watching.arrive(*times(4))
    assert len(await watching.told()) == 3


@pytest.mark.parametrize(
    ("person", "tell", "told"),
    [
        (CLERK, (*THREE_A_DAY.tell, Approver.TOWN_ADMINISTRATOR), [ADMINISTRATOR, HEAD, IT, SECOND_IT]),
        (PARKS_CLERK, THREE_A_DAY.tell, [IT, SECOND_IT, PARKS_HEAD]),
        # A head's own, and of who is of no department.
        (HEAD, (Approver.DEPARTMENT_HEAD,), [ADMINISTRATOR]),
        (ADMINISTRATOR, tuple(Approver), [IT, SECOND_IT]),
        # Nobody is told of themselves.
        (IT, tuple(Approver), [SECOND_IT]),
    ],
)
async def test_those_are_told_whom_the_policy_names(
    watching: Watching, person: str, tell: tuple[Approver, ...], told: list[str]
) -> None:
    watching.policy = replace(TOWN, attempts=replace(THREE_A_DAY, tell=tell))
    department = TOWN.people[person].department
    await watching.arrive(*times(4, person=person, department=department))
    await watching.arrive(risk(person=person, department=department))
    assert await watching.told() == await watching.told("risk_stopped") == told


async def test_town_administrator_is_told_where_nobody_else_is_left(watching: Watching) -> None:
    watching.policy = replace(WATCHED, roles={**TOWN.roles, "it_security": (IT,)})
    await watching.arrive(*times(4, person=IT, department=None))
    assert await watching.told() == [ADMINISTRATOR]
    finance = replace(TOWN.departments["finance"], head="")
    watching.policy = replace(watching.policy, departments={"finance": finance})
    await watching.arrive(*times(4, person=CLERK))
    assert await watching.told() == [ADMINISTRATOR, ADMINISTRATOR, IT]


async def test_security_risk_is_told_at_once_with_the_device_and_once_a_day(watching: Watching) -> None:
    first = risk()
    await watching.arrive(first, risk(SOON + MINUTE, host="worse.example"))
    told = await watching.letters("risk_stopped")
    assert [to for to, _ in told] == [HEAD, IT, SECOND_IT]
    assert told[0][1] == {
        "host": "bad.example",
        "category": "malware",
        "person": CLERK,
        "department": "finance",
        "device": "FIN-PC-15",
        "at": SOON.isoformat(),
        "code": first.code,
    }
    (event,) = await audit.events_of(watching.db, "bad.example")
    assert event.kind is audit.EventKind.SECURITY_RISK_TOLD
    assert event.details["device"] == "FIN-PC-15"
    await watching.arrive(risk(SOON + DAY - MINUTE))
    assert len(await watching.told("risk_stopped")) == 3
    for other in ({"category": "phishing"}, {"device": "FIN-PC-16"}, {"at": SOON + DAY}):
        before = len(await watching.told("risk_stopped"))
        await watching.arrive(risk(**other))
        assert len(await watching.told("risk_stopped")) == before + 3


async def test_address_of_a_computer_without_a_name_is_for_it_alone(watching: Watching) -> None:
    await watching.arrive(risk(person=None, device=None))
    told = {to: values["device"] for to, values in await watching.letters("risk_stopped")}
    assert told == {HEAD: "", IT: "10.10.20.15", SECOND_IT: "10.10.20.15"}


async def test_what_was_before_the_policy_said_so_counts_for_nothing(watching: Watching) -> None:
    watching.policy = TOWN
    await watching.arrive(*times(9), risk())
    assert await watching.told() == await watching.told("risk_stopped") == []
    watching.policy, watching.at = WATCHED, SOON + 30 * MINUTE
    await watching.job.look()
    await watching.arrive(*times(3, watching.at))
    assert await watching.told() == []
    await watching.arrive(*times(1, watching.at + 4 * MINUTE))
    assert len(await watching.told()) == 3
    assert await watching.told("risk_stopped") == []


async def test_more_than_a_page_of_visits_is_read_to_the_end(watching: Watching) -> None:
    hour = timedelta(hours=1)
    many = [stopped(SOON, category="shopping") for _ in range(1000)]
    await watching.arrive(*many, *times(4, SOON + hour))
    assert len(await watching.told()) == 3
    row = await watching.db.fetch_one("SELECT last_visit FROM attempts_place")
    assert row is not None
    assert row["last_visit"] == await searching.last_id(watching.db.visits)


async def test_log_that_is_older_than_the_place_is_read_from_its_end(watching: Watching) -> None:
    await watching.arrive(*times(1))
    await watching.job.look()
    async with watching.db.transaction() as t:
        await t.execute("UPDATE attempts_place SET last_visit = last_visit + 1000000")
    await watching.job.look()
    await watching.arrive(*times(1), risk())
    assert len(await watching.told("risk_stopped")) == 3


async def test_admin_looks_by_itself_and_after_a_restart_at_what_came_before_it(tmp_path: Path) -> None:
    state = PublishedTown(tmp_path / "state").state
    attempts = "attempts: {more_than: 3, within: 1d, categories: [gambling]}\n"
    state.policy_document.write_text(towns.DOCUMENT + attempts)

    async def until_there(db: Database, sql: str) -> None:
        async with asyncio.timeout(30):
            while not await db.fetch_all(sql):
                await asyncio.sleep(0.02)

    async with admin_process(state, "http://127.0.0.1:8000", lambda: MONDAY) as admin:
        await until_there(admin.db, "SELECT 1 FROM attempts_place")
        lines = b"".join(record.to_line() for record in times(4))
        (state.spool / "one.visits").write_bytes(lines)
        async with asyncio.timeout(30):
            while not await searching.last_id(admin.db.visits):
                await asyncio.sleep(0.02)
    async with admin_process(state, "http://127.0.0.1:8000", lambda: MONDAY) as admin:
        await until_there(admin.db, "SELECT 1 FROM letter WHERE kind = 'attempts_repeated'")


@given(
    minutes=st.lists(st.integers(0, 60), max_size=30).map(sorted),
    more_than=st.integers(1, 6),
    within=st.integers(1, 20),
    from_=st.integers(0, 60),
)
def test_first_span_over_is_the_one_that_counting_every_span_finds(
    minutes: list[int], more_than: int, within: int, from_: int
) -> None:
    def at(minute: int) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC) + minute * MINUTE

    spans = [
        [minute for minute in minutes[: end + 1] if last - minute < within]
        for end, last in enumerate(minutes)
        if last >= from_
    ]
    expected = next((span for span in spans if len(span) > more_than), [])
    visits = [StoppedVisit("gambling", at(minute)) for minute in minutes]
    found = first_over(visits, more_than, within * MINUTE, at(from_))
    assert [visit.started_at for visit in found] == [at(minute) for minute in expected]
