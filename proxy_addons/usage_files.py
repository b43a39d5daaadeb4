"""What was used of quotas today, by all workers: each writes a file beside the spool, and reads the others'.

A worker knows its own use at once, that of others within about two seconds: each looks every second.
A file outlives its worker, so a restart forgets nothing. It outlives its day, too, until two later days have
files: so a clock that was ahead, by however much, or a zone, forgets nothing when it is put right.
"""

import contextlib
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from policy.limiting import Use
from policy.state_names import USAGE_SUFFIX
from policy.usage import HEAD_BYTES, MAX_BYTES, Usage, UsageError, minute_of_day, used_in_all

logger = logging.getLogger(__name__)

_MINUTE_COUNTS_FROM_BYTES = 10_000
"""A page that is only left open says less in a minute."""


_DAYS_KEPT = 2
"""Days before today whose files are kept: the last of which there are any, whenever they were."""

_INSTANT = timedelta(microseconds=1)


@dataclass(slots=True)
class _Day:
    """What is known of a day. `in_minute` is what was carried in the last minute that counted, by place;
    `seen` are the heads of the others' files as they were last read."""

    day: date
    path: Path
    own: Usage
    others: dict[str, Usage] = field(default_factory=dict)
    in_minute: dict[int, tuple[int, int]] = field(default_factory=dict)
    seen: dict[str, bytes] = field(default_factory=dict)
    has_tidied: bool = False


class UsageFiles:
    """The use of a day, told by `add` and asked by `used`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._today = self._begun(date.min)
        # The day before today's, and those that are not on disk yet: a clock may go to and fro meanwhile.
        self._ended: tuple[_Day, ...] = ()
        self._exchanging = threading.Lock()
        self._failure: OSError | None = None
        self._has_failed = False

    def add(self, key: bytes, size_bytes: int, at: datetime, zone: ZoneInfo) -> None:
        """Count use at an instant (aware) of today; what comes later counts for its end."""
        today = self._today
        place = today.own.place(key)
        today.own.add(place, size_bytes)
        minute = minute_of_day(min(at, self.ends_at(zone) - _INSTANT), today.day, zone)
        in_minute, carried = today.in_minute.get(place, (minute, 0))
        carried = carried + size_bytes if in_minute == minute else size_bytes
        today.in_minute[place] = minute, carried
        if carried >= _MINUTE_COUNTS_FROM_BYTES:
            today.own.add_minute(place, minute)

    def used(self, key: bytes) -> Use:
        """Return what was used today, as far as it is known here."""
        today = self._today
        return used_in_all((today.own, *today.others.values()), key)

    def look(self, at: datetime, zone: ZoneInfo) -> None:
        """Go on to the day of an instant (aware), and exchange use with the other workers."""
        self.go_on_to(at, zone)
        self.exchange()

    def ends_at(self, zone: ZoneInfo) -> datetime:
        """Return when today ends, by the last `look` or `go_on_to`."""
        return datetime.combine(self._today.day + timedelta(days=1), time(), tzinfo=zone)

    def is_today(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether an instant (aware) is of today."""
        return at.astimezone(zone).date() == self._today.day

    def go_on_to(self, at: datetime, zone: ZoneInfo) -> None:
        """Begin to count anew if an instant (aware) is of another day.

        A day before: the clock was ahead, and what was counted here meanwhile was used on that day. It stays
        with the other, too: which of the two was wrong is not known.
        """
        if self.is_today(at, zone):
            return
        ended, day = self._today, at.astimezone(zone).date()
        begun = self._begun(day)
        if day < ended.day:
            # Counted on in the same place: what it knows may not be on disk.
            begun = next((before for before in self._ended if before.day == day), begun)
            begun.own.add_all(ended.own)
        left = [before for before in self._ended if before is not begun and before.own.has_changed]
        self._ended, self._today = (*left, ended), begun

    def exchange(self) -> None:
        """Write what was counted here, and read what others wrote; a thread may do so.

        What the disk fails to do is tried again the next time; the rest is done all the same.
        """
        with self._exchanging:
            today = self._today
            for day in (*self._ended, today):
                with self._noting_failure():
                    self._write(day)
            with self._noting_failure():
                self._read_others(today)
            if not today.has_tidied:
                today.has_tidied = True
                self._delete_before(today.day)
            failure, self._failure = self._failure, None
            if failure is not None and not self._has_failed:
                logger.error("use of quotas not shared: path=%s error=%s", today.path, failure)
            self._has_failed = failure is not None

    def _begun(self, day: date) -> _Day:
        path = self._folder / f"{day}-{secrets.token_hex(4)}{USAGE_SUFFIX}"
        return _Day(day, path, Usage(day), has_tidied=day == date.min)

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failure = error

    def _delete_before(self, today: date) -> None:
        before: dict[str, list[Path]] = {}
        for path in self._folder.glob(f"*{USAGE_SUFFIX}"):
            day = path.name[: len(f"{today}")]
            if day < f"{today}":
                before.setdefault(day, []).append(path)
        for day in sorted(before)[:-_DAYS_KEPT]:
            for path in before[day]:
                with self._noting_failure():
                    path.unlink(missing_ok=True)

    def _write(self, today: _Day) -> None:
        if not today.own.has_changed:
            return
        # Not synced: while its worker lives, only a power cut takes it.
        descriptor = os.open(today.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o660)
        try:
            is_new = os.fstat(descriptor).st_size < HEAD_BYTES
            today.own.write_changed(lambda at, data: _write_all(descriptor, data, at), is_new=is_new)
        finally:
            os.close(descriptor)

    def _read_others(self, today: _Day) -> None:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                is_of_today = entry.name.startswith(f"{today.day}-") and entry.name.endswith(USAGE_SUFFIX)
                # A pipe would never end.
                if is_of_today and entry.name != today.path.name and entry.is_file(follow_symlinks=False):
                    with self._noting_failure():
                        self._read_one(today, entry)

    def _read_one(self, today: _Day, entry: "os.DirEntry[str]") -> None:
        """Read a file that was written to since; while it cannot be read, what it said still counts."""
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            head = os.pread(descriptor, HEAD_BYTES, 0)
            if not head or head == today.seen.get(entry.name):
                return
            data = os.pread(descriptor, MAX_BYTES + 1, 0)
        finally:
            os.close(descriptor)
        known = today.others.get(entry.name) or Usage(today.day)
        try:
            known.take_in(data)
        except UsageError as error:
            # Once: it is not looked into again before somebody has written it anew.
            logger.error("use of quotas passed over: path=%s error=%s", entry.path, error)
        else:
            today.others[entry.name] = known
        today.seen[entry.name] = head


def _write_all(descriptor: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written
