"""Brings visits from the spool into the visit log, each exactly once.

For every segment the rows and how far it has been read are written in one transaction; the file is
deleted after the commit that holds its end. Killed anywhere between, it goes on where the database
says. While the log cannot be written visits wait in the spool.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from admin import spool_reader
from admin.clock import Clock
from admin.database import Database, DatabaseError
from admin.visit_log.taking_in import Place

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_PAUSE_AFTER_FAILURE_SECONDS = 2.0
# A round that lasts longer is a backlog, and the status says how large.
_LONG_ROUND = timedelta(seconds=2)
_TYPICAL_RECORD_BYTES = 600
# A visit that goes on is heard of every five minutes.
_QUIET = timedelta(minutes=15)
# By less, a visit that is heard of every five minutes never seems quiet.
_LARGEST_STEP = timedelta(minutes=9)
_SETTLED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """Where ingest stands. Visits written before `caught_up_at` (aware UTC) are in the database.

    `waiting_bytes` are on their way, about `waiting_records` visits; `failure` says what keeps
    them, None when nothing does. `bad_lines` were no visit records since the start. Files that are `misnamed`
    are not taken in (`spool_reader.Segments`).
    """

    caught_up_at: datetime | None = None
    waiting_bytes: int = 0
    bad_lines: int = 0
    failure: str | None = None
    misnamed: tuple[str, ...] = ()

    @property
    def waiting_records(self) -> int:
        """About how many visits wait."""
        return -(-self.waiting_bytes // _TYPICAL_RECORD_BYTES)


class Ingest:
    """Reads one spool into the database. `status` is replaced after every round."""

    def __init__(self, db: Database, spool: Path, clock: Clock) -> None:
        self._visits = db.visits
        self._spool = spool
        self._clock = clock
        self._bad_lines = 0
        self._misnamed: tuple[str, ...] = ()
        self._settled_at: datetime | None = None
        self._clock_offset: datetime | None = None
        self._settles_from = float("-inf")
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
        places: Mapping[str, Place] = {}
        sizes: Mapping[str, int] = {}
        try:
            sizes = await self._segments()
            places = await self._visits.places()
            await self._forget_deleted(places, sizes)
            for name in sizes:
                try:
                    taken += await self._take_segment(name, places)
                except OSError as error:
                    failure = f"{name}: {error}"  # the others can be read
                if self._clock() - started_at > _LONG_ROUND:
                    self._tell(sizes, places, self.status.caught_up_at, failure)
        except (OSError, sqlite3.Error, DatabaseError) as error:
            failure = str(error)
        if failure is None:
            failure = await self._settle(started_at)
        if failure is None:
            self._tell({}, {}, started_at, None)
        else:
            if failure != self.status.failure:
                logger.error("visits wait in the spool: error=%s", failure)
            self._tell(sizes, places, self.status.caught_up_at, failure)
        return taken

    async def _segments(self) -> Mapping[str, int]:
        found = await asyncio.to_thread(spool_reader.segments, self._spool)
        if found.misnamed and found.misnamed != self._misnamed:
            logger.error(
                "files of the spool are misnamed: files=%d first=%a", len(found.misnamed), found.misnamed[0]
            )
        self._misnamed = found.misnamed
        return found.sizes

    async def _settle(self, now: datetime) -> str | None:
        """Write what killed workers left open, once a minute; return why that failed.

        Not while a clock that was put on makes visits that go on seem quiet: they are heard of again soon.
        """
        self._heed_jumps(now)
        if time.monotonic() < self._settles_from:
            return None
        if self._settled_at is not None and timedelta() <= now - self._settled_at < _SETTLED_EVERY:
            return None
        try:
            lost = await self._visits.settle(now - _QUIET)
        except (sqlite3.Error, DatabaseError) as error:
            return str(error)
        self._settled_at = now
        if lost:
            logger.warning("visits whose worker was killed are written as last heard of: visits=%d", lost)
        return None

    def _heed_jumps(self, now: datetime) -> None:
        """Notice that the clock was put on, or back, since this was last called."""
        offset = now - timedelta(seconds=time.monotonic())
        before, self._clock_offset = self._clock_offset, offset
        if before is not None and abs(offset - before) > _LARGEST_STEP:
            self._settles_from = time.monotonic() + _QUIET.total_seconds()
            logger.warning("the clock jumped: seconds=%d", (offset - before).total_seconds())

    def _tell(
        self,
        sizes: Mapping[str, int],
        places: Mapping[str, Place],
        caught_up_at: datetime | None,
        failure: str | None,
    ) -> None:
        waiting = sum(max(0, size - places.get(name, Place()).position) for name, size in sizes.items())
        self.status = IngestStatus(caught_up_at, waiting, self._bad_lines, failure, self._misnamed)

    async def _take_segment(self, name: str, places: Mapping[str, Place]) -> int:
        """Take in a segment as far as it goes; delete it when it is finished and taken in whole."""
        path = self._spool / name
        taken = 0
        while True:
            before = places.get(name, Place())
            batch = await asyncio.to_thread(spool_reader.read_batch, path, before)
            if batch.place != before:
                await self._visits.take_in(name, before, batch, self._clock())
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

    async def _forget_deleted(self, places: Mapping[str, Place], sizes: Mapping[str, int]) -> None:
        """Forget places in segments that are gone, except where bad lines were counted.

        Only now, never with the last batch: a file that could not be deleted would be read again.
        """
        gone = places.keys() - sizes.keys()
        if gone:
            await self._visits.forget([*gone])
