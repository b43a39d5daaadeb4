"""Who was warned of a site and continued: known to every worker at once, and after a restart.

A folder of the proxy's own, `<state>/proxy/continued`, holds a file for every eight hours by the clock.
A worker appends to the one of now, and reads what the others have appended before it warns anyone. A
line is a digest of who and of which site, and the second when they continued: it gives away neither.
"""

import contextlib
import errno
import fcntl
import hashlib
import hmac
import logging
import math
import os
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from policy.visit import Client
from proxy_addons import egress_metrics

logger = logging.getLogger(__name__)

REMEMBERED = timedelta(hours=8)
"""For how long who continued is not warned of that site again: a day's work."""

_REMEMBERED_SECONDS = int(REMEMBERED.total_seconds())
_LINE = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,12})")


_WINDOWS_KEPT = 2
"""Windows before those in which anything holds whose files are kept: a clock that is ahead finds them when it
is put right, and so do the workers that have read them meanwhile."""


def who(client: Client) -> str:
    """Return whom a warning is for: the person, or whoever sits at the address."""
    return f"person {client.person}" if client.person is not None else f"address {client.address}"


@dataclass(slots=True)
class _Window:
    """What has been read of the file of one window: by digest, the second (UTC) when each continued."""

    number: int
    path: Path
    read_bytes: int = 0
    continued_at: dict[str, int] = field(default_factory=dict)

    def read_on(self) -> None:
        """Read what was appended; lines that are no continuation are counted. Raises OSError."""
        try:
            has_more = self.path.stat().st_size > self.read_bytes
        except FileNotFoundError:
            return
        if not has_more:
            return
        with self.path.open("rb") as file:
            file.seek(self.read_bytes)
            # A line that is being written is read when it is whole.
            lines = file.read().rpartition(b"\n")[0]
        self.read_bytes += len(lines) + 1 if lines else 0
        refused = sum(not self._take(line) for line in lines.splitlines())
        if refused:
            egress_metrics.CONTINUATIONS_REFUSED.inc(refused)
            logger.error("passed over lines that are no continuation: file=%s lines=%d", self.path, refused)

    def _take(self, line: bytes) -> bool:
        found = _LINE.fullmatch(line)
        # One of another window would hold for longer than it may.
        if found is None or int(found[2]) // _REMEMBERED_SECONDS != self.number:
            return False
        self.continued_at[found[1].decode()] = int(found[2])
        return True


class Continuations:
    """Reads and writes the folder. `key` (the same for all workers) makes the digests.

    What cannot be read does not count: who had continued is warned once more.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key
        self._windows: tuple[_Window, ...] = ()
        self._has_failed = False
        self._looked_at = math.inf

    def has(self, client: Client, site: str, now: datetime) -> bool:
        """Whether the client continued to this site less than REMEMBERED ago."""
        self._read_on(now)
        digest, second = self._digest(client, site), now.timestamp()
        began = (window.continued_at.get(digest, -math.inf) for window in self._windows)
        return any(at <= second < at + _REMEMBERED_SECONDS for at in began)

    def add(self, client: Client, site: str, now: datetime) -> None:
        """Write down that the client continues now; nothing when that is known already.

        Raises OSError when the disk does not take it.
        """
        if self.has(client, site, now):
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        second = int(now.timestamp())
        line = f"{self._digest(client, site)} {second}\n".encode()
        path = self._path(second // _REMEMBERED_SECONDS)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # Locked: what is cut off after half a line must not be another worker's.
            fcntl.flock(fd, fcntl.LOCK_EX)
            size = os.fstat(fd).st_size
            if os.write(fd, line) < len(line):
                os.ftruncate(fd, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(fd)

    def have_ended(self, now: datetime) -> bool:
        """Whether any has ended since this was last asked."""
        before, self._looked_at = self._looked_at, now.timestamp()
        began = (at for window in self._windows for at in window.continued_at.values())
        ended = any(before < at + _REMEMBERED_SECONDS <= self._looked_at for at in began)
        self._read_on(now)
        return ended

    def _read_on(self, now: datetime) -> None:
        """Read what every worker has appended; files in which nothing has held for long are deleted."""
        try:
            self._turn_to(int(now.timestamp()) // _REMEMBERED_SECONDS)
            for window in self._windows:
                window.read_on()
        except OSError as error:
            if not self._has_failed:
                logger.error("cannot read who continued, all are warned again: error=%s", error)
            self._has_failed = True
        else:
            self._has_failed = False

    def _turn_to(self, number: int) -> None:
        if self._windows and self._windows[-1].number == number:
            return
        # What began in the window before may still hold; in older ones nothing does.
        known = {window.number: window for window in self._windows}
        self._windows = tuple(known.get(n) or _Window(n, self._path(n)) for n in (number - 1, number))
        with contextlib.suppress(FileNotFoundError):
            paths = (path for path in self._folder.iterdir() if path.name.isdecimal())
            before = sorted((path for path in paths if int(path.name) < number - 1), key=_number)
            for path in before[:-_WINDOWS_KEPT]:
                path.unlink(missing_ok=True)

    def _digest(self, client: Client, site: str) -> str:
        text = f"towngate-continued-1:{who(client)}\n{site}".encode()
        return hmac.digest(self._key, text, hashlib.sha256).hex()

    def _path(self, number: int) -> Path:
        return self._folder / str(number)


def _number(path: Path) -> int:
    return int(path.name)
