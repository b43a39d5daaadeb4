"""Times as people say them, by the clock on the town's wall, in English and Spanish.

Parts of a time are held together by no-break spaces, so that no line ends inside one.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policy.schedule import Schedule
from policy.town_policy import Policy

_NO_BREAK = "\u00a0"


@functools.lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone_of(policy: Policy) -> ZoneInfo:
    """Return the town's time zone."""
    return _zone(policy.town.timezone)


@dataclass(frozen=True, slots=True)
class Language:
    """How one language says dates and hours; `days` begin with Monday."""

    days: tuple[str, ...]
    months: tuple[str, ...]
    this_year: str
    other_year: str
    morning: str
    afternoon: str
    hours: str
    day_range: str
    last_one: str
    every_day: str

    def clock(self, at: time | datetime) -> str:
        """Return the hour, like "5 PM" or "10:14 AM"; seconds are left out."""
        return _unbroken(f"{_hour(at)} {self._half(at)}")

    def day(self, at: date, today: date | None = None) -> str:
        """Return the date, like "Fri, March 6"; with its year when `today` is of another."""
        form = self.this_year if today is None or today.year == at.year else self.other_year
        names = {"weekday": self.days[at.weekday()], "month": self.months[at.month - 1]}
        return _unbroken(form.format(day=at.day, year=at.year, **names))

    def moment(self, at: datetime, zone: ZoneInfo, now: datetime | None = None) -> str:
        """Return an instant (aware) in the zone, like "Fri, March 6, 5 PM"."""
        local = at.astimezone(zone)
        today = now.astimezone(zone).date() if now is not None else None
        return _unbroken(f"{self.day(local.date(), today)}, {self.clock(local)}")

    def window(self, schedule: Schedule) -> str:
        """Return a schedule, like "12 to 1 PM, Mon to Fri"."""
        return self.windows((schedule,))

    def windows(self, schedules: Iterable[Schedule]) -> str:
        """Return several: "12 to 1 PM and 5 to 10 PM, Mon to Fri; 8 AM to 8 PM, Sat"."""
        hours: dict[frozenset[int], list[str]] = {}
        for schedule in schedules:
            hours.setdefault(schedule.days, []).append(_unbroken(self._hours(schedule)))
        return "; ".join(
            f"{self._all_of(of_days)}, {_unbroken(self._days(sorted(days)))}"
            for days, of_days in hours.items()
        )

    def _hours(self, schedule: Schedule) -> str:
        first, last = schedule.starts_at, schedule.ends_at
        same_half = self._half(first) == self._half(last)
        return self.hours.format(
            first=_hour(first) if same_half else self.clock(first), last=self.clock(last)
        )

    def _half(self, at: time | datetime) -> str:
        return self.morning if at.hour < 12 else self.afternoon

    def _days(self, days: list[int]) -> str:
        names = [self.days[day] for day in days]
        if len(names) == 7:
            return self.every_day
        if len(names) > 2 and days[-1] - days[0] == len(days) - 1:
            return self.day_range.format(first=names[0], last=names[-1])
        return self._all_of(names)

    def _all_of(self, names: list[str]) -> str:
        *others, last = names
        return self.last_one.format(others=", ".join(others), last=last) if others else last


def said_end(ends_at: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant to say for an end: of midnight, the last minute of the day before.

    "Until Saturday, 12 AM" is read as all of Saturday.
    """
    is_midnight = ends_at.astimezone(zone).time() == time()
    return ends_at - timedelta(minutes=1) if is_midnight else ends_at


def _hour(at: time | datetime) -> str:
    hour = at.hour % 12 or 12
    return f"{hour}:{at.minute:02}" if at.minute else str(hour)


def _unbroken(text: str) -> str:
    return text.replace(" ", _NO_BREAK)


ENGLISH = Language(
    days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    this_year="{weekday}, {month} {day}",
    other_year="{weekday}, {month} {day}, {year}",
    morning="AM",
    afternoon="PM",
    hours="{first} to {last}",
    day_range="{first} to {last}",
    last_one="{others} and {last}",
    every_day="every day",
)
SPANISH = Language(
    days=("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
    months=(
        *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
        *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
    ),
    this_year="{weekday} {day} de {month}",
    other_year="{weekday} {day} de {month} de {year}",
    morning="a. m.",
    afternoon="p. m.",
    hours="de {first} a {last}",
    day_range="de {first} a {last}",
    last_one="{others} y {last}",
    every_day="todos los días",
)
