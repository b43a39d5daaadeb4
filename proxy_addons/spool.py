"""Visit records on their way to admin: append-only files that outlive the worker and admin alike.

A segment `*.visits` holds one record a line. The worker that writes it holds an exclusive flock
on it; a segment that can be locked is finished, also when its worker was killed. Admin reads
segments as they grow, and deletes the finished ones once they are in its database.
"""

import contextlib
import errno
import fcntl
import logging
import os
import time
from pathlib import Path

logger = logging.getLogger(__name__)

_SEGMENT_BYTES = 4 << 20
_SEGMENT_SECONDS = 60.0


class Spool:
    """Writes segments into one folder. Records are on disk after `flush`, called twice a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: list[bytes] = []
        self._fd: int | None = None
        self._size = 0
        self._opened_at = 0.0
        self.shed = 0
        """Records given up because the disk took no more."""

    def append(self, line: bytes) -> None:
        """Take a record's line, newline included."""
        self._pending.append(line)

    def flush(self) -> None:
        """Write what is pending. What a full disk does not take is shed, counted and logged."""
        if self._pending:
            lines, self._pending = self._pending, []
            try:
                self._write(b"".join(lines))
            except OSError as error:
                self.shed += len(lines)
                logger.error(
                    "spool takes no more: shed=%d folder=%s error=%s", len(lines), self._folder, error
                )
                self.close()
        if self._fd is not None and (
            self._size >= _SEGMENT_BYTES or time.monotonic() - self._opened_at >= _SEGMENT_SECONDS
        ):
            self.close()

    def close(self) -> None:
        """Finish the segment: admin may delete it once it has been read."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _write(self, data: bytes) -> None:
        if self._fd is None:
            self._fd = self._new_segment()
        written = os.write(self._fd, data)
        if written < len(data):
            # Half a record must not stay in front of the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _new_segment(self) -> int:
        name = f"{time.time_ns():020d}-{os.getpid()}"
        hidden = self._folder / f".{name}"
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o660)
        try:
            # Locked before it can be seen: admin takes any segment that it can lock for finished.
            fcntl.flock(fd, fcntl.LOCK_EX)
            hidden.rename(self._folder / f"{name}.visits")
        except OSError:
            os.close(fd)
            raise
        self._size = 0
        self._opened_at = time.monotonic()
        return fd
