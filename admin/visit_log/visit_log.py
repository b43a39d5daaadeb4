"""The files of the visit log: `visits/2026-11.db` has what was taken in in November 2026 (UTC).

A visit is in the month in which it arrived, so that the last file alone is written to, and a month that
is over never changes again. The id of a visit grows as visits arrive: it has the month in its upper bits.
"""

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from admin.clock import to_ms
from admin.sqlite_file import Row, SqliteFile, Value
from admin.visit_log.taking_in import Batch, MonthWriter, Place

logger = logging.getLogger(__name__)

_ID_BITS = 36
_READERS = 3
# To open a file takes longer than most questions.
_MONTHS_KEPT_OPEN = 13
# A visit has begun when it arrives, but a clock may have been set back meanwhile.
_SLACK = timedelta(days=1)
_NAME = re.compile(r"(\d{4})-(0[1-9]|1[0-2])\.db", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, at: datetime) -> "Month":
        """Return the month of an instant (aware)."""
        utc = at.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def of_visit(cls, id_: int) -> "Month":
        """Return the month that a visit's id names. Raises LookupError when there is none."""
        year, month = divmod(id_ >> _ID_BITS, 12)
        if not 0 < year < 10_000:
            raise LookupError(f"there is no visit {id_} in the log")
        return cls(year, month + 1)

    @property
    def before(self) -> "Month":
        """The month before."""
        return Month(self.year - 1, 12) if self.month == 1 else Month(self.year, self.month - 1)

    @property
    def behind(self) -> datetime:
        """An instant (aware UTC) before which all visits of its file, and of those before, began."""
        months = self.year * 12 + self.month
        return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC) + _SLACK

    @property
    def begins_at(self) -> int:
        """When it begins, in ms."""
        return to_ms(datetime(self.year, self.month, 1, tzinfo=UTC))

    @property
    def first_id(self) -> int:
        """What is added to a row's number in this month's file to be the visit's id."""
        return (self.year * 12 + self.month - 1) << _ID_BITS

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.year:04}-{self.month:02}.db"


@dataclass(frozen=True, slots=True)
class MonthFile:
    """One month's file, open."""

    month: Month
    file: SqliteFile

    async def fetch_all(self, sql: str, *params: Value) -> list[Row]:
        """Return every row of a query, as of the last commit."""
        return await self.file.fetch_all(sql, *params)

    async def fetch_one(self, sql: str, *params: Value) -> Row | None:
        """Return the first row of a query, None when there is none."""
        return await self.file.fetch_one(sql, *params)


class VisitLog:
    """The visit log, open. One process alone takes visits in; any may read. Made by `VisitLog.open`."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._kept: dict[Month, MonthFile] = {}
        self._opening = asyncio.Lock()
        self._writer: tuple[Month, MonthWriter] | None = None
        self._places: dict[str, Place] | None = None
        self._read_in: defaultdict[str, set[Month]] = defaultdict(set)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["VisitLog"]:
        """Open the log in a folder, made when the first visit comes."""
        async with AsyncExitStack() as stack:
            yield cls(folder, stack)

    # --- reading ---

    async def months(self) -> list[Month]:
        """Return the months that have a file, the newest first."""
        return await asyncio.to_thread(_months_in, self.folder)

    @asynccontextmanager
    async def reading(self, month: Month) -> AsyncIterator[MonthFile]:
        """Open a month to read; those of a year stay open. Raises DatabaseError, LookupError without one."""
        months = await self.months()
        if month not in months:
            raise LookupError(f"there are no visits of {month.file_name.removesuffix('.db')}")
        if month in months[:_MONTHS_KEPT_OPEN] or month in self._kept:
            yield await self._keep(month)
            return
        async with SqliteFile.open(self.folder / month.file_name, __package__, readers=1) as file:
            yield MonthFile(month, file)

    @asynccontextmanager
    async def reading_visit(self, id_: int) -> AsyncIterator[MonthFile]:
        """Open the month of a visit. Raises LookupError when there is none."""
        month = Month.of_visit(id_)
        try:
            async with self.reading(month) as file:
                yield file
        except LookupError as error:
            raise LookupError(f"there is no visit {id_} in the log") from error

    async def since(self, at: datetime | None, until: datetime | None = None) -> AsyncIterator[MonthFile]:
        """Yield the months with visits that started since an instant and before another, newest first."""
        for month in await self.months():
            if at is not None and month.behind <= at:
                return
            async with self.reading(month) as file:
                row = await file.fetch_one("SELECT min(started_at) AS oldest FROM visit_row")
                oldest = row["oldest"] if row is not None else None
                if oldest is not None and (until is None or oldest < to_ms(until)):
                    yield file

    # --- taking in ---

    async def places(self) -> Mapping[str, Place]:
        """Return how far each spool file has been read."""
        if self._places is None:
            found: dict[str, Place] = {}
            for month in await self.months():
                async with self.reading(month) as file:
                    rows = await file.fetch_all("SELECT name, position, skips_line FROM segment")
                for row in rows:
                    name, place = row["name"], Place(row["position"], bool(row["skips_line"]))
                    found[name] = max(place, found.get(name, place))
                    self._read_in[name].add(month)
            self._places = found
        return self._places

    async def take_in(self, segment: str, before: Place, batch: Batch, at: datetime) -> None:
        """Write what was read from a spool file, and how far that was, at once.

        Raises sqlite3.Error when nothing was written: another process takes in the same spool, or the
        disk took no more.
        """
        month = Month.of(at)
        writer = await self.writer(month)
        try:
            await writer.take_in(segment, before, batch, at)
        except BaseException:
            self._places = None
            raise
        self._read_in[segment].add(month)
        if self._places is not None:
            self._places[segment] = batch.place

    async def settle(self, quiet_since: datetime) -> int:
        """Write visits that went on, and of which nothing was heard since an instant; return how many.

        Their worker was killed. Those of which the other of the last two months knows more are forgotten.
        """
        settled = 0
        months = [await self._keep(month) for month in (await self.months())[:2]]
        for month in months:
            others = [other.file for other in months if other is not month]
            settled += await MonthWriter(month.file, month.month.begins_at).settle(quiet_since, others)
        return settled

    async def forget(self, segments: Sequence[str]) -> None:
        """Forget places in spool files that are gone, except where bad lines were counted."""
        for month in set[Month]().union(*(self._read_in[name] for name in segments)):
            writer = MonthWriter((await self._keep(month)).file, month.begins_at)
            await writer.forget([name for name in segments if month in self._read_in[name]])
        for name in segments:
            del self._read_in[name]
            if self._places is not None:
                del self._places[name]

    async def writer(self, month: Month) -> MonthWriter:
        """Return what writes to a month's file, made when missing."""
        if self._writer is None or self._writer[0] != month:
            await asyncio.to_thread(_make_folder, self.folder)
            self._writer = month, MonthWriter((await self._keep(month)).file, month.begins_at)
            logger.info("visits go to a file: file=%s", self.folder / month.file_name)
        return self._writer[1]

    async def _keep(self, month: Month) -> MonthFile:
        async with self._opening:
            if month not in self._kept:
                opening = SqliteFile.open(
                    self.folder / month.file_name, __package__, readers=_READERS, is_bulk=True
                )
                self._kept[month] = MonthFile(month, await self._stack.enter_async_context(opening))
        return self._kept[month]


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _months_in(folder: Path) -> list[Month]:
    try:
        names = [_NAME.fullmatch(path.name) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted((Month(int(name[1]), int(name[2])) for name in names if name), reverse=True)
