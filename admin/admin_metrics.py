"""What Prometheus is told of admin's side: lists, requests, letters, the way of the visits.

Admin writes it to a file among those that the proxy's side reads, every five seconds, and the metrics
listener adds it to its own: one scrape has all, and admin down blinds nobody. So an age is told as the
time since when, which goes on while nothing is written. Labels are bounded: never a person or a host.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from admin import request_counts
from admin.atomic_file import write_atomically
from admin.clock import Clock
from admin.correspondence import Correspondence
from admin.database import Database, DatabaseError
from admin.ingest import Ingest
from admin.list_updates import ListUpdates
from admin.outbox import Channel
from admin.site_lists import SiteLists
from admin.state_folder import StateFolder
from admin.visit_log.sizes import size_of

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 5.0

# Name and help of each figure.
SOURCE_GOOD = (
    "towngate_source_good_timestamp_seconds",
    "When the entries of a list were last known to be the newest",
)
SOURCE_REFUSED = ("towngate_source_refused", "Whether the last update of a list failed: 1, else 0")
SOURCE_ENTRIES = ("towngate_source_entries", "Entries of a list in force")
REQUESTS = ("towngate_access_requests", "Requests for access, by where they stand")
OLDEST_REQUEST = (
    "towngate_oldest_waiting_request_age_seconds",
    "How long the oldest request has waited for an answer, 0 when none waits",
)
LETTERS = ("towngate_letters", "Mails and tickets that wait to be sent, or that failed for good")
OLDEST_LETTER = (
    "towngate_oldest_waiting_letter_age_seconds",
    "How long the oldest letter has waited to be sent, 0 when none waits or no server is set",
)
SPOOL_WAITING = ("towngate_spool_waiting_bytes", "Visit records that are not in the database yet")
BAD_LINES = ("towngate_spool_bad_lines", "Lines of the spool since admin's start that were no visit records")
VISITS_CAUGHT_UP = (
    "towngate_visits_caught_up_timestamp_seconds",
    "All visits written before are in the database",
)
VISIT_LOG = ("towngate_visit_log_bytes", "What the files of the visit log take on disk")
WRITTEN = ("towngate_admin_written_timestamp_seconds", "When admin wrote these figures")


class AdminMetrics:
    """Writes the figures while `run` runs."""

    def __init__(
        self,
        state: StateFolder,
        db: Database,
        lists: ListUpdates,
        site_lists: SiteLists,
        ingest: Ingest,
        correspondence: Correspondence,
        clock: Clock,
    ) -> None:
        self._state = state
        self._db = db
        self._lists = lists
        self._site_lists = site_lists
        self._ingest = ingest
        self._correspondence = correspondence
        self._clock = clock

    async def run(self) -> None:
        """Write them again and again, for ever."""
        while True:
            await self.write()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def write(self) -> None:
        """Write them as they are now. Raises OSError, or sqlite3.Error while the database is away."""
        families = [*await self._of_lists(), *await self._of_requests(), *await self._of_letters()]
        families += [*self._of_visits(), *await self._of_log(), _gauge(WRITTEN, self._clock())]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Ready(families))
        text = generate_latest(registry)
        await asyncio.to_thread(write_atomically, self._state.admin_metrics, text)

    async def _of_lists(self) -> list[Metric]:
        in_force = await self._site_lists.in_force()
        standing = await asyncio.to_thread(self._lists.standing, in_force)
        good, refused, entries = (
            _labelled(one, "source") for one in (SOURCE_GOOD, SOURCE_REFUSED, SOURCE_ENTRIES)
        )
        for source in standing:
            entries.add_metric([source.name], source.entries)
            if source.is_shipped:
                continue  # it never ages
            refused.add_metric([source.name], source.refused is not None)
            if source.good_at is not None:
                good.add_metric([source.name], source.good_at.timestamp())
        return [good, refused, entries]

    async def _of_requests(self) -> list[Metric]:
        counts = await request_counts.counts(self._db, self._clock())
        requests = _labelled(REQUESTS, "state")
        for state, count in counts.by_state.items():
            requests.add_metric([state.value], count)
        waiting = GaugeMetricFamily(*OLDEST_REQUEST)
        since = counts.oldest_submitted_at
        waiting.add_metric([], (self._clock() - since).total_seconds() if since else 0)
        return [requests, waiting]

    async def _of_letters(self) -> list[Metric]:
        letters = GaugeMetricFamily(*LETTERS, labels=["channel", "state"])
        oldest = _labelled(OLDEST_LETTER, "channel")
        for channel in Channel:
            depth = await self._correspondence.depth(channel)
            letters.add_metric([channel.value, "waiting"], depth.waiting)
            letters.add_metric([channel.value, "failed"], depth.failed)
            # Without a server nothing is stuck: the town has chosen to go without.
            waits_since = depth.oldest_at if self._correspondence.is_set(channel) else None
            age = (self._clock() - waits_since).total_seconds() if waits_since else 0
            oldest.add_metric([channel.value], age)
        return [letters, oldest]

    def _of_visits(self) -> list[Metric]:
        status = self._ingest.status
        waiting, bad = GaugeMetricFamily(*SPOOL_WAITING), GaugeMetricFamily(*BAD_LINES)
        waiting.add_metric([], status.waiting_bytes)
        bad.add_metric([], status.bad_lines)
        if status.caught_up_at is None:
            return [waiting, bad]
        return [waiting, bad, _gauge(VISITS_CAUGHT_UP, status.caught_up_at)]

    async def _of_log(self) -> list[Metric]:
        try:
            log = await size_of(self._db.visits, self._clock())
        except (OSError, sqlite3.Error, DatabaseError) as error:
            # A month that cannot be read keeps no other figure back.
            logger.warning("size of the visit log not known: error=%s", error)
            return []
        return [GaugeMetricFamily(*VISIT_LOG, value=log.size_bytes)]


class _Ready(Collector):
    """Families that were made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._families


def _labelled(name_and_help: tuple[str, str], label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(*name_and_help, labels=[label])


def _gauge(name_and_help: tuple[str, str], at: datetime) -> GaugeMetricFamily:
    return GaugeMetricFamily(*name_and_help, value=at.timestamp())
