"""What the town remembers: one SQLite file, and the visit log beside it.

Own SQL lives in the module of its subject. Times are milliseconds (`admin.clock`), booleans 0 and 1.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from admin.sqlite_file import ActsAs, DatabaseError, Row, SqliteFile, Transaction, Value
from admin.visit_log import moving_in
from admin.visit_log.visit_log import VisitLog

__all__ = ["Database", "DatabaseError", "Reader", "Row", "Transaction", "Value"]

# As StateFolder.visits has it.
_VISITS = "visits"


class Reader(Protocol):
    """What can be read from: the database, or a transaction that sees its own changes."""

    async def fetch_all(self, sql: str, *params: Value) -> list[Row]:
        """Return every row of a query."""

    async def fetch_one(self, sql: str, *params: Value) -> Row | None:
        """Return the first row of a query, None when there is none."""


class Database:
    """An open database, and its visit log. Made by `Database.open`."""

    def __init__(self, file: SqliteFile, visits: VisitLog) -> None:
        self._file = file
        self.path = file.path
        self.visits = visits
        self.fetch_all = file.fetch_all
        self.fetch_one = file.fetch_one
        self.transaction = file.transaction

    def know_roles(self, acts_as: ActsAs) -> None:
        """From now on have each event of the audit log say in what role its actor acts."""
        self._file.acts_as = acts_as

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is open is still the one at its path; else nothing is written."""
        return self._file.is_in_place

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, must_exist: bool = False) -> AsyncIterator["Database"]:
        """Open the file at `path`, made when missing, and bring its tables up to date.

        Raises DatabaseError when it cannot be opened, is damaged, or was written by a newer
        Towngate.
        """
        if must_exist and not await asyncio.to_thread(path.exists):
            raise DatabaseError(f"{path}: there is no database yet; start 'towngate run' or 'towngate admin'")
        async with AsyncExitStack() as stack:
            file = await stack.enter_async_context(SqliteFile.open(path, "admin"))
            visits = await stack.enter_async_context(VisitLog.open(path.with_name(_VISITS)))
            try:
                await moving_in.move_in(file, visits)
            except sqlite3.Error as error:
                raise DatabaseError(f"{path}: visits cannot get files of their own: {error}") from error
            yield cls(file, visits)
