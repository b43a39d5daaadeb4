"""How much room the visit log takes, and how much more a day: nothing of it is deleted."""

import asyncio
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from admin.clock import from_ms
from admin.visit_log.visit_log import Month, VisitLog

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LogSize:
    """What the files take, the months they are of, and what is free on their disk.

    `bytes_a_day` is of this month and the one before; None before there are visits of a day.
    """

    size_bytes: int
    months: int
    bytes_a_day: int | None
    free_bytes: int


async def size_of(log: VisitLog, now: datetime) -> LogSize:
    """Measure them. Raises OSError, or DatabaseError and sqlite3.Error where one cannot be read."""
    months = await log.months()
    sizes = {month: await asyncio.to_thread(_bytes_of, log.folder / month.file_name) for month in months}
    # The folder is made with the first month.
    folder = log.folder if months else log.folder.parent
    free_bytes = (await asyncio.to_thread(shutil.disk_usage, folder)).free
    present = Month.of(now)
    lately = [month for month in months if month in (present, present.before)]
    since = await _first_visit(log, lately[-1]) if lately else None
    grown = None
    if since is not None and now - since >= _DAY:
        grown = round(sum(sizes[month] for month in lately) / ((now - since) / _DAY))
    return LogSize(sum(sizes.values()), len(months), grown, free_bytes)


async def _first_visit(log: VisitLog, month: Month) -> datetime | None:
    """Return when the first visit of a month's file began, or the month if that was before it."""
    async with log.reading(month) as file:
        row = await file.fetch_one("SELECT min(started_at) AS at FROM visit_row")
    if row is None or row["at"] is None:
        return None
    return max(from_ms(row["at"]), datetime(month.year, month.month, 1, tzinfo=UTC))


def _bytes_of(path: Path) -> int:
    """Return what a file takes, with what SQLite has beside it while it is open."""
    found = 0
    for one in (path, path.with_name(f"{path.name}-wal")):
        try:
            found += one.stat().st_size
        except FileNotFoundError:
            continue
    return found
