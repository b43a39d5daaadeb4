"""Time as a town's offices count it: within business hours, on days that are no holidays."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policy.schedule import Schedule

# A town whose offices never open again within two years has no business hours.
_LONGEST_SEARCH = timedelta(days=731)
OFFICE_HOURS = Schedule(frozenset(range(5)), time(8), time(16, 30))


@dataclass(frozen=True, slots=True)
class BusinessTime:
    """The hours in which people are expected to answer, by the town's wall clock, and the days without any.

    A holiday is a whole date: of hours that run past midnight, what is before and what is after it count
    to different dates.
    """

    hours: Schedule = OFFICE_HOURS
    holidays: frozenset[date] = field(default_factory=frozenset)

    def counts_at(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether an instant (aware) is within business hours."""
        return at.astimezone(zone).date() not in self.holidays and self.hours.holds_at(at, zone)

    def after(self, at: datetime, amount: timedelta, zone: ZoneInfo) -> datetime:
        """Return the instant (UTC) at which `amount` of business time has gone by since `at` (aware).

        1. from edge to edge of the hours, and from midnight to midnight for the holidays
        2. what passes is elapsed time: an hour that the clock skips is none, one that it repeats is two
        3. where there are no business hours within two years, as if every hour were one
        """
        now, left = at.astimezone(UTC), amount
        while left > timedelta(0):
            edge = self._next_edge(now, zone)
            if self.counts_at(now, zone):
                if now + left <= edge:
                    return now + left
                left -= edge - now
            now = edge
            if now - at > _LONGEST_SEARCH:
                return at.astimezone(UTC) + amount
        return now

    def _next_edge(self, at: datetime, zone: ZoneInfo) -> datetime:
        tomorrow = at.astimezone(zone).date() + timedelta(days=1)
        midnight = datetime.combine(tomorrow, time(), tzinfo=zone).astimezone(UTC)
        edge = self.hours.next_edge_after(at, zone)
        return midnight if edge is None else min(edge, midnight)
