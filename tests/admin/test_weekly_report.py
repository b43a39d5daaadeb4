"""The weekly report says what the visit log says, and is put once, whatever restarts, to whom it is for."""

import asyncio
import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from admin import access_requests, audit
from admin.asked import Kind, Window
from admin.asking import State
from admin.audit import EventKind
from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log.spans import HEAVY_BYTES, Use
from admin.web import report_words
from admin.week import Week, last_due, next_due_at
from admin.weekly_letters import WeeklyLetters
from admin.weekly_report import WeeklyReport as Report
from admin.weekly_report import weekly_report
from policy.access_duration import Duration
from policy.decision import Lane, Verdict
from policy.town_policy import AfterApproval, Policy, WeeklyReport
from policy.visit_record import VisitRecord, new_code
from tests.admin.small_town import (
    COLLEAGUE,
    DELEGATE,
    MONDAY,
    PARKS_CLERK,
    SECOND_IT,
    TOWN,
    listed,
    submitted,
    visit_record,
)
from tests.people import CLERK, HEAD, IT, PARKS_HEAD

DAY, HOUR, WEEK = timedelta(days=1), timedelta(hours=1), timedelta(weeks=1)
ZONE = ZoneInfo("America/New_York")
MONDAYS = WeeklyReport(0, time(7))
REPORTING = replace(TOWN, weekly_report=MONDAYS)
# MONDAY is one, March 2, 10 AM: the week before is the last that is over, the report was due at 7.
LAST_WEEK = Week(date(2026, 2, 23))
BEGINS, ENDS = LAST_WEEK.begins_at(ZONE), LAST_WEEK.ends_at(ZONE)
EVERYONE = [DELEGATE, HEAD, IT, SECOND_IT, PARKS_HEAD]

type Arrive = Callable[[Iterable[VisitRecord]], Any]


@pytest.fixture
def arrive(db: Database, tmp_path: Path) -> Arrive:
    """Return what brings visits into the log."""
    spool = tmp_path / "spool"
    spool.mkdir()

    async def take_in(records: Iterable[VisitRecord]) -> None:
        lines = b"".join(record.to_line() for record in records)
        (spool / f"{new_code()}.visits").write_bytes(lines)
        await Ingest(db, spool, lambda: MONDAY).take_in()

    return take_in


def visits(count: int, at: datetime = BEGINS + DAY, **changed: Any) -> list[VisitRecord]:
    return [visit_record(code=new_code(), started_at=at, ended_at=at, **changed) for _ in range(count)]


def allowed(count: int, at: datetime = BEGINS + DAY, **changed: Any) -> list[VisitRecord]:
    values = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "category": "press", "host": "news.example"}
    return visits(count, at, **{**values, **changed})


async def reported(db: Database, department: str | None = "finance", policy: Policy = REPORTING) -> Report:
    return await weekly_report(db, policy, department, LAST_WEEK, MONDAY)


async def test_department_is_told_its_own_week_and_the_town_everybodys(db: Database, arrive: Arrive) -> None:
    await arrive(
        [
            *allowed(5, bytes_up=10, bytes_down=90),
            *visits(2),
            *visits(1, category="adult"),
            *allowed(1, category=None),
            *allowed(4, person=PARKS_CLERK, department="parks", category="weather"),
            *allowed(1, person=None, device=None, department=None),
            # The first and last instants of the week, and those next to them.
            *allowed(1, BEGINS - timedelta(milliseconds=1)),
            *allowed(1, BEGINS),
            *allowed(1, ENDS - timedelta(milliseconds=1)),
            *allowed(1, ENDS),
        ]
    )
    finance = await reported(db)
    assert finance.now.used == Use(11, 3, 500)
    assert finance.before.used == Use(1, 0, 0)
    assert dict(finance.categories) == {
        "press": Use(7, 0, 500),
        "gambling": Use(2, 2, 0),
        "adult": Use(1, 1, 0),
        "": Use(1, 0, 0),
    }
    assert finance.blocked == (("gambling", 2), ("adult", 1))
    assert finance.departments == ()
    town = await reported(db, None)
    assert town.now.used == Use(16, 3, 500)
    assert {id_: use.visits for id_, use in town.departments} == {"finance": 11, "parks": 4, "": 1}


async def test_heavy_use_is_every_visit_of_so_many_bytes_and_software_updates_apart(
    db: Database, arrive: Arrive
) -> None:
    await arrive(
        [
            *allowed(1, host="files.example", bytes_up=1, bytes_down=HEAVY_BYTES - 1),
            *allowed(3, host="films.example", bytes_down=HEAVY_BYTES, person=COLLEAGUE),
            *allowed(9, bytes_up=1, bytes_down=HEAVY_BYTES - 2),
            *allowed(1, category="software_updates", bytes_down=7 * HEAVY_BYTES),
            *allowed(1, BEGINS - HOUR, bytes_down=HEAVY_BYTES),
            *allowed(1, department="parks", host="maps.example", bytes_down=HEAVY_BYTES),
        ]
    )
    finance = await reported(db)
    assert (finance.now.heavy.visits, finance.now.heavy.size_bytes) == (4, 4 * HEAVY_BYTES)
    assert finance.heavy_hosts == (("films.example", 3 * HEAVY_BYTES), ("files.example", HEAVY_BYTES))
    assert finance.updates_bytes == 7 * HEAVY_BYTES
    assert finance.before.heavy.visits == 1
    assert dict((await reported(db, None)).heavy_hosts)["maps.example"] == HEAVY_BYTES


async def test_heavy_visits_are_found_by_their_index(db: Database, arrive: Arrive) -> None:
    await arrive(allowed(1))
    (month,) = await db.visits.months()
    async with db.visits.reading(month) as file:
        plan = await file.fetch_all(
            "EXPLAIN QUERY PLAN SELECT 1 FROM visit_row"
            f" WHERE bytes_up + bytes_down >= {HEAVY_BYTES} AND started_at >= 1"
        )
    assert "visit_heavy" in plan[0]["detail"]


async def test_figures_are_those_of_counting_the_visits_one_by_one(db: Database, arrive: Arrive) -> None:
    dice = random.Random(7)
    records = []
    for _ in range(1500):
        at = BEGINS - 2 * DAY + dice.random() * 11 * DAY
        kind = dice.choice(["gambling", "press", "adult", "software_updates", None])
        record = allowed(
            1,
            at.replace(microsecond=at.microsecond // 1000 * 1000),
            category=kind,
            host=f"{kind or 'other'}{dice.randrange(3)}.example",
            verdict=dice.choice([Verdict.BLOCK, Verdict.ALLOW, Verdict.WARN]),
            person=dice.choice([CLERK, COLLEAGUE, HEAD, None]),
            department=dice.choice(["finance", "parks", None]),
            bytes_down=int(dice.lognormvariate(17, 3)),
        )
        records += record
    await arrive(records)
    shown = replace(REPORTING, weekly_report=replace(MONDAYS, names_shown=True))
    for department in ("finance", None):
        found = await reported(db, department, shown)
        week = [r for r in records if BEGINS <= r.started_at < ENDS and department in (None, r.department)]
        heavy = [
            r for r in week if r.bytes_up + r.bytes_down >= HEAVY_BYTES and r.category != "software_updates"
        ]
        assert found.now.used.visits == len(week)
        assert found.now.used.blocked == sum(r.verdict is Verdict.BLOCK for r in week)
        assert found.now.used.size_bytes == sum(r.bytes_up + r.bytes_down for r in week)
        assert found.now.heavy.size_bytes == sum(r.bytes_up + r.bytes_down for r in heavy)
        for host, size in found.heavy_hosts:
            assert size == sum(r.bytes_up + r.bytes_down for r in heavy if r.host == host)
        for id_, use in found.categories:
            assert use.visits == sum((r.category or "") == id_ for r in week)
        if department is not None:
            assert found.named is not None
            blocked = [r.person for r in week if r.verdict is Verdict.BLOCK]
            assert dict(found.named.blocked) == {p: blocked.count(p) for p in (CLERK, COLLEAGUE)}


async def test_requests_of_the_week_are_counted_by_what_became_of_them(db: Database) -> None:
    await submitted(db, at=BEGINS + DAY)
    denied = await submitted(db, at=BEGINS + DAY, host="dice.example")
    await access_requests.deny(db, TOWN, denied.id, actor=HEAD, at=MONDAY, reason="No.")
    await submitted(db, at=ENDS, host="lotto.example")
    await submitted(db, PARKS_CLERK, at=BEGINS, host="slots.example")
    assert (await reported(db)).now.requests == {State.SUBMITTED: 1, State.DENIED: 1}
    assert sum((await reported(db, None)).now.requests.values()) == 3


async def test_what_was_over_before_anybody_answered_or_opened_it_does_not_wait(db: Database) -> None:
    waiting_town = replace(TOWN, after_approval=AfterApproval.WAIT_FOR_IT)
    window = Window(("sports",), BEGINS + DAY, BEGINS + DAY + HOUR)
    for person in (CLERK, COLLEAGUE):
        sent = await submitted(
            db, person, at=BEGINS, host="", kind=Kind.PERSONAL_USE, asked=window, category=None
        )
    await access_requests.approve(db, waiting_town, listed, sent.id, actor=HEAD, at=BEGINS)
    today = await submitted(db, at=BEGINS, duration=Duration.TODAY)
    await access_requests.approve(db, TOWN, listed, today.id, actor=HEAD, at=BEGINS)
    found = (await reported(db)).now.requests
    assert found == {State.ENDED: 2, State.APPROVED: 1}
    assert report_words.requests(found) == "3: 1 allowed, 2 not opened in time"


async def test_nobody_is_named_unless_the_policy_says_so_and_never_the_head_nor_in_the_towns(
    db: Database, arrive: Arrive
) -> None:
    await arrive(
        [
            *visits(3),
            *visits(9, person=HEAD),
            *visits(4, person=COLLEAGUE),
            *visits(2, person=PARKS_CLERK, department="parks"),
            *visits(5, person=None),
            *allowed(1, bytes_down=HEAVY_BYTES),
            *allowed(1, person=HEAD, bytes_down=HEAVY_BYTES),
        ]
    )
    assert (await reported(db)).named is None
    shown = replace(REPORTING, weekly_report=replace(MONDAYS, names_shown=True))
    named = (await reported(db, policy=shown)).named
    assert named is not None
    assert named.blocked == ((COLLEAGUE, 4), (CLERK, 3))
    assert named.heavy == ((CLERK, HEAVY_BYTES),)
    assert (await reported(db, None, shown)).named is None


@pytest.mark.parametrize(
    ("now", "due", "next_at"),
    [
        # Monday, 7 AM in New York is 12 o'clock UTC, from March 8 on 11.
        ("2026-03-02T11:59:59", "2026-02-16", "2026-03-02T12:00"),
        ("2026-03-02T12:00:00", "2026-02-23", "2026-03-09T11:00"),
        ("2026-03-09T10:59:59", "2026-02-23", "2026-03-09T11:00"),
        ("2026-03-09T11:00:00", "2026-03-02", "2026-03-16T11:00"),
    ],
)
def test_report_is_due_by_the_towns_clock(now: str, due: str, next_at: str) -> None:
    at = datetime.fromisoformat(f"{now}+00:00")
    assert str(last_due(MONDAYS, at, ZONE)) == due
    assert next_due_at(MONDAYS, at, ZONE) == datetime.fromisoformat(f"{next_at}+00:00")


def test_report_of_a_later_day_is_on_the_week_before_that_day() -> None:
    fridays = WeeklyReport(4, time(16, 30))
    assert str(last_due(fridays, datetime(2026, 3, 6, 21, 29, tzinfo=UTC), ZONE)) == "2026-02-16"
    assert str(last_due(fridays, datetime(2026, 3, 6, 21, 30, tzinfo=UTC), ZONE)) == "2026-02-23"


def test_week_in_which_the_clock_changes_has_an_hour_less() -> None:
    week = Week(date(2026, 3, 2))
    assert week.ends_at(ZONE) - week.begins_at(ZONE) == WEEK - HOUR


@pytest.mark.parametrize(
    ("monday", "said"),
    [
        ("2026-03-02", "March 2 to 8"),
        ("2026-03-30", "March 30 to April 5"),
        ("2025-12-29", "December 29, 2025 to January 4, 2026"),
        ("2025-03-03", "March 3 to 9, 2025"),
    ],
)
def test_week_is_said_by_its_days(monday: str, said: str) -> None:
    assert Week.parse(monday).said(date(2026, 4, 6)).replace("\u00a0", " ") == said


def test_line_breaks_between_the_two_dates_of_a_week_and_nowhere_in_one() -> None:
    today = date(2026, 4, 6)
    assert Week.parse("2026-03-30").said(today).split(" ") == ["March\u00a030", "to\u00a0April\u00a05"]
    assert " " not in Week.parse("2026-03-02").said(today)


class Reporting:
    """The job by a clock that a test sets; `restart` is all that a restart of admin forgets."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.at = MONDAY - WEEK
        self.policy: Policy = REPORTING
        self.caught_up_at: datetime | None = None
        self.restart()

    def restart(self) -> None:
        self.job = WeeklyLetters(
            self.db, lambda: self.policy, lambda: self.caught_up_at or self.at, lambda: self.at
        )

    async def told(self) -> list[tuple[str, str]]:
        """Look, and return who was ever sent a report, and on what week."""
        await self.job.look()
        rows = await self.db.fetch_all(
            "SELECT recipient, details ->> '$.again' AS week FROM letter ORDER BY id"
        )
        return [(row["recipient"], row["week"]) for row in rows]


@pytest.fixture
async def reporting(db: Database) -> Reporting:
    """Return the job after its first look, a week before MONDAY."""
    reporting = Reporting(db)
    assert await reporting.told() == []
    return reporting


async def test_report_goes_to_who_answers_for_each_department_and_to_it_once(reporting: Reporting) -> None:
    reporting.at = MONDAY - 3 * HOUR - timedelta(seconds=1)
    assert await reporting.told() == []
    reporting.at = MONDAY - 3 * HOUR
    week = str(LAST_WEEK)
    assert sorted(await reporting.told()) == sorted((person, week) for person in EVERYONE)
    (event,) = await audit.events_of(reporting.db, week)
    assert event.kind is EventKind.WEEKLY_REPORT_SENT
    assert event.details["people"] == sorted(EVERYONE)
    for _ in range(3):
        reporting.at += DAY
        reporting.restart()
        assert len(await reporting.told()) == len(EVERYONE)


async def test_who_answers_for_two_departments_or_is_of_it_too_gets_a_letter_for_each(
    reporting: Reporting,
) -> None:
    parks = replace(TOWN.departments["parks"], head=IT)
    reporting.policy = replace(REPORTING, departments={**TOWN.departments, "parks": parks})
    reporting.at = MONDAY
    assert [person for person, _ in await reporting.told()].count(IT) == 2


async def test_admin_that_was_off_for_days_or_weeks_sends_each_weeks_report_once(
    reporting: Reporting,
) -> None:
    reporting.at = MONDAY + 3 * DAY
    reporting.restart()
    assert len(await reporting.told()) == len(EVERYONE)
    reporting.at = MONDAY + 2 * WEEK + DAY
    reporting.restart()
    weeks = {week for _, week in await reporting.told()}
    assert weeks == {"2026-02-23", "2026-03-02", "2026-03-09"}
    reporting.at = MONDAY + 12 * WEEK
    assert {week for _, week in await reporting.told()} - weeks == {
        *("2026-04-27", "2026-05-04", "2026-05-11", "2026-05-18")
    }


async def test_report_waits_for_visits_that_are_on_their_way(reporting: Reporting) -> None:
    reporting.at = MONDAY
    reporting.caught_up_at = ENDS - timedelta(seconds=1)
    assert await reporting.told() == []
    reporting.caught_up_at = ENDS
    assert len(await reporting.told()) == len(EVERYONE)


async def test_clock_that_goes_back_sends_nothing_twice(reporting: Reporting) -> None:
    reporting.at = MONDAY
    await reporting.job.look()
    reporting.at = MONDAY - 4 * HOUR
    await reporting.job.look()
    reporting.at = MONDAY
    assert len(await reporting.told()) == len(EVERYONE)


async def test_clock_that_was_a_year_ahead_does_not_keep_reports_back(reporting: Reporting) -> None:
    reporting.at = MONDAY + 52 * WEEK
    before = len(await reporting.told())
    reporting.at = MONDAY
    assert len(await reporting.told()) == before
    reporting.at = MONDAY + WEEK
    assert len(await reporting.told()) == before + len(EVERYONE)


async def test_policy_that_says_so_again_begins_anew(reporting: Reporting) -> None:
    reporting.policy = TOWN
    reporting.at = MONDAY
    assert await reporting.told() == []
    reporting.policy = REPORTING
    assert await reporting.told() == []
    reporting.at = MONDAY + WEEK
    assert {week for _, week in await reporting.told()} == {"2026-03-02"}


async def test_another_day_in_the_policy_sends_no_week_twice(reporting: Reporting) -> None:
    reporting.at = MONDAY
    await reporting.job.look()
    reporting.policy = replace(TOWN, weekly_report=WeeklyReport(6, time(18)))
    for _ in range(14):
        reporting.at += DAY
        await reporting.job.look()
    sent = await reporting.told()
    assert len(set(sent)) == len(sent) == 2 * len(EVERYONE)


_LOOK = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from admin.database import Database
from tests.admin.test_weekly_report import MONDAY, REPORTING
from admin.weekly_letters import WeeklyLetters

async def main() -> None:
    async with Database.open(Path(sys.argv[1])) as db:
        print("looking", flush=True)
        while True:
            await WeeklyLetters(db, lambda: REPORTING, lambda: MONDAY, lambda: MONDAY).look()

asyncio.run(main())
"""


async def test_killed_again_and_again_each_report_is_put_once(tmp_path: Path) -> None:
    path = tmp_path / "towngate.db"
    dice = random.Random(7)
    for _ in range(8):
        async with Database.open(path) as db, db.transaction() as t:
            await t.execute("INSERT INTO weekly_report_place VALUES (1, '2026-02-16') ON CONFLICT DO NOTHING")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _LOOK, str(path), cwd=Path.cwd(), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(dice.uniform(0.0, 0.01))
        process.kill()
        await process.wait()
    async with Database.open(path) as db:
        letters = await db.fetch_all("SELECT recipient FROM letter ORDER BY recipient")
        events = await audit.events_of(db, str(LAST_WEEK))
        await WeeklyLetters(db, lambda: REPORTING, lambda: MONDAY, lambda: MONDAY).look()
        again = await db.fetch_all("SELECT recipient FROM letter ORDER BY recipient")
    assert len(events) <= 1
    assert len(letters) == len(EVERYONE) * len(events)
    assert [row["recipient"] for row in again] == EVERYONE
