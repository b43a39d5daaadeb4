"""What was used of quotas in one day of the town's, as the bytes of a file: each worker writes its own.

A head, then a place of 224 bytes for each key (`usage_key`). A place is never moved or taken back, and what
it says only grows: so a file is written in place, and may be read meanwhile.

What all of them say together was used: bytes are added up; a minute counts once, whoever counted it.
"""

import contextlib
import struct
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from hashlib import blake2b
from operator import itemgetter
from zoneinfo import ZoneInfo

from policy.limiting import Use, counted_for
from policy.town_policy import Limit
from policy.visit import Client

MOST_KEYS = 100_000
"""So many have a place of their own in a file: twenty quotas of five thousand people."""
_SHARED_PLACES = 256

_MAGIC = b"TGUSE 1\n"
_HEAD = struct.Struct("<8s16sQ")
_PLACE = struct.Struct("<16sQ200s")
_KEYS = struct.Struct("<16s208x")
_SIZE = struct.Struct("<Q")
_SIZE_AT, _MINUTES_AT = 16, 24
_PLACES_IN_BLOCK = 64
_INDEXED_AT_ONCE = 4096

HEAD_BYTES = _HEAD.size
MAX_BYTES = HEAD_BYTES + (MOST_KEYS + _SHARED_PLACES) * _PLACE.size

_MINUTE = timedelta(minutes=1)
# The longest day of any zone has less.
_MOST_MINUTES = 200 * 8
_MOST_USED = 2**63 - 1


class UsageError(Exception):
    """The bytes are no usage of the day; they are passed over; what they may count is not known."""


class Usage:
    """What one worker counted on a day, by key.

    Keys that come after MOST_KEYS share a few places: to each of them it looks as if more had been used,
    never less. One thread may write it, or take it in, while another counts and asks.
    """

    __slots__ = ("_changed", "_count", "_data", "_is_told", "_places", "_version", "day")

    def __init__(self, day: date) -> None:
        self.day = day
        self._version = 0
        self._is_told = True
        self._count = 0
        self._data = bytearray(HEAD_BYTES)
        self._places: dict[bytes, int] = {}
        self._changed: set[int] = set()

    def place(self, key: bytes) -> int:
        """Return the place where the use of a key is counted; it gets one."""
        found = self._find(key)
        if found is None:
            name = key if self._count < MOST_KEYS else _shared_name(key)
            found = self._count
            self._data += _PLACE.pack(name, 0, b"")
            self._count += 1
            self._places[name] = found
        return found

    def add(self, place: int, size_bytes: int) -> None:
        """Count bytes."""
        at = HEAD_BYTES + place * _PLACE.size + _SIZE_AT
        (before,) = _SIZE.unpack_from(self._data, at)
        _SIZE.pack_into(self._data, at, min(before + size_bytes, _MOST_USED))
        self._changed.add(place // _PLACES_IN_BLOCK)

    def add_minute(self, place: int, minute: int) -> None:
        """Count a minute of the day as used."""
        minute = min(max(0, minute), _MOST_MINUTES - 1)
        self._data[HEAD_BYTES + place * _PLACE.size + _MINUTES_AT + minute // 8] |= 1 << minute % 8
        self._changed.add(place // _PLACES_IN_BLOCK)

    def add_all(self, other: "Usage") -> None:
        """Count all that another counted, whatever its day."""
        for name, place in other._places.items():
            size_bytes, minutes = other._at(place)
            here = self.place(name)
            self.add(here, size_bytes)
            for minute in range(minutes.bit_length()):
                if minutes >> minute & 1:
                    self.add_minute(here, minute)

    def used(self, key: bytes) -> tuple[int, int]:
        """Return the bytes that were used by a key, and the minutes as bits of a number."""
        found = self._find(key)
        return (0, 0) if found is None else self._at(found)

    @property
    def has_changed(self) -> bool:
        """Whether `write_changed` has something to write."""
        return bool(self._changed) or not self._is_told

    def write_changed(self, write: Callable[[int, bytes], None], *, is_new: bool = False) -> None:
        """Have bytes written at their place in the file: what has changed, or all of it in a new one.

        What `write` raises is raised here; what was not written is tried again the next time.
        """
        if is_new:
            write(0, self._head())
            self._changed.update(range(-(-self._count // _PLACES_IN_BLOCK)))
        self._is_told = False
        # In their order: who reads meanwhile takes every place that is there for one that is written.
        for block in sorted(self._changed):
            # First: what is counted from here on is another change.
            self._changed.discard(block)
            at = HEAD_BYTES + block * _PLACES_IN_BLOCK * _PLACE.size
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(self._changed.add, block)
                write(at, bytes(self._data[at : at + _PLACES_IN_BLOCK * _PLACE.size]))
                on_failure.pop_all()
        self._version += 1
        write(0, self._head())
        self._is_told = True

    def take_in(self, data: bytes) -> None:
        """Know what a worker has written to its file until now. Raises UsageError, and knows what it knew."""
        if not HEAD_BYTES <= len(data) <= MAX_BYTES:
            raise UsageError(f"no usage: {len(data)} bytes long")
        magic, day, _ = _HEAD.unpack_from(data)
        if magic != _MAGIC or day.rstrip(b"\0") != self._day:
            raise UsageError(f"no usage of {self.day}: {data[:HEAD_BYTES]!r}")
        count = (len(data) - HEAD_BYTES) // _PLACE.size
        if count < self._count:
            raise UsageError(f"no usage: {count} places, {self._count} before")
        self._data = bytearray(data)
        # In pieces: while one is looked through, no other thread runs.
        for start in range(self._count, count, _INDEXED_AT_ONCE):
            end = min(count, start + _INDEXED_AT_ONCE)
            piece = data[HEAD_BYTES + start * _PLACE.size : HEAD_BYTES + end * _PLACE.size]
            keys = map(itemgetter(0), _KEYS.iter_unpack(piece))
            self._places.update(zip(keys, range(start, end), strict=True))
        self._count = count

    @property
    def _day(self) -> bytes:
        return self.day.isoformat().encode()

    def _head(self) -> bytes:
        return _HEAD.pack(_MAGIC, self._day, self._version)

    def _at(self, place: int) -> tuple[int, int]:
        _, size_bytes, minutes = _PLACE.unpack_from(self._data, HEAD_BYTES + place * _PLACE.size)
        return size_bytes, int.from_bytes(minutes, "little")

    def _find(self, key: bytes) -> int | None:
        found = self._places.get(key)
        if found is None and self._count >= MOST_KEYS:
            found = self._places.get(_shared_name(key))
        return found


def used_in_all(parts: Iterable[Usage], key: bytes) -> Use:
    """Return what was used by a key, by what several workers counted on the same day."""
    in_all, minutes = 0, 0
    for part in parts:
        size_bytes, of_part = part.used(key)
        in_all += size_bytes
        minutes |= of_part
    return Use(in_all, minutes.bit_count() * _MINUTE)


def usage_key(limit: Limit, client: Client) -> bytes:
    """Return by what the use of a quota by this client is counted: 16 bytes that name nobody."""
    return blake2b(f"{limit.id} {counted_for(limit, client)}".encode(), digest_size=16).digest()


def minute_of_day(at: datetime, day: date, zone: ZoneInfo) -> int:
    """Return how many minutes of a day of the zone have passed at an instant (aware) of it."""
    return int((at - datetime.combine(day, time(), tzinfo=zone)) / _MINUTE)


def next_midnight(at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the day of an instant (aware) ends in a zone."""
    return datetime.combine(at.astimezone(zone).date() + timedelta(days=1), time(), tzinfo=zone)


def _shared_name(key: bytes) -> bytes:
    # No digest is likely to be so.
    return b"shared place %3d" % (key[0] % _SHARED_PLACES)
