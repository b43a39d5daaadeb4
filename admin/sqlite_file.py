"""A SQLite file, opened with its migrations applied: how SQL is run. The SQL itself lives with its subject.

One writer at a time (BEGIN IMMEDIATE behind a lock); reads use connections of their own and never wait
for the writer.
"""

import asyncio
import functools
import importlib.resources
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import aiosqlite

type Value = str | int | float | bytes | None
type Row = sqlite3.Row
type ActsAs = Callable[[str, str | None, str | None], Mapping[str, str]]
"""In what role somebody acts, in a department's matter, where a role was asked: as `acting_roles.acting`."""

_BULK_CACHE_KIB = 64 << 10
_BULK_WAL_PAGES = 10_000
# How long a statement waits for another process (the command line) that holds the file.
_BUSY_SECONDS = 5
_BUSY_PAUSE_SECONDS = 0.01
_READERS = 3
# So many steps of SQLite's take milliseconds.
_STEPS_BETWEEN_LOOKS = 100_000


class DatabaseError(Exception):
    """The database cannot be opened; nothing was changed in it."""


def _nobody_is_known(_actor: str, _department: str | None, _asked_as: str | None) -> Mapping[str, str]:
    return {}


class Transaction:
    """A change being made: all of it or nothing. `acts_as` is for the audit log."""

    def __init__(self, connection: aiosqlite.Connection, acts_as: ActsAs = _nobody_is_known) -> None:
        self._connection = connection
        self.acts_as = acts_as

    async def fetch_all(self, sql: str, *params: Value) -> list[Row]:
        """Return every row of a query (INSERT or UPDATE ... RETURNING included)."""
        return list(await self._connection.execute_fetchall(sql, params))

    async def fetch_one(self, sql: str, *params: Value) -> Row | None:
        """Return the first row of a query, None when there is none."""
        rows = await self.fetch_all(sql, *params)
        return rows[0] if rows else None

    async def execute(self, sql: str, *params: Value) -> int:
        """Run a statement; return how many rows it changed."""
        async with self._connection.execute(sql, params) as cursor:
            return cursor.rowcount

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run a statement once for each row."""
        await (await self._connection.executemany(sql, rows)).close()

    async def insert(self, sql: str, *params: Value) -> int:
        """Run an INSERT; return the new row's integer key."""
        async with self._connection.execute(sql, params) as cursor:
            if cursor.lastrowid is None:
                raise ValueError(f"not an INSERT: {sql}")
            return cursor.lastrowid


class _Reader:
    """A connection that reads. A question that is given up ends within milliseconds, also one that SQLite has
    not begun with: interrupting alone ends what runs, and nothing that waits for the thread."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._is_given_up = False

    @classmethod
    async def of(cls, connection: aiosqlite.Connection) -> Self:
        """Return a reader on a connection, which can no longer write."""
        reader = cls(connection)
        await connection.execute_fetchall("PRAGMA query_only = ON")
        await connection.set_progress_handler(lambda: reader._is_given_up, _STEPS_BETWEEN_LOOKS)
        return reader

    async def fetch_all(self, sql: str, params: Sequence[Value]) -> list[Row]:
        self._is_given_up = False
        try:
            return list(await self._connection.execute_fetchall(sql, params))
        except asyncio.CancelledError:
            self._is_given_up = True
            await self._connection.interrupt()
            # Once this is answered, nothing is left of the question.
            await self._connection.execute_fetchall("SELECT 1")
            raise


class SqliteFile:
    """An open file. Made by `SqliteFile.open`."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, readers: list[_Reader]) -> None:
        self.path = path
        self.acts_as: ActsAs = _nobody_is_known
        self._stamp = _stamp(path)
        self._writer = writer
        self._writing = asyncio.Lock()
        self._readers: asyncio.Queue[_Reader] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, migrations: str, *, readers: int = _READERS, is_bulk: bool = False
    ) -> AsyncIterator[Self]:
        """Open the file at `path`, made when missing, and bring its tables up to date.

        `migrations` is the package whose folder `migrations` has the scripts. `is_bulk`: it is large, and
        much is written, all over its indexes; up to 64 MB of it are held in memory for that. Raises
        DatabaseError when it cannot be opened, is damaged, or was written by a newer Towngate.
        """
        async with AsyncExitStack() as stack:
            try:
                await asyncio.to_thread(_make_private, path)
                writer = await _connect(path, stack)
                await _use_wal(writer)
                # What was committed outlives a power cut.
                await writer.execute_fetchall("PRAGMA synchronous = FULL")
                if is_bulk:
                    # The pages of indexes are read and written a few times less often.
                    await writer.execute_fetchall(f"PRAGMA cache_size = {-_BULK_CACHE_KIB}")
                    await writer.execute_fetchall(f"PRAGMA wal_autocheckpoint = {_BULK_WAL_PAGES}")
                await _migrate(writer, path, migrations)
                reading = [await _Reader.of(await _connect(path, stack)) for _ in range(readers)]
            except (sqlite3.Error, OSError) as error:
                raise DatabaseError(f"{path}: the database cannot be opened: {error}") from error
            yield cls(path, writer, reading)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is open is still the one at its path."""
        return self._stamp is not None and _stamp(self.path) == self._stamp

    async def fetch_all(self, sql: str, *params: Value) -> list[Row]:
        """Return every row of a query, as of the last commit; cancelled, it is given up."""
        reader = await self._readers.get()
        try:
            return await reader.fetch_all(sql, params)
        finally:
            self._readers.put_nowait(reader)

    async def fetch_one(self, sql: str, *params: Value) -> Row | None:
        """Return the first row of a query, None when there is none."""
        rows = await self.fetch_all(sql, *params)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Make a change: committed at the end of the block, rolled back when it raises.

        Waits for other writers. Raises sqlite3.OperationalError when the file stays locked by
        another process for 5 seconds, or cannot be written: SQLite itself would go on in a file that
        was deleted, and all that is written there would be lost.
        """
        async with self._writing:
            if not self.is_in_place:
                raise sqlite3.OperationalError(
                    f"{self.path} is gone, or another file; put it back, or restart Towngate"
                )
            try:
                await self._writer.execute_fetchall("BEGIN IMMEDIATE")
                yield Transaction(self._writer, self.acts_as)
                await self._writer.execute_fetchall("COMMIT")
            except BaseException:
                # A cancelled BEGIN or COMMIT still runs in its thread; this comes after it there.
                with suppress(sqlite3.OperationalError):
                    await self._writer.execute_fetchall("ROLLBACK")
                raise


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_private(path: Path) -> None:
    # The files that SQLite puts beside it take its rights.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


async def _connect(path: Path, stack: AsyncExitStack) -> aiosqlite.Connection:
    connection = await stack.enter_async_context(
        aiosqlite.connect(path, timeout=_BUSY_SECONDS, autocommit=True)
    )
    connection.row_factory = sqlite3.Row
    await connection.execute_fetchall("PRAGMA foreign_keys = ON")
    return connection


async def _use_wal(writer: aiosqlite.Connection) -> None:
    """Have readers go on while one writes.

    SQLite does not wait for others here as it does elsewhere: of several processes that open a new
    file at once, all but one are told at once that it is locked.
    """
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            await writer.execute_fetchall("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(_BUSY_PAUSE_SECONDS)


async def _migrate(writer: aiosqlite.Connection, path: Path, package: str) -> None:
    """Apply the migrations that the file does not have yet, each in one transaction.

    `PRAGMA user_version` is the number of the last one applied. It is read under the write lock:
    two processes may open a new file at once. A table that others refer to can be made anew: foreign
    keys are off meanwhile, and checked before each commit.
    """
    migrations = sorted(scripts_of(package).items())
    newest = migrations[-1][0]
    ((version,),) = await writer.execute_fetchall("PRAGMA user_version")
    if version == newest:
        return
    await writer.execute_fetchall("PRAGMA foreign_keys = OFF")
    for number, script in migrations:
        await writer.execute_fetchall("BEGIN IMMEDIATE")
        try:
            ((version,),) = await writer.execute_fetchall("PRAGMA user_version")
            if version > newest:
                raise DatabaseError(
                    f"{path}: written by a newer Towngate (schema {version}, this one knows {newest}); "
                    "update this installation"
                )
            if version < number:
                await (await writer.executescript(script)).close()
                if list(await writer.execute_fetchall("PRAGMA foreign_key_check")):
                    raise sqlite3.IntegrityError(f"migration {number} would leave rows that refer to nothing")
                await writer.execute_fetchall(f"PRAGMA user_version = {number}")
            await writer.execute_fetchall("COMMIT")
        except BaseException:
            with suppress(sqlite3.OperationalError):
                await writer.execute_fetchall("ROLLBACK")
            raise
    await writer.execute_fetchall("PRAGMA foreign_keys = ON")


@functools.cache
def scripts_of(package: str) -> Mapping[int, str]:
    """Return a package's scripts by number: `migrations/0001_first.sql` is 1. Read once.

    What is installed later is for a newer version, which this process is not: it would not know the tables of
    a file that it makes. Raises ValueError for two of one number.
    """
    found: dict[int, str] = {}
    for file in (importlib.resources.files(package) / "migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_\w+\.sql", file.name)
        if match:
            number = int(match[1])
            if number in found:
                raise ValueError(f"{package}: two migrations have the number {number}; one would be left out")
            found[number] = file.read_text(encoding="utf-8")
    return found
