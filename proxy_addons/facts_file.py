"""Tells admin what a worker knows, in a file beside the spool (`policy.worker_facts`)."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from policy import state_names
from policy.worker_facts import WorkerFacts

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_WRITTEN_EVERY = timedelta(seconds=30)


class FactsFile:
    """One worker's file, replaced whole: when a fact changes, and every half minute.

    `known` returns the facts as of an instant (aware UTC).
    """

    def __init__(self, spool: Path, worker: int, known: Callable[[datetime], WorkerFacts]) -> None:
        self._spool = spool
        self._worker = worker
        self._path = spool / state_names.worker_facts(worker)
        self._known = known
        self._written: WorkerFacts | None = None
        self._has_failed = False
        self._is_draining = False
        # One that was killed meanwhile; who still drains writes another.
        for path in spool.glob(state_names.draining_worker_facts(worker, "*")):
            path.unlink(missing_ok=True)

    async def follow(self) -> None:
        """Write them again and again, until it is cancelled. A disk that takes none is logged once, and tried
        again."""
        while True:
            self.write(datetime.now(UTC))
            await asyncio.sleep(_PAUSE_SECONDS)

    def begin_draining(self) -> None:
        """Go on in a file of its own: that of the number is another worker's from now on."""
        self._is_draining = True
        self._path = self._spool / state_names.draining_worker_facts(self._worker, os.getpid())
        self._written = None

    def close(self, at: datetime) -> None:
        """Write them a last time; once another worker has the number, leave nothing."""
        if self._is_draining:
            self._path.unlink(missing_ok=True)
        else:
            self.write(at)

    def write(self, at: datetime) -> None:
        """Write them as of an instant, if there is reason to."""
        facts = self._known(at)
        before = self._written
        if (
            before is not None
            and timedelta() <= at - before.written_at < _WRITTEN_EVERY
            and replace(facts, written_at=before.written_at) == before
        ):
            return
        try:
            self._replace(facts.to_bytes())
        except OSError as error:
            if not self._has_failed:
                logger.error("facts for admin not written: path=%s error=%s", self._path, error)
            self._has_failed = True
        else:
            self._written, self._has_failed = facts, False

    def _replace(self, data: bytes) -> None:
        # Not synced: what a power cut takes is written anew at the start.
        hidden = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            # By the folder's group admin may read it, as it may the visit records.
            with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660), "wb") as file:
                file.write(data)
            hidden.replace(self._path)
        finally:
            hidden.unlink(missing_ok=True)
