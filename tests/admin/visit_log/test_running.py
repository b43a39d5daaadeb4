"""Visits that go on for long: known while they last, and not lost with a worker that is killed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log import counting, searching
from admin.visit_log.counting import Counts
from admin.visit_log.searching import VisitFilter
from policy.decision import Lane, Verdict
from policy.visit_record import VisitRecord
from tests.admin.small_town import visit_record
from tests.admin.visit_files import in_visit_files

NOON = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
type Arrive = Callable[..., Awaitable[None]]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def heard(minutes: float, *, is_running: bool = True, code: str = "AAA-AAA", size: int = 0) -> VisitRecord:
    return visit_record(
        code=code,
        started_at=NOON,
        ended_at=at(minutes),
        verdict=Verdict.ALLOW,
        lane=Lane.TUNNEL,
        bytes_down=size,
        is_running=is_running,
    )


@pytest.fixture
def arrive(tmp_path: Path) -> Arrive:
    """Return what has records arrive at a minute, in a process of its own each time."""
    spool = tmp_path / "spool"
    spool.mkdir()

    async def take_in(minutes: float, *records: VisitRecord) -> None:
        (spool / f"{minutes}.visits").write_bytes(b"".join(record.to_line() for record in records))
        async with Database.open(tmp_path / "towngate.db") as db:
            ingest = Ingest(db, spool, lambda: at(minutes))
            await ingest.take_in()
            assert ingest.status.failure is None

    return take_in


async def log(db: Database) -> list[tuple[float, int, str | None]]:
    """Return how many minutes each visit lasted, its bytes, and its refusal."""
    found = await searching.newest_first(db.visits, VisitFilter())
    rows = [one.row for one in found]
    return [
        ((row["ended_at"] - row["started_at"]) / 60_000, row["bytes_down"], row["refusal"]) for row in rows
    ]


async def test_visit_that_ends_is_in_the_log_once_as_it_ended(db: Database, arrive: Arrive) -> None:
    await arrive(1, heard(1, size=10))
    assert await log(db) == []
    await arrive(6, heard(6, size=20))
    await arrive(9, heard(9, size=30, is_running=False))
    await arrive(60)
    assert await log(db) == [(9, 30, None)]
    assert await counting.hours(db.visits, NOON) == {0: Counts(1, 0)}


async def test_visit_of_a_killed_worker_is_written_as_last_heard_of_once(
    db: Database, arrive: Arrive
) -> None:
    addresses = ("http://cardroom.example/", "http://cardroom.example/table")
    last = replace(heard(6, size=20), addresses=addresses)
    await arrive(6, heard(1, size=10), last)
    await arrive(20)
    assert await log(db) == []
    await arrive(22)
    await arrive(30)
    ((lasted, size, refusal),) = await log(db)
    assert (lasted, size) == (6, 20)
    assert "its worker ended" in (refusal or "")
    rows = await in_visit_files(db, "SELECT address FROM visit_address ORDER BY place")
    assert tuple(row["address"] for row in rows) == addresses


@pytest.mark.parametrize("minutes", [29, 31])
async def test_visit_that_ends_in_another_month_is_in_the_log_once(
    db: Database, arrive: Arrive, minutes: float
) -> None:
    await arrive(26, heard(26, size=10))
    await arrive(minutes, heard(minutes, size=20, is_running=False))
    await arrive(50)
    await arrive(51)
    assert await log(db) == [(minutes, 20, None)]


async def test_visit_that_goes_on_long_after_the_month_ended_is_in_the_log_once(
    db: Database, arrive: Arrive
) -> None:
    for minutes in (26, 31, 36, 41, 46):
        await arrive(minutes, heard(minutes, size=10))
    assert await log(db) == []
    await arrive(50, heard(50, size=20, is_running=False))
    await arrive(80)
    assert await log(db) == [(50, 20, None)]


async def test_visit_of_a_worker_that_was_killed_after_the_month_ended_is_written_once(
    db: Database, arrive: Arrive
) -> None:
    await arrive(26, heard(26, size=10))
    await arrive(31, heard(31, size=20), heard(31, size=40, code="BBB-BBB"))
    await arrive(60)
    assert sorted((lasted, size) for lasted, size, _ in await log(db)) == [(31, 20), (31, 40)]


async def test_visit_that_was_heard_of_while_a_clock_was_in_the_next_month_is_in_the_log_once(
    db: Database, arrive: Arrive
) -> None:
    await arrive(71, heard(71, size=10))
    await arrive(12, heard(12, size=20, is_running=False))
    await arrive(90)
    assert await log(db) == [(12, 20, None)]


async def test_records_out_of_order_leave_nothing_running(db: Database, arrive: Arrive) -> None:
    await arrive(9, heard(6), heard(9, is_running=False), heard(7))
    await arrive(40)
    assert [lasted for lasted, _, _ in await log(db)] == [9]


@pytest.mark.parametrize("jump", [-60, 60])
async def test_clock_that_jumps_an_hour_has_each_visit_in_the_log_once(
    db: Database, tmp_path: Path, jump: float
) -> None:
    shows = [at(0)]
    ingest = Ingest(db, tmp_path, lambda: shows[0])

    async def arrive(minutes: float, *records: VisitRecord) -> None:
        shows[0] = at(minutes)
        (tmp_path / f"{minutes}.visits").write_bytes(b"".join(record.to_line() for record in records))
        await ingest.take_in()
        assert ingest.status.failure is None

    await arrive(6, heard(6, size=10))
    # Admin's clock and the workers' are the machine's: both jump.
    await arrive(7 + jump, heard(7 + jump, code="BBB-BBB", is_running=False))
    await arrive(11 + jump, heard(11 + jump, size=20))
    await arrive(12 + jump, heard(12 + jump, size=30, is_running=False))
    assert sorted(size for _, size, _ in await log(db)) == [0, 30]
