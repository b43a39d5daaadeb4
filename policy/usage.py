"""What was used of quotas in one day of the town's, as the bytes of a file: each worker writes its own.

What all of them say together was used: bytes are added up; a minute counts once, whoever counted it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, TypeAdapter, ValidationError

from policy.limiting import Use, counted_for
from policy.town_policy import Limit
from policy.visit import Client

MAX_BYTES = 4 << 20

_MINUTE = timedelta(minutes=1)
# The longest day of any zone, and some.
_MOST_MINUTES = 26 * 60


class UsageError(Exception):
    """The bytes are no usage; they are passed over, and what they may have counted is not known."""


@dataclass(slots=True)
class Used:
    """Bytes both ways, and minutes of the day as bits of a number."""

    size_bytes: Annotated[int, Field(ge=0, lt=2**63)] = 0
    minutes: Annotated[int, Field(ge=0, lt=2**_MOST_MINUTES)] = 0

    def add(self, other: "Used") -> None:
        """Take in what another worker counted."""
        self.size_bytes += other.size_bytes
        self.minutes |= other.minutes

    @property
    def use(self) -> Use:
        """What that comes to."""
        return Use(self.size_bytes, self.minutes.bit_count() * _MINUTE)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one worker, or all, counted on a day; by limit and whose use it is (`usage_key`)."""

    day: date
    used: Mapping[str, Used] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return it as JSON; minutes are a number in hexadecimal."""
        used = {key: (one.size_bytes, f"{one.minutes:x}") for key, one in self.used.items()}
        return _ADAPTER.dump_json((self.day, used)) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "Usage":
        """Read it back. Raises UsageError."""
        if len(data) > MAX_BYTES:
            raise UsageError(f"no usage: longer than {MAX_BYTES} bytes")
        try:
            day, used = _ADAPTER.validate_json(data)
            return cls(day, {key: Used(size, int(minutes, 16)) for key, (size, minutes) in used.items()})
        except (ValidationError, ValueError) as error:
            raise UsageError(f"no usage: {data[:80]!r}") from error


def together(day: date, parts: Iterable[Usage]) -> dict[str, Used]:
    """Return what was counted on a day in all; parts of other days are left out."""
    found: dict[str, Used] = {}
    for part in parts:
        if part.day == day:
            for key, used in part.used.items():
                found.setdefault(key, Used()).add(used)
    return found


def usage_key(limit: Limit, client: Client) -> str:
    """Return by what the use of a quota by this client is counted."""
    return f"{limit.id} {counted_for(limit, client)}"


def minute_of_day(at: datetime, day: date, zone: ZoneInfo) -> int:
    """Return how many minutes of a day of the zone have passed at an instant (aware) of it."""
    return int((at - datetime.combine(day, time(), tzinfo=zone)) / _MINUTE)


def next_midnight(at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the day of an instant (aware) ends in a zone."""
    return datetime.combine(at.astimezone(zone).date() + timedelta(days=1), time(), tzinfo=zone)


type _Amount = tuple[
    Annotated[int, Field(ge=0, lt=2**63)],
    Annotated[str, Field(pattern="^[0-9a-f]{1,390}$")],
]
type _Written = tuple[date, dict[Annotated[str, Field(max_length=300)], _Amount]]
_ADAPTER: TypeAdapter[_Written] = TypeAdapter(_Written)
