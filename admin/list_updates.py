"""Brings the category lists up to date by themselves, and says how each of them stands.

An update of UT1 takes half a minute of a core and hundreds of megabytes: it is a process of its own,
`towngate categories update`, with the lowest priority, so that no page waits for it.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from admin.clock import Clock
from admin.list_settings import ListSettings
from admin.state_folder import StateFolder
from categories.publishing import is_held
from categories.snapshot import CategorySnapshot
from categories.source_checks import SourceCheck
from categories.sources import STARTER, KeptSources
from categories.taxonomy import taxonomy

logger = logging.getLogger(__name__)

OLD_AFTER = timedelta(days=3)
"""A list that was not known to be the newest for so long is old."""

_LOOK_SECONDS = 2.0
_FIRST_PAUSE = timedelta(minutes=15)
_LONGEST_PAUSE = timedelta(hours=4)
# Fetching has limits of its own; this ends what hangs in spite of them.
_LONGEST_UPDATE_SECONDS = 3600.0
_END_SECONDS = 3.0


class Freshness(StrEnum):
    """How a list stands."""

    FRESH = "fresh"
    OLD = "old"
    REFUSED = "refused"
    """The last edition could not be used; the entries of before are in force, and not old yet."""
    NEVER = "never"
    """Nothing of it was ever in force."""


@dataclass(frozen=True, slots=True)
class SourceStanding:
    """A source as people see it. Times are aware UTC.

    `old_since` is when it became old, None while it is not. `categories` are ids with their entries
    in force, most first; `is_shipped` says that it is the list that comes with Towngate and never
    ages. `was_fetched` says whether what was refused was an edition, not the way to it.
    """

    name: str
    freshness: Freshness
    entries: int
    categories: tuple[tuple[str, int], ...]
    good_at: datetime | None
    tried_at: datetime | None
    old_since: datetime | None
    refused: str | None
    was_fetched: bool
    is_shipped: bool


class ListUpdates:
    """Keeps the lists up to date while `run` runs.

    `failure` says why the last update could not be made at all, None when it could; what became of
    each source `standing` says.
    """

    def __init__(
        self,
        state: StateFolder,
        settings: Callable[[], ListSettings],
        zone: Callable[[], ZoneInfo],
        clock: Clock,
    ) -> None:
        self._state = state
        self._kept = KeptSources(state.category_sources)
        self._settings = settings
        self._zone = zone
        self._clock = clock
        self._failed_at: datetime | None = None
        self._failures = 0
        self.failure: str | None = None

    async def run(self) -> None:
        """Update whenever it is due, for ever."""
        while True:
            due_at = await asyncio.to_thread(self.due_at)
            # While somebody updates by hand, the next look is soon enough.
            if due_at is not None and due_at <= self._clock() and not self.is_running():
                await self._update()
            await asyncio.sleep(_LOOK_SECONDS)

    def is_running(self) -> bool:
        """Whether an update is going on, by itself or by hand."""
        try:
            with self._kept.alone() as are_alone:
                return not are_alone
        except OSError:
            return False  # there was none yet, or there can be none, which the next one says

    def is_held(self) -> bool:
        """Whether lists of before were gone back to, which updates do not replace."""
        return is_held(self._state.categories)

    def due_at(self) -> datetime | None:
        """Return when the next update is due, None: never, there is nothing to fetch.

        That is the next time of the settings, for a list that was never tried at once. After a
        failure it is sooner: in a quarter of an hour, then twice as long each time, up to 4 hours.
        """
        names = {source.name for source in self._settings().sources}
        names.update(name for name in self._kept.tried() if name != STARTER)
        due = [self._due_at(self._kept.check(name)) for name in names]
        if not due:
            return None
        if self._failed_at is not None:
            return max(min(due), self._failed_at + _pause(self._failures))
        return min(due)

    def standing(self, lists: CategorySnapshot | None) -> tuple[SourceStanding, ...]:
        """Say how every list stands, those with trouble first; `lists` are those in force."""
        counts = lists.counts if lists is not None else {}
        names = {source for _, source in counts}.union(
            self._kept.tried(), (source.name for source in self._settings().sources)
        )
        found = [self._standing(name, counts) for name in names]
        worst_first = (Freshness.NEVER, Freshness.OLD, Freshness.REFUSED, Freshness.FRESH)
        return tuple(sorted(found, key=lambda one: (worst_first.index(one.freshness), one.name)))

    def _due_at(self, check: SourceCheck | None) -> datetime:
        if check is None:
            return datetime.min.replace(tzinfo=UTC)
        scheduled = self._settings().next_after(check.tried_at, self._zone())
        if not check.failures:
            return scheduled
        return min(scheduled, check.tried_at + _pause(check.failures))

    def _standing(self, name: str, counts: dict[tuple[str, str], int]) -> SourceStanding:
        check = self._kept.check(name)
        mine = {category: count for (category, source), count in counts.items() if source == name}
        good_at = check.good_at if check else None
        is_shipped = name == STARTER
        if is_shipped:
            freshness = Freshness.FRESH
        elif good_at is None:
            freshness = Freshness.NEVER
        elif self._clock() - good_at >= OLD_AFTER:
            freshness = Freshness.OLD
        elif check is not None and check.refused is not None:
            freshness = Freshness.REFUSED
        else:
            freshness = Freshness.FRESH
        labels = taxonomy().categories
        return SourceStanding(
            name=name,
            freshness=freshness,
            entries=sum(mine.values()),
            categories=tuple(
                sorted(((id_, n) for id_, n in mine.items() if id_ in labels), key=lambda pair: -pair[1])
            ),
            good_at=good_at,
            tried_at=check.tried_at if check else None,
            old_since=good_at + OLD_AFTER if good_at and freshness is Freshness.OLD else None,
            refused=check.refused.removeprefix(f"{check.location}: ") if check and check.refused else None,
            was_fetched=check is None or check.was_fetched,
            is_shipped=is_shipped,
        )

    def _refused(self) -> dict[str, str]:
        checks = ((name, self._kept.check(name)) for name in self._kept.tried())
        return {name: check.refused for name, check in checks if check is not None and check.refused}

    async def _update(self) -> None:
        status, said = await _run_update(self._state)
        # 1: a source was refused; that stands in its own note.
        if status in (0, 1):
            self.failure, self._failed_at, self._failures = None, None, 0
            refused = await asyncio.to_thread(self._refused)
            for name, why in refused.items():
                logger.warning("list not updated: list=%s reason=%s", name, why)
            logger.info("lists updated: refused=%d", len(refused))
            return
        self.failure = said
        self._failed_at, self._failures = self._clock(), self._failures + 1
        logger.error("lists not updated: status=%d error=%s", status, said)


def _pause(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row, at least one."""
    doubled: timedelta = _FIRST_PAUSE * 2 ** min(failures - 1, 10)
    return min(doubled, _LONGEST_PAUSE)


async def _run_update(state: StateFolder) -> tuple[int, str]:
    """Run an update; return its exit status and, for people, what it said last."""
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", sys.executable, "-m", "admin.command"),
        *("categories", "update", "--state", str(state.root), "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LONGEST_UPDATE_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        return -1, "the update took too long and was ended; the lists of before stay in force"
    finally:
        await _end(process)
    lines = errors.decode(errors="replace").strip().splitlines()
    return process.returncode or 0, lines[-1].removeprefix("Error: ") if lines else "it ended without a word"


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
