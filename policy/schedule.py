"""Recurring windows of the town's week, right across daylight saving."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


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

        A wall time skipped in spring counts as the instant the clock jumps past it; one repeated
        in autumn counts at both passes, because both change what the wall clock says.
        None for a window without days.
        """
        local_date = at.astimezone(zone).date()
        edges = []
        for offset in range(-1, 9):
            date = local_date + timedelta(days=offset)
            for wall in (self.starts_at, self.ends_at):
                for fold in (0, 1):
                    edge = datetime.combine(date, wall, tzinfo=zone).replace(fold=fold).astimezone(UTC)
                    if edge > at and self.holds_at(edge, zone) != self.holds_at(
                        edge - timedelta(microseconds=1), zone
                    ):
                        edges.append(edge)
        return min(edges, default=None)
