"""Visit records on their way to admin: append-only files that outlive the worker and admin alike.

A segment `*.visits` holds one record a line. The worker that writes it holds an exclusive flock
on it; a segment that can be locked is finished, also when its worker was killed. Admin reads
segments as they grow, and deletes the finished ones once they are in its database.
"""

import asyncio
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
_MAX_PENDING = 10_000


class Spool:
    """Writes segments into one folder.

    Twice a second, `flush` hands what is pending to the kernel, which outlives the worker; `sync`
    has it on disk, which outlives a power cut.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: list[bytes] = []
        self._fd: int | None = None
        self._size = 0
        self._opened_at = 0.0
        self._is_synced = True
        self._has_failed = False
        self.shed = 0
        """Records given up because the disk took no more, and too many wait already."""

    def append(self, line: bytes) -> None:
        """Take a record's line, newline included."""
        self._pending.append(line)

    def flush(self) -> None:
        """Write what is pending, into a new segment when the last is long or old.

        What the disk does not take waits for the next time; beyond ten thousand records, the oldest
        are shed and counted.
        """
        if self._fd is not None and (
            self._size >= _SEGMENT_BYTES or time.monotonic() - self._opened_at >= _SEGMENT_SECONDS
        ):
            self.close()
        if not self._pending:
            return
        try:
            self._write(b"".join(self._pending))
        except OSError as error:
            self.close()
            self._shed()
            if not self._has_failed:
                logger.error("spool takes no more for now: folder=%s error=%s", self._folder, error)
            self._has_failed = True
        else:
            self._pending.clear()
            if self._has_failed:
                logger.info("spool takes records again: folder=%s shed_in_all=%d", self._folder, self.shed)
            self._has_failed = False

    async def sync(self) -> None:
        """Have what has been flushed on disk. Raises OSError when the disk fails."""
        if self._fd is None or self._is_synced:
            return
        # A descriptor of its own: the segment may be finished meanwhile.
        fd = os.dup(self._fd)
        self._is_synced = True
        try:
            await asyncio.to_thread(os.fdatasync, fd)
        finally:
            os.close(fd)

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
        self._is_synced = False

    def _shed(self) -> None:
        excess = len(self._pending) - _MAX_PENDING
        if excess > 0:
            del self._pending[:excess]
            self.shed += excess

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
