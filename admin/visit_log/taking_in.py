"""Writes visits into one month's file: each once, what repeats kept once, and counted as they arrive."""

import functools
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from admin.clock import to_ms
from admin.sqlite_file import SqliteFile, Transaction, Value
from admin.visit_log.arrived import Arrived
from admin.visit_log.windows import KeptVisit, Windows
from categories.first_visits import site_of
from policy.decision import Verdict
from policy.visit_record import MOST_ADDRESSES

_QUARTER_MS = 900_000
_DAY_MS = 86_400_000
_BAD_LINES_KEPT_OF_A_SEGMENT = 100
_BAD_LINES_KEPT = 10_000
_LOST = "its worker ended before it did; this is what was known last"
# A town's clients, sites and decisions are fewer; what a hostile spool names is forgotten again.
_MOST_KNOWN = 200_000


class Place(NamedTuple):
    """How far a segment has been read. `is_in_long_line`: inside a line that was given up."""

    position: int = 0
    is_in_long_line: bool = False


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no visit record. `begins` are its first bytes."""

    position: int
    reason: str
    begins: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read from a segment. `is_last`: it is finished and nothing is left in it."""

    rows: list[Arrived]
    bad_lines: list[BadLine]
    place: Place
    is_last: bool


def site_key(host: str) -> str:
    """Return a host as the log keeps it: "www.cardroom.example" is "example.cardroom.www."."""
    return ".".join(reversed(host.split("."))) + "."


@functools.lru_cache(10_000)
def host_of(site: str) -> str:
    """Return the host that the log keeps as `site`."""
    return site_key(site[:-1])[:-1]


def site_range(host: str) -> tuple[str, str]:
    """Return the keys from a host to behind its last subdomain: first <= key < last."""
    key = site_key(host)
    return key, key[:-1] + chr(ord(".") + 1)


class MonthWriter:
    """Writes to one file, of which it is the only writer. `begins_at` (ms) is when its month begins."""

    def __init__(self, file: SqliteFile, begins_at: int) -> None:
        self._file = file
        self._clients = _Known("client", ("address", "person", "device", "department"), tuple)
        self._decisions = _Known("decision", _OF_A_DECISION, tuple)
        self._versions = _Known("versions", _OF_VERSIONS, tuple)
        self._refusals = _Known[str]("refusal", (), lambda _: ())
        self._sites = _KnownSites()
        self._running: set[tuple[int, str]] | None = None
        self._windows = Windows(begins_at)
        self._known = (
            *(self._clients, self._decisions, self._versions, self._refusals, self._sites),
            self._windows,
        )

    async def take_in(self, segment: str, before: Place, batch: Batch, at: datetime) -> None:
        """Write a batch and its place in one transaction. Raises sqlite3.Error when nothing was written."""
        async with self.changing() as t:
            await _move_place(t, segment, before, batch)
            await self.write(t, [row for row in batch.rows if not row.is_running])
            await self._note_running(t, batch.rows)
            for line in batch.bad_lines[:_BAD_LINES_KEPT_OF_A_SEGMENT]:
                await t.execute(
                    "INSERT INTO bad_line (segment, position, reason, begins, found_at)"
                    " SELECT ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM bad_line WHERE segment = ?) < ?"
                    " AND (SELECT count(*) FROM bad_line) < ?",
                    segment,
                    line.position,
                    line.reason,
                    line.begins,
                    to_ms(at),
                    segment,
                    _BAD_LINES_KEPT_OF_A_SEGMENT,
                    _BAD_LINES_KEPT,
                )

    async def write(self, t: Transaction, rows: Sequence[Arrived]) -> None:
        """Write visits, within a transaction of this file.

        1. what they name gets its number, where it has none yet
        2. the visits that begin with them, and those that go on
        3. the addresses of their pages
        4. the counts of their quarters of an hour and of their days
        """
        if not rows:
            return
        clients = await self._clients.numbers(t, {row.client for row in rows})
        decisions = await self._decisions.numbers(t, {row.decision for row in rows})
        versions = await self._versions.numbers(t, {row.versions for row in rows})
        refusals = await self._refusals.numbers(t, {row.refusal for row in rows if row.refusal is not None})
        sites = await self._sites.numbers(t, rows)
        keys = [
            (
                clients[row.client],
                sites[row.site],
                decisions[row.decision],
                versions[row.versions],
                None if row.refusal is None else refusals[row.refusal],
            )
            for row in rows
        ]
        placed = await self._windows.place(t, rows, keys)
        begun = [visit.first is row for visit, row in zip(placed, rows, strict=True)]
        await _write_gone_on(t, {visit.id: visit for visit in placed if visit.first is None})
        await _write_begun(t, [visit for visit, is_new in zip(placed, begun, strict=True) if is_new])
        await _write_addresses(t, placed, rows)
        await self._count(t, rows, sites, begun)

    async def settle(self, quiet_since: datetime, others: Sequence[SqliteFile]) -> int:
        """Write the visits that went on, and of which nothing was heard since; return how many.

        Those whose own record is there after all, or in another month's file, and those that were heard of
        there later, are only forgotten.
        """
        async with self.changing() as t:
            quiet = await t.fetch_all("SELECT * FROM running_visit WHERE heard_at < ?", to_ms(quiet_since))
            if not quiet:
                return 0
            await t.execute("DELETE FROM running_visit WHERE heard_at < ?", to_ms(quiet_since))
            # A visit of its own: by its code another month knows that it is written.
            rows = [Arrived.from_json(row["visit"])._replace(refusal=_LOST, is_shown=True) for row in quiet]
            files: tuple[SqliteFile | Transaction, ...] = (t, *others)
            lost = [row for row in rows if not any([await _knows_more(file, row) for file in files])]
            await self.write(t, lost)
        return len(lost)

    async def _note_running(self, t: Transaction, rows: Sequence[Arrived]) -> None:
        if self._running is None:
            known = await t.fetch_all("SELECT started_at, code FROM running_visit")
            self._running = {(row["started_at"], row["code"]) for row in known}
        running = {(row.started_at, row.code): row for row in rows if row.is_running}
        if not running and not self._running:
            return
        ended = {(row.started_at, row.code) for row in rows if not row.is_running}
        await t.execute_many(
            "INSERT INTO running_visit (started_at, code, heard_at, visit) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET heard_at = excluded.heard_at, visit = excluded.visit",
            [(*key, row.ended_at, json.dumps(row)) for key, row in running.items() if key not in ended],
        )
        over = ended & self._running
        await t.execute_many("DELETE FROM running_visit WHERE started_at = ? AND code = ?", [*over])
        self._running = (self._running | running.keys()) - ended

    async def forget(self, segments: Sequence[str]) -> None:
        """Forget places in spool files that are gone, except where bad lines were counted."""
        async with self._file.transaction() as t:
            await t.execute_many(
                "DELETE FROM segment WHERE name = ? AND bad_lines = 0", [(name,) for name in segments]
            )

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Transaction]:
        """Change the file, as SqliteFile.transaction does."""
        try:
            async with self._file.transaction() as t:
                yield t
        except BaseException:
            # What got its number in there has none.
            for known in self._known:
                known.forget()
            self._running = None
            raise

    async def _count(
        self, t: Transaction, rows: Sequence[Arrived], sites: Mapping[str, int], begun: Sequence[bool]
    ) -> None:
        """Count a visit when it began, and its bytes when each of its connections did."""
        quarters: dict[tuple[Value, ...], list[int]] = {}
        days: dict[tuple[Value, ...], list[int]] = {}
        for (at, _, _, client, site, decision, _, _, up, down, *_), is_new in zip(rows, begun, strict=True):
            department = client[_DEPARTMENT] or ""
            verdict = decision[_VERDICT]
            quarter = (at - at % _QUARTER_MS, department, verdict, decision[_LANE], decision[_CATEGORY] or "")
            day = (at - at % _DAY_MS, department, sites[site], verdict == Verdict.BLOCK)
            for counts, key in ((quarters, quarter), (days, day)):
                if (count := counts.get(key)) is None:
                    counts[key] = [int(is_new), up, down]
                else:
                    count[0] += is_new
                    count[1] += up
                    count[2] += down
        await t.execute_many(
            "INSERT INTO quarter_count"
            " (at, department, verdict, lane, category, visits, bytes_up, bytes_down)"
            f" VALUES (?, ?, ?, ?, ?, ?, ?, ?) {_ADDED}",
            [(*key, *count) for key, count in quarters.items()],
        )
        await t.execute_many(
            "INSERT INTO site_count (at, department, site, is_blocked, visits, bytes_up, bytes_down)"
            f" VALUES (?, ?, ?, ?, ?, ?, ?) {_ADDED}",
            [(*key, *count) for key, count in days.items()],
        )


_OF_A_DECISION = (
    *("scheme", "port", "verdict", "lane", "cause"),
    *("rule", "exemption", "category", "entry", "source"),
)
_OF_VERSIONS = ("policy_sequence", "policy_version", "category_version")
_VERDICT, _LANE, _EXEMPTION, _CATEGORY = (
    _OF_A_DECISION.index(name) for name in ("verdict", "lane", "exemption", "category")
)
_DEPARTMENT = 3
_ADDED = (
    "ON CONFLICT DO UPDATE SET visits = visits + excluded.visits,"
    " bytes_up = bytes_up + excluded.bytes_up, bytes_down = bytes_down + excluded.bytes_down"
)


class _Known[T]:
    """The numbers that things which are kept once have in a table."""

    def __init__(self, table: str, columns: Sequence[str], parts: Callable[[T], Sequence[Value]]) -> None:
        self._numbers: dict[T, int] = {}
        self._parts = parts
        places = ", ".join("?" * (1 + len(columns)))
        self._insert = f"INSERT OR IGNORE INTO {table} ({', '.join(('key', *columns))}) VALUES ({places})"
        self._select = f"SELECT id, key FROM {table} WHERE key IN (SELECT value FROM json_each(?))"

    def forget(self) -> None:
        """Ask the table again."""
        self._numbers.clear()

    async def numbers(self, t: Transaction, things: Collection[T]) -> Mapping[T, int]:
        """Return the numbers of these and of others; what has none gets one."""
        if len(self._numbers) > _MOST_KNOWN:
            self.forget()
        missing = {_key(thing): thing for thing in things if thing not in self._numbers}
        if missing:
            await t.execute_many(self._insert, [(key, *self._parts(thing)) for key, thing in missing.items()])
            for row in await t.fetch_all(self._select, json.dumps([*missing])):
                self._numbers[missing[row["key"]]] = row["id"]
        return self._numbers


class _KnownSites:
    """The numbers of sites, and when each was first visited, as the table has it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def forget(self) -> None:
        """Ask the table again."""
        self._known.clear()

    async def numbers(self, t: Transaction, rows: Sequence[Arrived]) -> Mapping[str, int]:
        """Return the numbers of the sites of these visits; what has none gets one."""
        if len(self._known) > _MOST_KNOWN:
            self.forget()
        first: dict[str, int] = {}
        for row in rows:
            first[row.site] = min(row.started_at, first.get(row.site, row.started_at))
        unsure = [site for site, at in first.items() if site not in self._known or at < self._known[site][1]]
        if unsure:
            await t.execute_many(
                "INSERT INTO site (key, domain, first_at) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET first_at = min(first_at, excluded.first_at)",
                [(site, site_of(host_of(site)), first[site]) for site in unsure],
            )
            for known in await t.fetch_all(
                "SELECT id, key, first_at FROM site WHERE key IN (SELECT value FROM json_each(?))",
                json.dumps(unsure),
            ):
                self._known[known["key"]] = known["id"], known["first_at"]
        return {site: self._known[site][0] for site in first}


async def _write_begun(t: Transaction, visits: Sequence[KeptVisit]) -> None:
    rows = []
    for visit in visits:
        first, visit.first = visit.first, None
        if first is not None:
            is_blocked = first.decision[_VERDICT] == Verdict.BLOCK
            is_exempted = first.decision[_EXEMPTION] is not None
            fixed = visit.id, first.code, visit.started_at, *visit.key, is_blocked, is_exempted
            rows.append((*fixed, *_so_far(visit)))
    await t.execute_many(
        "INSERT INTO visit_row (id, code, started_at, client, site, decision, versions, refusal, is_blocked,"
        " is_exempted, lasted, connections, requests, pages, bytes_up, bytes_down)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


async def _write_gone_on(t: Transaction, visits: Mapping[int, KeptVisit]) -> None:
    await t.execute_many(
        "UPDATE visit_row SET lasted = ?, connections = ?, requests = ?, pages = ?, bytes_up = ?,"
        " bytes_down = ? WHERE id = ?",
        [(*_so_far(visit), id_) for id_, visit in visits.items()],
    )


async def _write_addresses(t: Transaction, placed: Sequence[KeptVisit], rows: Sequence[Arrived]) -> None:
    """Write the addresses that visits have not yet, as many as are kept of each."""
    found = [
        (visit.id, address, MOST_ADDRESSES)
        for visit, row in zip(placed, rows, strict=True)
        for address in row.addresses
    ]
    if not found:
        return
    await t.execute_many(
        "INSERT INTO visit_address (visit, place, address)"
        " SELECT ?1, count(*), ?2 FROM visit_address WHERE visit = ?1"
        " HAVING count(*) < ?3 AND total(address = ?2) = 0",
        found,
    )


def _so_far(visit: KeptVisit) -> tuple[int, ...]:
    """Return what grows while a visit goes on: lasted, connections, requests, pages, bytes up and down."""
    return (
        *(visit.ended_at - visit.started_at, visit.connections, visit.requests, visit.pages),
        *(visit.bytes_up, visit.bytes_down),
    )


def _key(thing: object) -> str:
    return thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False)


async def _knows_more(file: SqliteFile | Transaction, visit: Arrived) -> bool:
    """Whether a visit that goes on is written in a file, or was heard of later there."""
    row = await file.fetch_one(
        "SELECT 1 FROM visit_row WHERE started_at = ?1 AND code = ?2"
        " UNION ALL SELECT 1 FROM running_visit WHERE started_at = ?1 AND code = ?2 AND heard_at > ?3",
        *(visit.started_at, visit.code, visit.ended_at),
    )
    return row is not None


async def _move_place(t: Transaction, segment: str, before: Place, batch: Batch) -> None:
    after = batch.place
    # Another month's file may have what came before, also a later month's, when a clock was set back.
    await t.execute("INSERT OR IGNORE INTO segment (name, position) VALUES (?, ?)", segment, before.position)
    moved = await t.execute(
        "UPDATE segment SET position = ?, skips_line = ?, bad_lines = bad_lines + ?"
        " WHERE name = ? AND position <= ?",
        after.position,
        after.is_in_long_line,
        len(batch.bad_lines),
        segment,
        before.position,
    )
    if not moved:
        raise sqlite3.IntegrityError("another process takes in the same spool; only one may")
