"""Brings visits from the spool into the database, each exactly once.

For every segment the rows and how far it has been read are written in one transaction; the file is
deleted after the commit that holds its end. Killed anywhere between, it goes on where the database
says. While the database is away visits wait in the spool.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from admin import spool_reader
from admin.clock import Clock, to_ms
from admin.database import Database, Transaction
from admin.spool_reader import COLUMNS, Batch, Place

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_PAUSE_AFTER_FAILURE_SECONDS = 2.0
# A round that lasts longer is a backlog, and the status says how large.
_LONG_ROUND = timedelta(seconds=2)
_BAD_LINES_KEPT_OF_A_SEGMENT = 100
_BAD_LINES_KEPT = 10_000
_TYPICAL_RECORD_BYTES = 600

_INSERT = f"INSERT INTO visit ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - own words


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """Where ingest stands. Visits written before `caught_up_at` (aware UTC) are in the database.

    `waiting_bytes` are on their way, about `waiting_records` visits; `failure` says what keeps
    them, None when nothing does. `bad_lines` were no visit records since the start.
    """

    caught_up_at: datetime | None = None
    waiting_bytes: int = 0
    bad_lines: int = 0
    failure: str | None = None

    @property
    def waiting_records(self) -> int:
        """About how many visits wait."""
        return -(-self.waiting_bytes // _TYPICAL_RECORD_BYTES)


class Ingest:
    """Reads one spool into the database. `status` is replaced after every round."""

    def __init__(self, db: Database, spool: Path, clock: Clock) -> None:
        self._db = db
        self._spool = spool
        self._clock = clock
        self._bad_lines = 0
        self._remembered: set[str] = set()
        self.status = IngestStatus()

    async def run(self) -> None:
        """Take in what arrives, twice a second, for ever."""
        while True:
            await self.take_in()
            failed = self.status.failure is not None
            await asyncio.sleep(_PAUSE_AFTER_FAILURE_SECONDS if failed else _PAUSE_SECONDS)

    async def take_in(self) -> int:
        """Take in all that is there now; return how many visits. What fails is tried next time."""
        started_at = self._clock()
        taken = 0
        failure = None
        places: dict[str, Place] = {}
        sizes: Mapping[str, int] = {}
        try:
            sizes = await asyncio.to_thread(spool_reader.segments, self._spool)
            places = await self._places()
            await self._forget_deleted(places, sizes)
            for name in sizes:
                try:
                    taken += await self._take_segment(name, places)
                except OSError as error:
                    failure = f"{name}: {error}"  # the others can be read
                if self._clock() - started_at > _LONG_ROUND:
                    self._tell(sizes, places, self.status.caught_up_at, failure)
        except (OSError, sqlite3.Error) as error:
            failure = str(error)
        if failure is None:
            self._tell({}, {}, started_at, None)
        else:
            if failure != self.status.failure:
                logger.error("visits wait in the spool: error=%s", failure)
            self._tell(sizes, places, self.status.caught_up_at, failure)
        return taken

    def _tell(
        self,
        sizes: Mapping[str, int],
        places: Mapping[str, Place],
        caught_up_at: datetime | None,
        failure: str | None,
    ) -> None:
        waiting = sum(max(0, size - places.get(name, Place()).position) for name, size in sizes.items())
        self.status = IngestStatus(caught_up_at, waiting, self._bad_lines, failure)

    async def _take_segment(self, name: str, places: dict[str, Place]) -> int:
        """Take in a segment as far as it goes; delete it when it is finished and taken in whole."""
        path = self._spool / name
        taken = 0
        while True:
            before = places.get(name, Place())
            batch = await asyncio.to_thread(spool_reader.read_batch, path, before)
            if batch.place != before:
                async with self._db.transaction() as t:
                    await self._write(t, name, before, batch)
                places[name] = batch.place
                taken += len(batch.rows)
                self._bad_lines += len(batch.bad_lines)
                if batch.bad_lines:
                    logger.warning(
                        "lines of the spool are no visit records: segment=%s lines=%d first_at=%d reason=%r",
                        name,
                        len(batch.bad_lines),
                        batch.bad_lines[0].position,
                        batch.bad_lines[0].reason,
                    )
            if batch.is_last:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                return taken
            if batch.place == before:
                return taken

    async def _write(self, t: Transaction, name: str, before: Place, batch: Batch) -> None:
        after = batch.place
        await t.execute("INSERT OR IGNORE INTO segment (name) VALUES (?)", name)
        moved = await t.execute(
            "UPDATE segment SET position = ?, skips_line = ?, bad_lines = bad_lines + ?"
            " WHERE name = ? AND position = ?",
            after.position,
            after.is_in_long_line,
            len(batch.bad_lines),
            name,
            before.position,
        )
        if not moved:
            raise sqlite3.IntegrityError("another process takes in the same spool; only one may")
        await t.execute_many(_INSERT, batch.rows)
        now = to_ms(self._clock())
        for line in batch.bad_lines[:_BAD_LINES_KEPT_OF_A_SEGMENT]:
            await t.execute(
                "INSERT INTO bad_line (segment, position, reason, begins, found_at)"
                " SELECT ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM bad_line WHERE segment = ?) < ?"
                " AND (SELECT count(*) FROM bad_line) < ?",
                name,
                line.position,
                line.reason,
                line.begins,
                now,
                name,
                _BAD_LINES_KEPT_OF_A_SEGMENT,
                _BAD_LINES_KEPT,
            )

    async def _places(self) -> dict[str, Place]:
        rows = await self._db.fetch_all("SELECT name, position, skips_line FROM segment")
        return {row["name"]: Place(row["position"], bool(row["skips_line"])) for row in rows}

    async def _forget_deleted(self, places: Mapping[str, Place], sizes: Mapping[str, int]) -> None:
        """Forget places in segments that are gone, except where bad lines were counted.

        Only now, never with the last batch: a file that could not be deleted would be read again.
        """
        gone = places.keys() - sizes.keys() - self._remembered
        if gone:
            self._remembered |= gone
            async with self._db.transaction() as t:
                await t.execute_many(
                    "DELETE FROM segment WHERE name = ? AND bad_lines = 0", [(name,) for name in gone]
                )
