import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from admin.clock import to_ms
from admin.database import Database, DatabaseError
from admin.sqlite_file import SqliteFile, scripts_of
from admin.unanswered import Unanswered
from tests.admin.small_town import MONDAY, TOWN, standing_at

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
        async with asyncio.timeout(30):
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
    async with asyncio.timeout(30):
        assert await count(db) == 0


async def test_a_read_is_given_up_also_before_sqlite_has_begun_with_it(db: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    for _ in range(50):
        asked = asyncio.create_task(db.fetch_one(endless))
        # It is handed to the reader's thread, which may or may not have begun.
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked], timeout=30)
        assert asked.done()
        async with asyncio.timeout(30):
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


def test_two_migrations_of_one_number_are_refused_and_none_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "twice" / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name in ("0001_first.sql", "0002_one.sql", "0002_other.sql"):
        (folder / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="twice: two migrations have the number 2"):
        scripts_of("twice")


async def test_file_that_is_made_later_has_the_tables_that_the_process_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "installed" / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "0001_first.sql").write_text("CREATE TABLE one (id INTEGER PRIMARY KEY);")
    for month in ("2026-03", "2026-04"):
        async with SqliteFile.open(tmp_path / f"{month}.db", "installed") as file:
            rows = await file.fetch_all("SELECT name FROM sqlite_master")
        assert [row["name"] for row in rows] == ["one"]
        (folder / "0002_newer.sql").write_text("CREATE TABLE newer (id INTEGER PRIMARY KEY);")


@pytest.mark.parametrize("version", [1, 2])
async def test_visits_of_an_older_version_are_kept_each_as_one_connection(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "2026-03.db"
    old = made_by_version(path, version, "admin.visit_log")
    old.executescript(
        "INSERT INTO client VALUES (1, 'c', '10.10.20.15', 'clerk', NULL, 'finance');"
        "INSERT INTO site VALUES (1, 'example.library.', 'library.example', 5);"
        "INSERT INTO decision VALUES"
        " (1, 'd', 'https', 443, 'allow', 'tunnel', 'default', NULL, NULL, NULL, NULL, NULL);"
        "INSERT INTO versions VALUES (1, 'v', 1, 'one', 'first');"
        "INSERT INTO visit_row VALUES (1, 5, 2, 'K7M-4QP', 1, 1, 1, 1, NULL, 60000000, 60000000, 0, 0);"
    )
    old.close()
    async with SqliteFile.open(path, "admin.visit_log") as file:
        (row,) = await file.fetch_all("SELECT * FROM visit")
        heavy = await file.fetch_all(
            "EXPLAIN QUERY PLAN SELECT 1 FROM visit_row WHERE bytes_up + bytes_down >= 100000000"
        )
    assert (row["connections"], row["requests"], row["pages"], row["bytes_up"]) == (1, 0, 0, 60_000_000)
    assert "visit_heavy" in heavy[0]["detail"]


OLD_REQUEST = (
    "INSERT INTO access_request (state, host, person, for_whom, reason, duration, code, policy_version,"
    " chain, submitted_at, due_at)"
    " VALUES (?, 'cardroom.example', 'clerk', 'person', 'x', 'week', 'K7M-4QP', '1', '[]', 1, 2)"
)


def made_by_version(path: Path, version: int, package: str = "admin") -> sqlite3.Connection:
    """Return a database as an older Towngate left it, open."""
    connection = sqlite3.connect(path, autocommit=True)
    for number, script in sorted(scripts_of(package).items()):
        if number <= version:
            connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {version}")
    return connection


async def test_requests_and_exemptions_of_an_older_version_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    old = made_by_version(path, 2)
    for id_, state in ((3, "submitted"), (7, "approved"), (9, "denied")):
        old.execute(OLD_REQUEST.replace(" (", " (id, ", 1).replace("(?", "(?, ?", 1), (id_, state))
    old.execute(
        "INSERT INTO exemption VALUES (1, 7, 'cardroom.example', 'clerk', NULL, '[]', 1, 9, 'it', 2, 'it')"
    )
    requests = old.execute("SELECT * FROM access_request").fetchall()
    exemptions = old.execute("SELECT * FROM exemption").fetchall()
    old.close()
    async with Database.open(path) as db, db.transaction() as t:
        assert [
            tuple(row)[: len(requests[0])] for row in await t.fetch_all("SELECT * FROM access_request")
        ] == requests
        assert [
            tuple(row)[: len(exemptions[0])] for row in await t.fetch_all("SELECT * FROM exemption")
        ] == exemptions
        # Numbers go on, an exemption still needs its request, and the indexes are there.
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await t.execute(
                "INSERT INTO exemption SELECT 2, 8, host, person, NULL, '[]', 1, 9, 'it', 2, 'it',"
                " NULL, NULL, NULL, NULL, NULL, '[]', 0, '', NULL FROM exemption"
            )
        id_ = await t.insert(OLD_REQUEST, "submitted")
        assert id_ == 10
        await t.execute("UPDATE access_request SET state = 'awaits_signature' WHERE id = 10")
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            await t.execute("UPDATE access_request SET state = 'of no kind' WHERE id = 10")
        indexes = await t.fetch_all(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'access_request'"
        )
        assert {row["name"] for row in indexes} >= {
            "access_request_open",
            "access_request_to_open",
            "access_request_by_browser",
        }


async def test_what_was_asked_for_after_a_sign_in_is_no_longer_the_browsers(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    old = made_by_version(path, 23)
    for kind in ("site", "personal_use", "device", "standing", "download"):
        old.execute(OLD_REQUEST, ("submitted",))
        old.execute(
            "UPDATE access_request SET kind = ?, browser = 'b' WHERE kind = 'site' AND browser IS NULL",
            (kind,),
        )
    old.close()
    async with Database.open(path) as db:
        rows = await db.fetch_all("SELECT kind FROM access_request WHERE browser IS NOT NULL ORDER BY id")
        assert [row["kind"] for row in rows] == ["site", "download"]


async def test_who_agreed_to_what_was_open_before_is_known(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    old = made_by_version(path, 27)
    for state, step in (("submitted", 2), ("submitted", 0), ("approved", 1)):
        old.execute(OLD_REQUEST, (state,))
        old.execute("UPDATE access_request SET step = ? WHERE id = last_insert_rowid()", (step,))
    for id_, (actor, kind) in enumerate([("head", "endorsed"), ("it", "endorsed"), ("it", "host_added")], 1):
        old.execute(
            "INSERT INTO event VALUES (?, 1, ?, ?, 'REQ-1', '{}', ?)",
            (id_, f"request.{kind}", actor, b"%d" % id_),
        )
    old.close()
    async with Database.open(path) as db:
        rows = await db.fetch_all("SELECT answered_by FROM access_request ORDER BY id")
        assert [row["answered_by"] for row in rows] == ['["head","it"]', "[]", "[]"]


async def test_what_waited_before_the_upgrade_is_reminded_of_by_the_towns_office_hours(
    tmp_path: Path,
) -> None:
    path = tmp_path / "town.db"
    old = made_by_version(path, 29)
    decided_at = to_ms(MONDAY - timedelta(minutes=5))
    old.execute(OLD_REQUEST, ("approved",))
    old.execute(
        "UPDATE access_request SET state = 'awaits_opening', decided_at = ?1, approved_until = ?1 + 1",
        (decided_at,),
    )
    old.execute(
        "INSERT INTO site_report (kind, site, code, browser, remark, sent_at)"
        " VALUES ('wrong_category', 'cardroom.example', 'K7M-4QP', 'b', '', ?)",
        (decided_at,),
    )
    old.close()
    due_at = MONDAY - timedelta(minutes=5) + timedelta(hours=4)
    async with Database.open(path) as db:
        reminded = []
        for at in (MONDAY, due_at - timedelta(milliseconds=1), due_at, due_at + timedelta(days=1)):
            await Unanswered(db, lambda: TOWN, standing_at(at)).look()
            reminded.append(
                [
                    (row["kind"], row["about"])
                    for row in await db.fetch_all(
                        "SELECT DISTINCT kind, about FROM letter WHERE about = 'REP-1'"
                        " OR kind = 'request_to_open' ORDER BY kind"
                    )
                ]
            )
    both = [("report_reminder", "REP-1"), ("request_to_open", "REQ-1")]
    assert reminded == [[], [], both, both]


async def test_a_migration_that_would_leave_rows_referring_to_nothing_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    old = made_by_version(path, 2)
    old.execute(
        "INSERT INTO exemption VALUES (1, 7, 'cardroom.example', 'clerk', NULL, '[]', 1, 9, 'it', 2, 'it')"
    )
    old.close()
    with pytest.raises(DatabaseError, match="refer to nothing"):
        async with Database.open(path):
            pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
