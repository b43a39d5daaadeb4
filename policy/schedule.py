"""Recurring windows of the town's week, right across daylight saving."""

import bisect
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_INSTANT = timedelta(microseconds=1)
# A window of one day a week that the clock skips in spring comes again two weeks later.
_DAYS_AHEAD = 15


@dataclass(frozen=True, slots=True)
class Schedule:
    """A daily window on some days of the week, in the town's wall-clock time.

    `days` are numbers, Monday 0. The window holds for starts_at <= wall time < ends_at; one whose
    end is not after its start runs past midnight and belongs to the day it starts on.
    """

    days: frozenset[int]
    starts_at: time
    ends_at: time

    def holds_at(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether the window is open at `at` (aware), by the clock on the town's wall."""
        local = at.astimezone(zone)
        now = local.time()
        if self.starts_at < self.ends_at:
            return local.weekday() in self.days and self.starts_at <= now < self.ends_at
        yesterday = (local.weekday() - 1) % 7
        return (local.weekday() in self.days and now >= self.starts_at) or (
            yesterday in self.days and now < self.ends_at
        )

    def next_edge_after(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the first instant after `at` (aware) when the window opens or closes, in UTC.

        That is when the wall clock reaches a start or an end, or is put forward or back across one:
        a window can open twice in the night when an hour is repeated.
        None when the window never changes.
        """
        return next(self._edges_after(at, zone), None)

    def edges_between(self, at: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield those after an instant (aware), up to another within 15 days of it, in their order."""
        return itertools.takewhile(lambda edge: edge <= until, self._edges_after(at, zone))

    def _edges_after(self, at: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        edges = _edges(self, at.astimezone(zone).date(), zone)
        return itertools.islice(edges, bisect.bisect_right(edges, at), None)


# Every block page and open visit asks about the same few days.
@functools.lru_cache(maxsize=1024)
def _edges(schedule: Schedule, first_day: date, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return when a window opens or closes from a day of the zone on, up to _DAYS_AHEAD later, in UTC."""
    return tuple(
        edge
        for edge in sorted(set(_candidates(schedule, first_day, zone)))
        if schedule.holds_at(edge, zone) != schedule.holds_at(edge - _INSTANT, zone)
    )


def _candidates(schedule: Schedule, first_day: date, zone: ZoneInfo) -> Iterator[datetime]:
    for offset in range(-1, _DAYS_AHEAD + 1):
        day = first_day + timedelta(days=offset)
        for wall in (schedule.starts_at, schedule.ends_at):
            for fold in (0, 1):
                yield datetime.combine(day, wall.replace(fold=fold), tzinfo=zone).astimezone(UTC)
    before = datetime.combine(first_day - timedelta(days=1), time(), tzinfo=zone)
    yield from _clock_changes(before.astimezone(UTC), _DAYS_AHEAD + 2, zone)


def _clock_changes(since: datetime, days: int, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the instants (UTC) at which the zone's wall clock is put forward or back."""
    for offset in range(days):
        before = since + timedelta(days=offset)
        after = before + timedelta(days=1)
        if before.astimezone(zone).utcoffset() == after.astimezone(zone).utcoffset():
            continue
        # `before` stays on the near side of the change, `after` on the far side.
        while after - before > _INSTANT:
            middle = before + (after - before) / 2
            if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
                before = middle
            else:
                after = middle
        yield after
