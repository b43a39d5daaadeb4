"""How long access is asked for, in the town's words for it."""

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Duration(StrEnum):
    """How long access is asked for; the shortest is first."""

    ONCE = "once"
    """For one download, within a day."""
    HOUR = "hour"
    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    def end(self, starts_at: datetime, zone: ZoneInfo) -> datetime:
        """Return when access that starts at an instant (aware) ends, in UTC.

        An hour later; at the town's next midnight; at the same wall time 1, 7, 30, 90 or 365 days later.
        """
        wall = starts_at.astimezone(zone)
        match self:
            case Duration.HOUR:
                return starts_at.astimezone(UTC) + timedelta(hours=1)
            case Duration.TODAY:
                tomorrow = wall.date() + timedelta(days=1)
                return datetime.combine(tomorrow, time(), tzinfo=zone).astimezone(UTC)
            case Duration.ONCE | Duration.WEEK | Duration.MONTH | Duration.QUARTER | Duration.YEAR:
                return (wall + timedelta(days=_DAYS[self])).astimezone(UTC)

    def up_to(self) -> tuple["Duration", ...]:
        """Return the durations that are not longer than this one, the shortest first, without ONCE."""
        every = tuple(Duration)
        return every[every.index(Duration.HOUR) : every.index(self) + 1]


_DAYS = {Duration.ONCE: 1, Duration.WEEK: 7, Duration.MONTH: 30, Duration.QUARTER: 90, Duration.YEAR: 365}
