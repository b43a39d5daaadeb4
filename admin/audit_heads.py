"""The audit log's heads, kept where the database's owner need not have a hand: a file, and syslog.

A head says how many events there were, and the newest one's id and digest. Whoever computes the chain
anew, or cuts off its tail, cannot make it fit the heads that were kept elsewhere before. What happened
since the newest head can be cut off unseen: that is at most the time between two looks (`every`).

A head is one line, in the file and within a syslog message alike, so that `read_heads` reads both:

    audit-head at=2026-03-02T15:00:00.000Z events=18204 last=18204 digest=6f0c...
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from admin import audit, syslog
from admin.audit import Head
from admin.audit_settings import AuditSettings
from admin.clock import Clock
from admin.database import Database

logger = logging.getLogger(__name__)

_KIND = "audit-head"
_HEAD = re.compile(
    rb"audit-head at=(\d{4}-[0-9T:.\-]{6,24}Z) events=(\d{1,15}) last=(\d{1,15}) digest=([0-9a-f]{64})\b"
)
# Only its owner writes it; who else reads it is for its folder to say.
_MODE = 0o644
_LOOKED_BACK_BYTES = 4096


class HeadsError(Exception):
    """A file of heads cannot be read, or has none; nothing was compared with it."""


def as_line(head: Head) -> str:
    """Return a head as it is kept, without a line end."""
    at = head.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{_KIND} at={at} events={head.events} last={head.last_id} digest={head.digest.hex()}"


def read_heads(path: Path) -> list[Head]:
    """Return the heads in a file of them, or of syslog, where other lines are passed over.

    Raises HeadsError when it cannot be read or has none.
    """
    try:
        with path.open("rb") as file:
            found = _found_in(file)
    except OSError as error:
        raise HeadsError(
            f"{path}: {error.strerror}; name the file that the heads were exported to"
        ) from error
    if not found:
        raise HeadsError(f"{path}: has no head of the audit log; was nothing exported to it yet?")
    return found


def _found_in(lines: Iterable[bytes]) -> list[Head]:
    heads = []
    for line in lines:
        found = _HEAD.search(line)
        if found:
            at, events, last_id, digest = (part.decode() for part in found.groups())
            heads.append(Head(int(events), int(last_id), bytes.fromhex(digest), datetime.fromisoformat(at)))
    return heads


class AuditHeads:
    """Exports the chain's head whenever there are new events, and at the start.

    `troubles` says what could not be exported, and that the log no longer holds what was exported before:
    somebody changed it. That stays said until admin starts again.
    """

    def __init__(
        self, db: Database, settings: Callable[[], AuditSettings], default_file: Path, clock: Clock
    ) -> None:
        self._db = db
        self._settings = settings
        self._default_file = default_file
        self._clock = clock
        self._newest: Head | None = None
        self._reached: dict[str, Head] = {}
        self._failures: dict[str, str] = {}
        self._damage: str | None = None

    @property
    def file(self) -> Path:
        """The file that heads are appended to."""
        return self._settings().heads_file or self._default_file

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is not well, worst first; empty when all is."""
        failures = (f"The audit log's head was not kept: {why}" for why in self._failures.values())
        return (*([self._damage] if self._damage else ()), *failures)

    async def run(self) -> None:
        """Export, as often as the settings say, for ever."""
        while True:
            await self.export()
            await asyncio.sleep(self._settings().every.total_seconds())

    async def export(self) -> None:
        """Keep the present head everywhere it is not kept yet; what fails is tried again next time."""
        head = await audit.head(self._db, self._clock())
        await self._compare_with_before()
        if head is None:
            return
        settings, file = self._settings(), self.file
        places: dict[str, Callable[[Head], None]] = {str(file): lambda kept: _append(file, kept)}
        if settings.syslog is not None:
            target = settings.syslog
            places[str(target)] = lambda kept: syslog.send(
                target, syslog.message(_KIND, as_line(kept), kept.at)
            )
        for gone in self._failures.keys() - places.keys():
            del self._failures[gone]
        for place, keep in places.items():
            reached = self._reached.get(place)
            if reached is not None and reached.digest == head.digest:
                continue
            try:
                await asyncio.to_thread(keep, head)
            except OSError as error:
                self._fail(place, error.strerror or str(error))
            else:
                self._reached[place] = head
                self._failures.pop(place, None)
        self._newest = head

    async def _compare_with_before(self) -> None:
        if self._newest is None:
            self._newest = await asyncio.to_thread(_last_of, self.file)
        if (
            self._damage is None
            and self._newest is not None
            and not await audit.holds(self._db, self._newest)
        ):
            self._damage = (
                f"Record {self._newest.last_id:,}, which was there at {self._newest.at:%Y-%m-%d %H:%M} UTC,"
                " was changed or removed. Touch nothing, and have 'towngate audit verify' say more"
            )
            logger.error("audit log changed: event=%d is not as it was exported", self._newest.last_id)

    def _fail(self, place: str, why: str) -> None:
        if place not in self._failures:
            logger.error("audit head not kept: place=%s error=%s", place, why)
        self._failures[place] = f"{place}: {why}"


def _append(path: Path, head: Head) -> None:
    # To append and nothing else: its attributes (chattr +a) or its file system may allow no more.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        os.write(descriptor, f"{as_line(head)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_of(path: Path) -> Head | None:
    """Return the newest head of a file, None when there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOOKED_BACK_BYTES))
            heads = _found_in(file.read().splitlines())
    except OSError:
        return None
    return heads[-1] if heads else None
