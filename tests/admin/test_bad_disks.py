"""Disks that are full, and files that are locked, damaged or gone: nothing is lost, and it is said."""

import asyncio
import errno
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log import searching
from admin.visit_log.searching import VisitFilter
from tests.admin.small_town import MONDAY, visit_record
from tests.admin.test_database import ADD, count
from tests.admin.visit_files import in_visit_files
from tests.missing_parts import require_root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 2 MB."""
    require_root("mounts a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk; return what takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return filler


def spool_of(folder: Path, visits: int, name: str = "1.visits") -> Path:
    spool = folder / "spool"
    spool.mkdir(exist_ok=True)
    lines = [visit_record(host=f"{number}.{name}.example").to_line() for number in range(visits)]
    (spool / name).write_bytes(b"".join(lines))
    return spool


async def counted(db: Database) -> int:
    return sum(row["visits"] for row in await in_visit_files(db, "SELECT count(*) AS visits FROM visit_row"))


@pytest.mark.needs("mount", "umount")
async def test_while_the_disk_of_the_log_is_full_visits_wait_and_each_comes_once(
    small_disk: Path, tmp_path: Path
) -> None:
    async with Database.open(small_disk / "towngate.db") as db:
        ingest = Ingest(db, spool_of(tmp_path, 10), lambda: MONDAY)
        await ingest.take_in()
        filler = fill(small_disk)
        spool_of(tmp_path, 2000, "2.visits")
        await ingest.take_in()
        assert "full" in (ingest.status.failure or "")
        assert ingest.status.waiting_records > 0
        before = await counted(db)
        assert 10 <= before < 2010
        # What is there can be read meanwhile.
        assert len(await searching.newest_first(db.visits, VisitFilter(), limit=5)) == 5
        filler.unlink()
        await ingest.take_in()
        assert ingest.status.failure is None
        assert await counted(db) == 2010
        assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.needs("mount", "umount")
async def test_what_finds_no_room_in_the_database_is_not_saved_at_all(small_disk: Path) -> None:
    async with Database.open(small_disk / "towngate.db") as db:
        filler = fill(small_disk)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            async with db.transaction() as t:
                for number in range(5000):
                    await t.execute(ADD, f"person-{number}")
        filler.unlink()
        assert await count(db) == 0
        async with db.transaction() as t:
            await t.execute(ADD, "clerk")
        assert await count(db) == 1


async def test_while_the_log_is_locked_for_long_visits_wait_and_are_asked_for(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "towngate.db") as db:
        ingest = Ingest(db, spool_of(tmp_path, 10), lambda: MONDAY)
        await ingest.take_in()
        (month,) = await db.visits.months()
        async with db.visits.reading(month) as file:
            path = file.file.path
        spool_of(tmp_path, 10, "2.visits")
        with closing(sqlite3.connect(path, autocommit=True)) as other:
            other.execute("BEGIN EXCLUSIVE")
            waiting = asyncio.create_task(ingest.take_in())
            # As long as SQLite waits, and longer.
            while not waiting.done():
                assert await counted(db) == 10
                await asyncio.sleep(0.2)
            assert "locked" in (ingest.status.failure or "")
            other.execute("ROLLBACK")
        await ingest.take_in()
        assert (ingest.status.failure, await counted(db)) == (None, 20)


async def test_damaged_file_of_the_log_is_said_and_visits_wait(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, 3000)
    async with Database.open(tmp_path / "towngate.db") as db:
        await Ingest(db, spool, lambda: MONDAY).take_in()
        (month,) = await db.visits.months()
        path = tmp_path / "visits" / month.file_name
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))
    spool_of(tmp_path, 5, "2.visits")
    async with Database.open(tmp_path / "towngate.db") as db:
        ingest = Ingest(db, spool, lambda: MONDAY)
        await ingest.take_in()
        assert "malformed" in (ingest.status.failure or "") or "cannot be opened" in ingest.status.failure
        assert [segment.name for segment in spool.iterdir()] == ["2.visits"]
        # As a backup has it.
        path.write_bytes(whole)
        path.with_name(path.name + "-wal").unlink(missing_ok=True)
    async with Database.open(tmp_path / "towngate.db") as db:
        await Ingest(db, spool, lambda: MONDAY).take_in()
        assert await counted(db) == 3005


async def test_nothing_is_written_to_a_file_that_is_gone(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, 10)
    async with Database.open(tmp_path / "towngate.db") as db:
        ingest = Ingest(db, spool, lambda: MONDAY)
        await ingest.take_in()
        (month,) = await db.visits.months()
        path = tmp_path / "visits" / month.file_name
        path.rename(tmp_path / "elsewhere")
        spool_of(tmp_path, 5, "2.visits")
        await ingest.take_in()
        assert "is gone" in (ingest.status.failure or "")
        assert (spool / "2.visits").exists()
        (tmp_path / "elsewhere").rename(path)
        await ingest.take_in()
        assert (ingest.status.failure, await counted(db)) == (None, 15)
        # The database itself.
        db.path.rename(tmp_path / "elsewhere")
        assert not db.is_in_place
        with pytest.raises(sqlite3.OperationalError, match="is gone, or another file"):
            async with db.transaction() as t:
                await t.execute(ADD, "clerk")
        (tmp_path / "elsewhere").rename(db.path)
        async with db.transaction() as t:
            await t.execute(ADD, "clerk")
