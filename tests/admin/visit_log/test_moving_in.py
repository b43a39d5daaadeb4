"""Visits of before there were files of months."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from admin.database import Database, DatabaseError
from admin.visit_log import counting, searching
from admin.visit_log.searching import VisitFilter
from admin.visit_log.taking_in import MonthWriter, Place
from tests.admin.visit_files import in_visit_files
from tests.admin.visit_log.old_database import old_database

SAVED = (
    "SELECT code, started_at, ended_at, person, site, verdict, refusal, bytes_up, policy_version FROM visit"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a database of the first version, with twelve visits around the end of January."""
    path = tmp_path / "town.db"
    old_database(path).close()
    return path


async def test_visits_of_the_first_version_are_moved_as_they_are(old: Path) -> None:
    with sqlite3.connect(old) as before:
        saved = before.execute(f"{SAVED} ORDER BY id").fetchall()
    before.close()
    for _ in range(2):
        async with Database.open(old) as db:
            assert [tuple(row) for row in await in_visit_files(db, f"{SAVED} ORDER BY id")] == saved
            assert [month.file_name for month in await db.visits.months()] == ["2026-02.db", "2026-01.db"]
            assert await db.visits.places() == {"1.visits": Place(7)}
            assert len(await in_visit_files(db, "SELECT * FROM bad_line")) == 1
            hours = await counting.hours(db.visits, datetime(2026, 1, 31, 23, 0, tzinfo=UTC))
            assert {hour: counts.visits for hour, counts in hours.items()} == {0: 6, 1: 6}
            tables = await db.fetch_all("SELECT name FROM sqlite_master WHERE name LIKE '%_before'")
            assert tables == []


@pytest.mark.parametrize("writes", range(1, 4))
async def test_cut_short_it_goes_on_where_it_was(
    old: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = MonthWriter.write
    done = 0

    async def failing(*arguments: object) -> None:
        nonlocal done
        done += 1
        if done > writes:
            raise sqlite3.OperationalError("disk is full")
        await write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("admin.visit_log.moving_in._AT_ONCE", 4)
    monkeypatch.setattr(MonthWriter, "write", failing)
    with pytest.raises(DatabaseError, match="disk is full"):
        async with Database.open(old):
            pass
    monkeypatch.setattr(MonthWriter, "write", write)
    async with Database.open(old) as db:
        found = await searching.newest_first(db.visits, VisitFilter())
        assert [one.row["code"] for one in found] == [str(number) for number in reversed(range(12))]
