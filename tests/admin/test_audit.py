import sqlite3
from contextlib import closing

import pytest

from admin import audit
from admin.audit import Damage, Event, EventKind
from admin.database import Database
from tests.admin.small_town import MONDAY


async def record_three(db: Database) -> None:
    async with db.transaction() as t:
        for person in ("clerk", "head", "it"):
            await audit.record(t, Event(EventKind.SIGNED_IN, person, person, MONDAY, {"from": "here"}))


def tamper(db: Database, sql: str) -> None:
    """Change the log with the rights of the database's owner."""
    with closing(sqlite3.connect(db.path)) as connection, connection:
        connection.execute("DROP TRIGGER event_is_never_changed")
        connection.execute("DROP TRIGGER event_is_never_deleted")
        connection.execute(sql)


async def test_events_are_told_as_they_were_recorded(db: Database) -> None:
    await record_three(db)
    assert await audit.events_of(db, "head") == [
        Event(EventKind.SIGNED_IN, "head", "head", MONDAY, {"from": "here"})
    ]
    assert await audit.verify(db) == audit.Verification(3, broken_at=None)
    assert (await audit.verify(db)).guards_missing == ()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET actor = 'x'",
        "DELETE FROM event",
        "INSERT OR REPLACE INTO event SELECT id, at, kind, 'x', subject, '{}', x'00' FROM event WHERE id = 3",
        "INSERT OR REPLACE INTO event SELECT 9, at, kind, 'x', subject, '{}', digest FROM event WHERE id = 2",
        "INSERT INTO event SELECT -1, at, kind, 'x', subject, details, x'00' FROM event WHERE id = 2",
    ],
    ids=["edit", "deletion", "replaced", "replaced by its digest", "put before"],
)
async def test_the_database_refuses_to_change_or_delete_an_event(db: Database, sql: str) -> None:
    await record_three(db)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        async with db.transaction() as t:
            await t.execute(sql)
    assert (await audit.verify(db)).is_whole


@pytest.mark.parametrize(
    ("sql", "broken_at"),
    [
        ("UPDATE event SET actor = 'x' WHERE id = 2", 2),
        ("UPDATE event SET details = '{}' WHERE id = 1", 1),
        ("UPDATE event SET at = at + 1 WHERE id = 3", 3),
        ("DELETE FROM event WHERE id = 2", 3),
        ("DELETE FROM event WHERE id = 1", 2),
        ("UPDATE event SET actor = actor || subject, subject = '' WHERE id = 2", 2),
        ("UPDATE event SET id = CASE id WHEN 2 THEN 30 WHEN 3 THEN 20 END WHERE id > 1", 20),
    ],
    ids=[
        "edited",
        "details emptied",
        "moved in time",
        "deleted",
        "first deleted",
        "border moved",
        "reordered",
    ],
)
async def test_a_change_by_the_owner_of_the_file_shows(db: Database, sql: str, broken_at: int) -> None:
    await record_three(db)
    tamper(db, sql)
    assert (await audit.verify(db)).broken_at == broken_at


async def test_an_event_is_recorded_with_what_it_tells_of_or_not_at_all(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as t:
            await audit.record(t, Event(EventKind.SIGNED_IN, "clerk", "clerk", MONDAY))
            raise ZeroDivisionError
    assert await audit.verify(db) == audit.Verification(0, broken_at=None)


FORGED = "UPDATE event SET actor = 'nobody' WHERE id = 2"


def forge(db: Database, sql: str) -> None:
    """Tamper, then compute every digest anew: the chain fits again."""
    tamper(db, sql)
    with closing(sqlite3.connect(db.path)) as connection, connection:
        connection.row_factory = sqlite3.Row
        digest = bytes(32)
        for row in connection.execute("SELECT * FROM event ORDER BY id").fetchall():
            digest = audit._digest(digest, audit._fields(row))
            connection.execute("UPDATE event SET digest = ? WHERE id = ?", (digest, row["id"]))


@pytest.mark.parametrize(
    ("sql", "broken_at", "damage"),
    [
        (FORGED, 3, Damage.REWRITTEN),
        ("SELECT 1", None, None),
        ("DELETE FROM event WHERE id = 2", 3, Damage.REWRITTEN),
        ("UPDATE event SET id = CASE id WHEN 1 THEN 30 ELSE id END", 3, Damage.REWRITTEN),
        ("DELETE FROM event WHERE id = 3", 3, Damage.CUT_OFF),
        ("DELETE FROM event", 3, Damage.CUT_OFF),
    ],
    ids=["edited", "nothing", "deleted", "reordered", "tail cut off", "all deleted"],
)
async def test_a_chain_that_was_computed_anew_shows_against_a_head_that_was_kept(
    db: Database, sql: str, broken_at: int | None, damage: Damage | None
) -> None:
    await record_three(db)
    kept = await audit.head(db, MONDAY)
    assert kept is not None
    forge(db, sql)
    assert (await audit.verify(db)).is_whole
    found = await audit.verify(db, [kept])
    assert (found.broken_at, found.damage, found.against) == (broken_at, damage, 1)
    assert set(found.guards_missing) == {"event_is_never_changed", "event_is_never_deleted"}


async def test_events_after_the_newest_head_fit_it(db: Database) -> None:
    await record_three(db)
    kept = await audit.head(db, MONDAY)
    await record_three(db)
    newer = await audit.head(db, MONDAY)
    assert kept is not None
    assert newer is not None
    assert (newer.events, newer.last_id) == (6, 6)
    assert (await audit.verify(db, [kept, newer, kept])) == audit.Verification(6, None, against=3)
