"""Weeks by the town's calendar, Monday to Sunday, and when the report on one is due."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from policy.town_policy import WeeklyReport
from policy.town_time import ENGLISH

_WEEK = timedelta(weeks=1)
_FIRST_YEAR, _LAST_YEAR = 2000, 9000


@dataclass(frozen=True, slots=True, order=True)
class Week:
    """The week that begins on `monday`."""

    monday: date

    @classmethod
    def of(cls, day: date) -> Self:
        """Return the week of a day."""
        return cls(day - timedelta(days=day.weekday()))

    @classmethod
    def at(cls, now: datetime, zone: ZoneInfo) -> Self:
        """Return the week of an instant (aware)."""
        return cls.of(now.astimezone(zone).date())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a Monday, "2026-03-02". Raises ValueError for any other day."""
        monday = date.fromisoformat(text)
        if monday.weekday() or not _FIRST_YEAR <= monday.year <= _LAST_YEAR:
            raise ValueError(f"{text!r} is no Monday")
        return cls(monday)

    def __str__(self) -> str:
        return self.monday.isoformat()

    @property
    def before(self) -> "Week":
        """The week before."""
        return Week(self.monday - _WEEK)

    @property
    def after(self) -> "Week":
        """The week after."""
        return Week(self.monday + _WEEK)

    def begins_at(self, zone: ZoneInfo) -> datetime:
        """Return the instant (UTC) of its first midnight."""
        return datetime.combine(self.monday, time(), tzinfo=zone).astimezone(UTC)

    def ends_at(self, zone: ZoneInfo) -> datetime:
        """Return the instant (UTC) at which it is over."""
        return self.after.begins_at(zone)

    def said(self, today: date) -> str:
        """Return its days: "March 2 to 8", "March 30 to April 5"; with years where they are not this one.

        A line breaks only between two whole dates.
        """
        first, last = self.monday, self.monday + timedelta(days=6)
        begin = f"{ENGLISH.months[first.month - 1]} {first.day}"
        end = f"{last.day}" if first.month == last.month else f"{ENGLISH.months[last.month - 1]} {last.day}"
        if first.year != last.year:
            begin += f", {first.year}"
        if first.year != last.year or last.year != today.year:
            end += f", {last.year}"
        begin, end = (days.replace(" ", "\u00a0") for days in (begin, f"to {end}"))
        return f"{begin}\u00a0{end}" if first.month == last.month else f"{begin} {end}"


def last_due(terms: WeeklyReport, now: datetime, zone: ZoneInfo) -> Week:
    """Return the week whose report was due last, at `now` (aware) or before."""
    today = now.astimezone(zone).date()
    day = today - timedelta(days=(today.weekday() - terms.day) % 7)
    if datetime.combine(day, terms.at, tzinfo=zone).astimezone(UTC) > now:
        day -= _WEEK
    return Week.of(day).before


def next_due_at(terms: WeeklyReport, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when the next report is due (UTC)."""
    day = last_due(terms, now, zone).after.after.monday + timedelta(days=terms.day)
    return datetime.combine(day, terms.at, tzinfo=zone).astimezone(UTC)
