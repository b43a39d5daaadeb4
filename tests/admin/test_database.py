import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from admin.database import Database, DatabaseError

COUNT = "SELECT count(*) AS n FROM account"
ADD = "INSERT INTO account (person, kind, password_hash, changed_at) VALUES (?, 'admin', 'x', 0)"


async def count(db: Database) -> int:
    row = await db.fetch_one(COUNT)
    assert row is not None
    return int(row["n"])


async def test_transaction_that_raises_changes_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as t:
            await t.execute(ADD, "clerk")
            raise ZeroDivisionError
    assert await count(db) == 0
    async with db.transaction() as t:
        await t.execute(ADD, "clerk")
    assert await count(db) == 1


async def test_transaction_cancelled_in_the_middle_changes_nothing(db: Database) -> None:
    inside = asyncio.Event()

    async def change() -> None:
        async with db.transaction() as t:
            await t.execute(ADD, "clerk")
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(change())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(db) == 0
    async with db.transaction() as t:
        await t.execute(ADD, "head")
    assert await count(db) == 1


async def test_transaction_cancelled_while_it_begins_leaves_the_next_one_whole(db: Database) -> None:
    async def change(person: str) -> None:
        async with db.transaction() as t:
            await t.execute(ADD, person)

    for steps in range(12):
        task = asyncio.create_task(change(f"cancelled-{steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        before = await count(db)
        await change(f"kept-{steps}")
        assert await count(db) == before + 1


async def test_reading_never_waits_for_a_writer(db: Database) -> None:
    async with db.transaction() as t:
        await t.execute(ADD, "clerk")
        async with asyncio.timeout(1):
            assert await count(db) == 0
    assert await count(db) == 1


async def test_writers_take_turns(db: Database) -> None:
    async def add_one() -> None:
        async with db.transaction() as t:
            row = await t.fetch_one(COUNT)
            assert row is not None
            await asyncio.sleep(0)
            await t.execute(ADD, f"person-{row['n']}")

    await asyncio.gather(*(add_one() for _ in range(20)))
    assert await count(db) == 20


async def test_a_read_that_nobody_waits_for_is_interrupted(db: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    for _ in range(4):  # more often than there are readers
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await db.fetch_one(endless)
    async with asyncio.timeout(2):
        assert await count(db) == 0


async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await db.fetch_all(ADD, "clerk")


async def test_opening_again_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    async with Database.open(path) as db, db.transaction() as t:
        await t.execute(ADD, "clerk")
    async with Database.open(path, must_exist=True) as db:
        assert await count(db) == 1
    assert path.stat().st_mode & 0o777 == 0o600


async def test_two_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "town.db"

    async def open_it() -> int:
        async with Database.open(path) as db:
            return await count(db)

    assert await asyncio.gather(*(open_it() for _ in range(4))) == [0, 0, 0, 0]


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 9000")
    with pytest.raises(DatabaseError, match="newer Towngate"):
        async with Database.open(path):
            pass
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    path.write_text("This is a letter, not a database.\n" * 100)
    with pytest.raises(DatabaseError, match="cannot be opened"):
        async with Database.open(path):
            pass
    assert path.read_text().startswith("This is a letter")


async def test_a_database_that_must_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no database yet"):
        async with Database.open(tmp_path / "town.db", must_exist=True):
            pass
    assert not (tmp_path / "town.db").exists()
