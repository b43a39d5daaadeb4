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
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

_SEGMENT_BYTES = 4 << 20
_SEGMENT_SECONDS = 60.0
_MAX_PENDING = 10_000


@dataclass(slots=True, eq=False)
class _Segment:
    """A segment that is open here, and how much of it is written and is on disk."""

    fd: int
    size_bytes: int = 0
    synced_bytes: int = 0

    @property
    def is_synced(self) -> bool:
        return self.synced_bytes == self.size_bytes


class Spool:
    """Writes segments into one folder.

    Twice a second, `flush` hands what is pending to the kernel, which outlives the worker; `sync`
    has it on disk, which outlives a power cut.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: list[bytes] = []
        self._segment: _Segment | None = None
        self._finished: list[_Segment] = []
        """What is written no further, and not all on disk yet."""
        self._opened_at = 0.0
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
        if self._segment is not None and (
            self._segment.size_bytes >= _SEGMENT_BYTES
            or time.monotonic() - self._opened_at >= _SEGMENT_SECONDS
        ):
            self._finish()
        if not self._pending:
            return
        try:
            self._write(b"".join(self._pending))
        except OSError as error:
            self._finish()
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
        """Have what has been flushed on disk, finished segments too. Raises OSError when the disk fails.

        What the disk has failed to take is tried again the next time.
        """
        failure: OSError | None = None
        written = [*self._finished, *([self._segment] if self._segment else [])]
        waiting = [segment for segment in written if not segment.is_synced]
        # Descriptors of their own: `close` may end the others meanwhile.
        fds = [(segment, segment.size_bytes, os.dup(segment.fd)) for segment in waiting]
        try:
            for segment, size_bytes, fd in fds:
                try:
                    await asyncio.to_thread(os.fdatasync, fd)
                except OSError as error:
                    failure = error
                else:
                    segment.synced_bytes = size_bytes
        finally:
            for _, _, fd in fds:
                os.close(fd)
            self._let_go()
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Finish the segment, and have on disk what is not; waits for it."""
        self._finish()
        for segment in self._finished:
            try:
                os.fdatasync(segment.fd)
            except OSError as error:
                logger.error("spool not synced: error=%s", error)
            os.close(segment.fd)
        self._finished.clear()

    def _finish(self) -> None:
        """Write the segment no further: admin may delete it once it has been read."""
        if self._segment is not None:
            # By itself: the descriptor, and the lock with it, may have to stay until the disk has all.
            fcntl.flock(self._segment.fd, fcntl.LOCK_UN)
            self._finished.append(self._segment)
            self._segment = None
            self._let_go()

    def _let_go(self) -> None:
        """Close what is finished and on disk."""
        for segment in [finished for finished in self._finished if finished.is_synced]:
            self._finished.remove(segment)
            os.close(segment.fd)

    def _write(self, data: bytes) -> None:
        if self._segment is None:
            self._segment = self._new_segment()
        segment = self._segment
        written = os.write(segment.fd, data)
        if written < len(data):
            # Half a record must not stay in front of the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(segment.fd, segment.size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment.size_bytes += written

    def _shed(self) -> None:
        excess = len(self._pending) - _MAX_PENDING
        if excess > 0:
            del self._pending[:excess]
            self.shed += excess

    def _new_segment(self) -> _Segment:
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
        self._opened_at = time.monotonic()
        return _Segment(fd)
