"""What was used of quotas today, by all workers: each writes a file beside the spool, and reads the others'.

A worker knows its own use at once, that of others within about three seconds: they write every two seconds,
and it looks every second. A file outlives its worker, so a restart forgets nothing; and its day by one more,
so a clock that was wrong over midnight, or a zone, forgets nothing when it is put right.
"""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from policy.limiting import Use
from policy.state_names import USAGE_SUFFIX
from policy.usage import MAX_BYTES, Usage, UsageError, Used, minute_of_day, together

logger = logging.getLogger(__name__)

_WRITTEN_EVERY_SECONDS = 2.0
_MINUTE_COUNTS_FROM_BYTES = 10_000
"""A page that is only left open says less in a minute."""

type _Stamp = tuple[int, int, int]
_NEVER: _Stamp = (0, 0, 0)


class UsageFiles:
    """The use of a day, told by `add` and asked by `used`. `look` goes on to the next day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._day = date.min
        self._path = folder / USAGE_SUFFIX
        self._own: dict[str, Used] = {}
        self._others: dict[str, Used] = {}
        self._read: dict[str, tuple[_Stamp, Usage]] = {}
        self._in_minute: dict[str, tuple[int, int]] = {}
        self._is_written = True
        self._written_at = float("-inf")
        self._failure: OSError | None = None
        self._has_failed = False

    def add(self, key: str, size_bytes: int, at: datetime, zone: ZoneInfo) -> None:
        """Count use at an instant (aware)."""
        if at.astimezone(zone).date() != self._day:
            self._begin_day(at.astimezone(zone).date())
        used = self._own.setdefault(key, Used())
        used.size_bytes += size_bytes
        minute = minute_of_day(at, self._day, zone)
        in_minute, carried = self._in_minute.get(key, (minute, 0))
        carried = carried + size_bytes if in_minute == minute else size_bytes
        self._in_minute[key] = minute, carried
        if carried >= _MINUTE_COUNTS_FROM_BYTES and minute >= 0:
            used.minutes |= 1 << minute
        self._is_written = False

    def used(self, key: str) -> Use:
        """Return what was used today, as far as it is known here."""
        own, others = self._own.get(key), self._others.get(key)
        if own is None or others is None:
            one = own or others
            return one.use if one is not None else Use()
        both = Used(own.size_bytes, own.minutes)
        both.add(others)
        return both.use

    def look(self, at: datetime, zone: ZoneInfo) -> None:
        """Write what was counted here, and read what others wrote; with a new day all begins anew.

        What the disk fails to do is tried again the next time; the rest is done all the same.
        """
        today = at.astimezone(zone).date()
        if today != self._day:
            self._begin_day(today)
        seconds = at.timestamp()
        if not self._is_written and not 0 <= seconds - self._written_at < _WRITTEN_EVERY_SECONDS:
            with self._noting_failure():
                self._replace(Usage(self._day, self._own).to_bytes())
                self._is_written, self._written_at = True, seconds
        with self._noting_failure():
            self._read_others()
        failure, self._failure = self._failure, None
        if failure is not None and not self._has_failed:
            logger.error("use of quotas not shared: path=%s error=%s", self._path, failure)
        self._has_failed = failure is not None

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failure = error

    def _begin_day(self, today: date) -> None:
        self._day = today
        self._path = self._folder / f"{today}-{secrets.token_hex(4)}{USAGE_SUFFIX}"
        self._own, self._others, self._read, self._in_minute = {}, {}, {}, {}
        kept = f"{today - timedelta(days=1)}"
        for path in self._folder.glob(f"*{USAGE_SUFFIX}"):
            if path.name < kept:
                with self._noting_failure():
                    path.unlink(missing_ok=True)

    def _read_others(self) -> None:
        found: dict[str, tuple[_Stamp, Usage]] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                is_of_today = entry.name.startswith(f"{self._day}-") and entry.name.endswith(USAGE_SUFFIX)
                # A pipe would make all visits wait.
                if is_of_today and entry.name != self._path.name and entry.is_file(follow_symlinks=False):
                    found[entry.name] = self._read_one(entry)
        if found != self._read:
            self._read = found
            self._others = together(self._day, (usage for _, usage in found.values()))

    def _read_one(self, entry: "os.DirEntry[str]") -> tuple[_Stamp, Usage]:
        """Read a file that is another one than before; while it cannot be read, what it said still counts."""
        known = self._read.get(entry.name, (_NEVER, Usage(self._day)))
        with self._noting_failure():
            stat = entry.stat(follow_symlinks=False)
            stamp = stat.st_mtime_ns, stat.st_ino, stat.st_size
            if stamp != known[0]:
                with Path(entry.path).open("rb") as file:
                    data = file.read(MAX_BYTES + 1)
                try:
                    return stamp, Usage.from_bytes(data)
                except UsageError as error:
                    # Once: it is not looked into again before somebody has written it anew.
                    logger.error("use of quotas passed over: path=%s error=%s", entry.path, error)
                    return stamp, known[1]
        return known

    def _replace(self, data: bytes) -> None:
        # Not synced: it is written anew within seconds while its worker lives.
        hidden = self._path.with_name(f".{self._path.name}")
        with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660), "wb") as file:
            file.write(data)
        hidden.replace(self._path)
