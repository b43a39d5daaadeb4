"""Publishes when each site was first visited, for rules about newly seen sites."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from admin.atomic_file import write_atomically
from admin.clock import Clock, from_ms
from admin.database import Database
from admin.visit_log import counting
from categories.first_visits import FirstVisits

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 3600.0


class FirstVisitsJob:
    """Renews `published/first-visits` from the visit log, at the start and every hour.

    A site that is visited first meanwhile is not in it, which means the same: it is newly seen.
    """

    def __init__(self, path: Path, db: Database, clock: Clock) -> None:
        self._path = path
        self._db = db
        self._clock = clock

    async def run(self) -> None:
        """Publish for ever. Raises OSError or sqlite3.Error when it cannot; the file before stays."""
        while True:
            await self.publish()
            await asyncio.sleep(_EVERY_SECONDS)

    async def publish(self) -> None:
        """Publish what the log says now. Raises as `run` does."""
        now = self._clock()
        first = await counting.first_visits(self._db.visits)
        count = await asyncio.to_thread(_write, self._path, first, now)
        logger.debug("first visits published: sites=%d", count)


def _write(path: Path, first: Mapping[str, int], now: datetime) -> int:
    """Write the first visits of sites (ms); return how many sites."""
    found = FirstVisits.of({site: from_ms(at) for site, at in first.items()}, now)
    write_atomically(path, found.to_bytes())
    return len(found)
