"""What is done at the command line to the lists, put on record before it is done."""

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.acting import actor
from admin.state_folder import StateFolder

if TYPE_CHECKING:
    from admin.audit import Detail


def put_on_record(folder: StateFolder, kind: str, subject: str, **details: "Detail") -> None:
    """Record an event, of the EventKind with this value; a town without a database has no record.

    Raises CommandError when it cannot be recorded: what it tells of must not be done then.
    """
    # A proxy host has no database driver, and no lists to change either.
    from admin import audit  # noqa: PLC0415
    from admin.database import Database, DatabaseError  # noqa: PLC0415

    async def record() -> None:
        async with Database.open(folder.database, must_exist=True) as db, db.transaction() as t:
            await audit.record(t, event)

    if not folder.database.exists():
        return
    event = audit.Event(audit.EventKind(kind), actor(), subject, utc_now(), details)
    try:
        asyncio.run(record())
    except (sqlite3.Error, DatabaseError) as error:
        raise CommandError(f"not done, since it cannot be put on record: {error}") from error
