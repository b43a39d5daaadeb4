"""Moves visits of before there were files of months out of the database, once, when it is opened.

Cut short at any moment it goes on where it was: each month's file knows the last visit that it has got.
"""

import logging

from admin.clock import from_ms
from admin.sqlite_file import Row, SqliteFile, Transaction
from admin.visit_log.arrived import Arrived
from admin.visit_log.visit_log import Month, VisitLog

logger = logging.getLogger(__name__)

_AT_ONCE = 5000
# Where only lines that were no visits had come.
_EARLIEST = Month(2020, 1)


async def move_in(database: SqliteFile, log: VisitLog) -> None:
    """Move what there is, and drop its tables. Others that open the database wait meanwhile.

    Raises sqlite3.Error when the disk takes no more, or another process moves for too long.
    """
    if not await _is_there(database):
        return
    async with database.transaction() as t:
        if not await _is_there(t):
            return
        await _move_segments(t, log)
        moved = 0
        last = 0
        while rows := await t.fetch_all(
            "SELECT * FROM visit_before WHERE id > ? ORDER BY id LIMIT ?", last, _AT_ONCE
        ):
            await _move(log, rows)
            last, moved = rows[-1]["id"], moved + len(rows)
        for table in ("visit_before", "bad_line_before", "segment_before"):
            await t.execute(f"DROP TABLE {table}")
    if moved:
        logger.info("visits moved to files of their months: visits=%d folder=%s", moved, log.folder)


async def _is_there(database: SqliteFile | Transaction) -> bool:
    row = await database.fetch_one("SELECT 1 FROM sqlite_master WHERE name = 'segment_before'")
    return row is not None


async def _move(log: VisitLog, rows: list[Row]) -> None:
    by_month: dict[Month, list[Row]] = {}
    for row in rows:
        by_month.setdefault(Month.of(from_ms(row["ended_at"])), []).append(row)
    for month, of_month in by_month.items():
        writer = await log.writer(month)
        async with writer.changing() as t:
            has = await t.fetch_one("SELECT last_visit FROM moved_in")
            last = has["last_visit"] if has is not None else 0
            await writer.write(t, [_arrived(row) for row in of_month if row["id"] > last])
            await t.execute("UPDATE moved_in SET last_visit = max(last_visit, ?)", of_month[-1]["id"])


async def _move_segments(t: Transaction, log: VisitLog) -> None:
    segments = await t.fetch_all("SELECT name, position, skips_line, bad_lines FROM segment_before")
    bad_lines = await t.fetch_all("SELECT segment, position, reason, begins, found_at FROM bad_line_before")
    if not segments and not bad_lines:
        return
    newest = await t.fetch_one("SELECT max(ended_at) AS at FROM visit_before")
    month = Month.of(from_ms(newest["at"])) if newest is not None and newest["at"] else _EARLIEST
    async with (await log.writer(month)).changing() as into:
        await into.execute_many(
            "INSERT OR IGNORE INTO segment (name, position, skips_line, bad_lines) VALUES (?, ?, ?, ?)",
            [tuple(row) for row in segments],
        )
        await into.execute_many(
            "INSERT OR IGNORE INTO bad_line (segment, position, reason, begins, found_at)"
            " VALUES (?, ?, ?, ?, ?)",
            [tuple(row) for row in bad_lines],
        )


def _arrived(row: Row) -> Arrived:
    return Arrived(
        row["started_at"],
        row["ended_at"],
        row["code"],
        (row["address"], row["person"], row["device"], row["department"]),
        row["site"],
        (
            *(row["scheme"], row["port"], row["verdict"], row["lane"], row["cause"]),
            *(row["rule"], row["exemption"], row["category"], row["entry"], row["source"]),
        ),
        (row["policy_sequence"], row["policy_version"], row["category_version"]),
        row["refusal"],
        row["bytes_up"],
        row["bytes_down"],
        # Each was a visit of its own, and stays one.
        is_shown=True,
    )
