"""Publishes when each site was first visited, for rules about newly seen sites."""

import asyncio
import logging
from datetime import datetime
from pathlib import Path

from admin.atomic_file import write_atomically
from admin.clock import Clock, from_ms
from admin.database import Reader
from admin.visits import host_of
from categories.first_visits import FirstVisits, site_of

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 3600.0

# The index by site and time answers both questions, a site at a time: the log may have millions of visits.
_FIRST_VISITS = """
WITH RECURSIVE one (site) AS (
    SELECT min(site) FROM visit
    UNION ALL
    SELECT (SELECT min(site) FROM visit WHERE site > one.site) FROM one WHERE one.site IS NOT NULL
)
SELECT site, (SELECT min(started_at) FROM visit WHERE visit.site = one.site) AS first_at
FROM one WHERE site IS NOT NULL
"""


class FirstVisitsJob:
    """Renews `published/first-visits` from the visit log, at the start and every hour.

    A site that is visited first meanwhile is not in it, which means the same: it is newly seen.
    """

    def __init__(self, path: Path, db: Reader, clock: Clock) -> None:
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
        rows = await self._db.fetch_all(_FIRST_VISITS)
        hosts = [(row["site"], row["first_at"]) for row in rows]
        count = await asyncio.to_thread(_write, self._path, hosts, now)
        logger.debug("first visits published: sites=%d", count)


def _write(path: Path, hosts: list[tuple[str, int]], now: datetime) -> int:
    """Write the first visits of hosts (the table's keys and ms) by their sites; return how many sites."""
    first: dict[str, int] = {}
    for key, at in hosts:
        site = site_of(host_of(key))
        first[site] = min(at, first.get(site, at))
    found = FirstVisits.of({site: from_ms(at) for site, at in first.items()}, now)
    write_atomically(path, found.to_bytes())
    return len(found)
