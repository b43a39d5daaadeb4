"""Visits of several months: each month has a file, and whoever asks need not know."""

import fcntl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log import counting, searching
from admin.visit_log.counting import Counts, Reach
from admin.visit_log.searching import VisitFilter
from admin.visit_log.visit_log import Month, MonthFile
from policy.decision import Lane, Verdict
from policy.visit_record import VisitRecord
from tests.admin.small_town import PARKS_CLERK, standing_at, visit_record
from tests.admin.visit_files import in_visit_files
from tests.people import CLERK

END_OF_YEAR = datetime(2026, 12, 31, 23, 50, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return a time so many minutes after ten to midnight of the year's last day."""
    return END_OF_YEAR + timedelta(minutes=minutes)


def visit(host: str, began: float, ended: float | None = None, **changed: object) -> VisitRecord:
    return visit_record(
        host=host, started_at=at(began), ended_at=at(began if ended is None else ended), **changed
    )


@pytest.fixture
def arrive(db: Database, tmp_path: Path) -> Callable[..., object]:
    """Return what has visits arrive at a time."""
    folder = tmp_path / "spool"
    folder.mkdir()

    async def take_in(minutes: float, *records: VisitRecord) -> None:
        (folder / f"{minutes}.visits").write_bytes(b"".join(record.to_line() for record in records))
        await Ingest(db, folder, lambda: at(minutes)).take_in()

    return take_in


@pytest.fixture
async def log(db: Database, arrive: Callable[..., object]) -> Database:
    """Return a log with a visit of October, four around the turn of the year, one of which was long."""
    allowed = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "category": "press"}
    await arrive(-60 * 24 * 80, visit("october.example", -60 * 24 * 80))
    await arrive(1, visit("a.example", 0, **allowed), visit("cardroom.example", 1, bytes_down=10))
    await arrive(
        20, visit("long.example", 2, 20, **allowed), visit("cardroom.example", 15, person=PARKS_CLERK)
    )
    return db


async def hosts(db: Database, **where: object) -> list[str]:
    found = await searching.newest_first(db.visits, VisitFilter(**where), limit=10)  # type: ignore[arg-type]
    return [one.row["site"] for one in found]


async def test_each_month_has_a_file_of_what_arrived_in_it(log: Database) -> None:
    names = [month.file_name for month in await log.visits.months()]
    assert names == ["2027-01.db", "2026-12.db", "2026-10.db"]
    assert sorted(path.name for path in log.visits.folder.glob("*.db")) == sorted(names)
    assert log.visits.folder.stat().st_mode & 0o777 == 0o700


async def test_newest_first_goes_from_month_to_month(log: Database) -> None:
    assert await hosts(log) == [
        "example.cardroom.",
        "example.long.",
        "example.cardroom.",
        "example.a.",
        "example.october.",
    ]
    assert await hosts(log, person=CLERK, since=at(0)) == ["example.long.", "example.cardroom.", "example.a."]
    assert await hosts(log, host="cardroom.example", until=at(10)) == ["example.cardroom."]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_across_months_have_each_visit_once(log: Database, limit: int) -> None:
    seen, before = [], None
    while page := await searching.newest_first(log.visits, VisitFilter(), before, limit):
        seen += [one.id for one in page]
        before = page[-1].cursor
    assert len(seen) == len(set(seen)) == 5


async def test_arrivals_are_followed_into_the_next_month(log: Database) -> None:
    found, last = await searching.arrived_after(log.visits, 0, VisitFilter())
    assert [one.id for one in found] == sorted(one.id for one in found)
    assert (len(found), last) == (5, await searching.last_id(log.visits))
    some, middle = await searching.arrived_after(log.visits, 0, VisitFilter(), most=2)
    rest, end = await searching.arrived_after(log.visits, middle, VisitFilter())
    assert ([*some, *rest], end) == (found, last)


async def test_arrivals_since_a_time_are_looked_for_in_no_month_that_was_over(
    log: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, reading = list[str](), log.visits.reading

    def noting(month: Month) -> AbstractAsyncContextManager[MonthFile]:
        opened.append(month.file_name)
        return reading(month)

    monkeypatch.setattr(log.visits, "reading", noting)
    found, last = await searching.arrived_after(log.visits, 0, VisitFilter(since=at(0)))
    assert len(found) == 4 and last == found[-1].id
    assert opened == ["2026-12.db", "2027-01.db"]


async def test_counts_are_of_all_months(log: Database) -> None:
    assert await counting.hours(log.visits, at(-50)) == {0: Counts(3, 1), 1: Counts(1, 1)}
    assert await counting.most_blocked(log.visits, at(-50), 5) == (("gambling", 2),)
    assert await counting.of_lane(log.visits, at(-50), Lane.TUNNEL) == 2
    assert await counting.reach(log.visits, "cardroom.example", "finance", at(0)) == Reach(2, 2)
    first, *_ = await counting.busiest_hosts(log.visits, at(0), most=1, department="finance")
    assert (first.host, first.visits, first.blocked, first.bytes_down) == ("cardroom.example", 2, 2, 10)


async def test_first_visit_of_a_site_is_the_earliest_of_all_months(
    log: Database, arrive: Callable[..., object]
) -> None:
    await arrive(30, visit("www.a.example", -5, 30))
    first = await counting.first_visits(log.visits)
    assert first["a.example"] == int(at(-5).timestamp() * 1000)


async def test_spool_file_that_is_read_over_the_turn_of_a_month_is_taken_in_once(
    db: Database, tmp_path: Path
) -> None:
    lines = [visit(f"{name}.example", minutes).to_line() for name, minutes in (("a", 0), ("b", 12))]
    with (tmp_path / "1.visits").open("wb", buffering=0) as segment:
        fcntl.flock(segment, fcntl.LOCK_EX)  # as its writer does
        segment.write(lines[0] + lines[1][:50])
        await Ingest(db, tmp_path, lambda: at(1)).take_in()
        segment.write(lines[1][50:])
        async with Database.open(db.path) as again:
            # Another process, which has only the files to know it from.
            await Ingest(again, tmp_path, lambda: at(13)).take_in()
            assert len(await in_visit_files(again, "SELECT id FROM visit_row")) == 2


async def test_clock_that_goes_back_over_the_turn_of_a_month_stops_nothing(
    db: Database, tmp_path: Path
) -> None:
    with (tmp_path / "1.visits").open("wb", buffering=0) as segment:
        fcntl.flock(segment, fcntl.LOCK_EX)
        for name, clock in (("a", 9), ("b", 11), ("c", 8), ("d", 12)):
            segment.write(visit(f"{name}.example", clock).to_line())
            ingest = Ingest(db, tmp_path, standing_at(at(clock)))
            assert await ingest.take_in() == 1, ingest.status
    await Ingest(db, tmp_path, lambda: at(13)).take_in()
    assert await hosts(db) == [f"example.{name}." for name in "dbac"]
    await Ingest(db, tmp_path, lambda: at(13)).take_in()
    assert await in_visit_files(db, "SELECT name FROM segment") == []


async def test_what_repeats_from_visit_to_visit_is_kept_once(log: Database) -> None:
    assert len(await in_visit_files(log, "SELECT id FROM client")) == 4
    assert len(await in_visit_files(log, "SELECT id FROM site")) == 5
    assert {row["n"] for row in await in_visit_files(log, "SELECT count(*) AS n FROM versions")} == {1}
