"""Visits one by one: newest first, or in the order in which they arrived."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from admin.clock import from_ms, to_ms
from admin.sqlite_file import Row, Value
from admin.visit_log.taking_in import site_range
from admin.visit_log.visit_log import Month, MonthFile, VisitLog
from admin.visit_log.windows import LONGEST_MS
from policy.decision import Lane, Verdict

MOST_LEFT_OUT = 50

_MOST_AT_ONCE = 1000
# No visit is of later (spool_reader), and a millisecond behind it is still a time.
_LATEST_MS = to_ms(datetime(2100, 1, 1, tzinfo=UTC))
# Of so many hosts or devices each is looked at by itself, newest first; of more, all visits are sorted.
_MOST_APART = 100
# By their numbers: an index of times would lead through all visits of the filter's time.
_COUNT_ARRIVED = (
    "SELECT count(*) AS visits, (SELECT max(id) FROM visit_row) AS last FROM visit_row NOT INDEXED"
)
_NEWEST_FIRST = "ORDER BY started_at DESC, id DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What visits are left out of: hosts with their subdomains, and others, MOST_LEFT_OUT of a kind at most.

    What was of no category, or decided by no rule, is of none of them.
    """

    hosts: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VisitFilter:
    """Every given condition holds. `host` covers its subdomains; since <= started_at < until."""

    person: str | None = None
    department: str | None = None
    host: str | None = None
    category: str | None = None
    verdict: Verdict | None = None
    lane: Lane | None = None
    rule: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    left_out: LeftOut = LeftOut()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a row in the log, newest first."""

    started_at: datetime
    id: int

    def __str__(self) -> str:
        """Return the cursor as text for an address."""
        return f"{to_ms(self.started_at)}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read it back. Raises ValueError."""
        found = re.fullmatch(r"(\d{1,15})\.(\d{1,18})", text, re.ASCII)
        if found is None:
            raise ValueError("not a place in the visit log")
        if int(found[1]) > _LATEST_MS:
            raise ValueError("not a place in the visit log")
        return cls(from_ms(int(found[1])), int(found[2]))


@dataclass(frozen=True, slots=True)
class Found:
    """A visit as it is kept; `row` has the columns of the view `visit`."""

    id: int
    row: Mapping[str, Any]

    @property
    def cursor(self) -> Cursor:
        """Its place in the log."""
        return Cursor(from_ms(self.row["started_at"]), self.id)


async def newest_first(
    log: VisitLog, where: VisitFilter, before: Cursor | None = None, limit: int = _MOST_AT_ONCE
) -> list[Found]:
    """Return visits, newest first, those before the cursor's row."""
    until = where.until
    if before is not None:
        behind = before.started_at + timedelta(milliseconds=1)
        until = behind if until is None else min(until, behind)
    found: list[Found] = []
    async for file in log.since(where.since, until):
        found += await _newest_of(file, replace(where, until=until), before, limit)
        found = sorted(found, key=lambda one: (one.row["started_at"], one.id), reverse=True)[:limit]
        if len(found) == limit and found[-1].row["started_at"] >= to_ms(file.month.before.behind):
            break
    return found


async def arrived_after(
    log: VisitLog, id_: int, where: VisitFilter, most: int = _MOST_AT_ONCE
) -> tuple[list[Found], int]:
    """Return visits that came into the log after `id_`, as they came; and the id to go on from."""
    found: list[Found] = []
    newest = id_
    async for file in _from_visit_on(log, id_, where.since):
        last = await file.fetch_one("SELECT max(id) AS id FROM visit_row")
        if last is None or last["id"] is None:
            continue
        condition, params = _arrived_after(file, id_, where)
        rows = await file.fetch_all(
            f"SELECT id FROM visit_row WHERE {condition} AND id <= ? ORDER BY id LIMIT ?",
            *params,
            last["id"],
            most - len(found),
        )
        found += sorted(await _whole(file, [row["id"] for row in rows]), key=lambda one: one.id)
        if len(found) == most:
            return found, found[-1].id
        newest = max(newest, file.month.first_id + last["id"])
    return found, newest


async def count_arrived_after(log: VisitLog, id_: int, where: VisitFilter) -> tuple[int, int]:
    """Return how many visits came into the log after `id_`; and the id to go on from.

    Raises LookupError for what is the id of no visit.
    """
    count, newest = 0, id_
    async for file in _from_visit_on(log, id_, where.since):
        condition, params = _arrived_after(file, id_, where)
        row = await file.fetch_one(f"{_COUNT_ARRIVED} WHERE {condition}", *params)
        if row is not None and row["last"] is not None:
            count += row["visits"]
            newest = max(newest, file.month.first_id + row["last"])
    return count, newest


async def last_id(log: VisitLog) -> int:
    """Return the id of the visit that came into the log last; 0 when there is none."""
    for month in await log.months():
        async with log.reading(month) as file:
            row = await file.fetch_one("SELECT max(id) AS id FROM visit_row")
        if row is not None and row["id"] is not None:
            return month.first_id + int(row["id"])
    return 0


async def get(log: VisitLog, id_: int) -> Found:
    """Return one visit. Raises LookupError."""
    async with log.reading_visit(id_) as file:
        found = await _whole(file, [id_ - file.month.first_id])
    if not found:
        raise LookupError(f"there is no visit {id_} in the log")
    return found[0]


async def addresses_of(log: VisitLog, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the addresses that are kept of visits, in the order in which they came; of the others none."""
    by_month: dict[Month, list[int]] = {}
    for id_ in ids:
        by_month.setdefault(Month.of_visit(id_), []).append(id_)
    found: dict[int, tuple[str, ...]] = {}
    for month, of_month in by_month.items():
        async with log.reading(month) as file:
            rows = await file.fetch_all(
                "SELECT visit, address FROM visit_address WHERE visit IN (SELECT value FROM json_each(?))"
                " ORDER BY visit, place",
                json.dumps([id_ - month.first_id for id_ in of_month]),
            )
        for row in rows:
            id_ = month.first_id + row["visit"]
            found[id_] = (*found.get(id_, ()), row["address"])
    return found


async def blocked_for(
    log: VisitLog,
    person: str | None,
    device: str | None,
    since: datetime,
    most: int,
    *,
    address: str | None = None,
) -> list[Found]:
    """Return what was blocked for a person, or at a device, since an instant; newest first.

    Where an address is given, only what was blocked there. Also what began before, and was blocked again
    since.
    """
    found: list[Found] = []
    began_since = to_ms(since) - LONGEST_MS
    async for file in log.since(from_ms(began_since)):
        rows = await file.fetch_all(
            "SELECT id FROM visit_row WHERE is_blocked = 1 AND started_at >= ? AND started_at + lasted >= ?"
            " AND +client IN (SELECT id FROM client WHERE (person = ? OR device = ?)"
            f" AND address = coalesce(?, address)) {_NEWEST_FIRST}",
            began_since,
            to_ms(since),
            person,
            device,
            address,
            most,
        )
        found += await _whole(file, [row["id"] for row in rows])
    return sorted(found, key=lambda one: (one.row["started_at"], one.id), reverse=True)[:most]


async def _from_visit_on(log: VisitLog, id_: int, since: datetime | None) -> AsyncIterator[MonthFile]:
    """Yield the months with visits that came after `id_` and began since an instant, the oldest first."""
    first = Month.of_visit(id_) if id_ else None
    for month in sorted(await log.months()):
        if (first is None or month >= first) and (since is None or since < month.behind):
            async with log.reading(month) as file:
                yield file


async def _newest_of(file: MonthFile, where: VisitFilter, before: Cursor | None, limit: int) -> list[Found]:
    """Return a month's visits, newest first.

    1. where few devices or hosts are asked for, the newest of each by its own index, then of all
    2. where many are, as `_newest_among`
    3. of a code, which one visit has, all rows in the order in which they are kept: in the order of time,
       each is looked up in another place
    4. else by the index of times, or of times of what was blocked
    """
    parts, params = _conditions(where)
    if before is not None:
        parts.append("(started_at, id) < (?, ?)")
        params += [to_ms(before.started_at), before.id - file.month.first_id]
    asked = await _asked_for(file, where)
    if asked is None:
        rows = await file.fetch_all(f"{_rows_of(where, parts)} {_NEWEST_FIRST}", *params, limit)
    else:
        column, numbers = asked
        if where.person is not None and where.host is not None:
            parts.append(_sites(where))
            params += _site_params(where)
        condition = " AND ".join(parts)
        if len(numbers) <= _MOST_APART:
            newest = (
                f"SELECT id, started_at FROM visit_row WHERE {column} = ? AND {condition} {_NEWEST_FIRST}"
            )
            one = f"SELECT * FROM ({newest})"
            values = [value for number in numbers for value in (number, *params, limit)]
            sql = f"{' UNION ALL '.join([one] * len(numbers))} {_NEWEST_FIRST}"
            rows = await file.fetch_all(sql, *values, limit) if numbers else []
        else:
            among = f"{column} IN (SELECT value FROM json_each(?)) AND {condition}"
            rows = await _newest_among(file, among, [json.dumps(numbers), *params], limit)
    return await _whole(file, [row["id"] for row in rows])


def _rows_of(where: VisitFilter, parts: Sequence[str]) -> str:
    """Return what selects the rows of conditions by no device or host."""
    is_one_of_all = where.code is not None and where.since is None and where.verdict is not Verdict.BLOCK
    rows = "visit_row NOT INDEXED" if is_one_of_all else "visit_row"
    return f"SELECT id FROM {rows} WHERE {' AND '.join(parts)}"


async def _newest_among(file: MonthFile, condition: str, params: Sequence[Value], limit: int) -> list[Row]:
    """Return the newest visits of many hosts or devices.

    1. by time alone, as the index of each has them: SQLite leaves each at the first that is too old
    2. of those that began together with the last of them, the ones that came last
    """
    select = f"SELECT id, started_at FROM visit_row WHERE {condition}"
    rows = await file.fetch_all(f"{select} ORDER BY started_at DESC LIMIT ?", *params, limit)
    if len(rows) == limit:
        last = rows[-1]["started_at"]
        together = f"{select} AND started_at = ? ORDER BY id DESC LIMIT ?"
        rows = [row for row in rows if row["started_at"] > last]
        rows += await file.fetch_all(together, *params, last, limit)
    return sorted(rows, key=lambda row: (row["started_at"], row["id"]), reverse=True)[:limit]


async def _asked_for(file: MonthFile, where: VisitFilter) -> tuple[str, list[int]] | None:
    """Return what is few among all visits, by its column and numbers; None when nothing is."""
    if where.person is not None:
        rows = await file.fetch_all("SELECT id FROM client WHERE person = ?", where.person)
        return "client", [row["id"] for row in rows]
    if where.host is not None:
        rows = await file.fetch_all("SELECT id FROM site WHERE key >= ? AND key < ?", *site_range(where.host))
        return "site", [row["id"] for row in rows]
    return None


async def _whole(file: MonthFile, ids: Sequence[int]) -> list[Found]:
    """Return visits with all that is known of them, in the order of `ids`."""
    rows = await file.fetch_all(
        "SELECT * FROM visit WHERE id IN (SELECT value FROM json_each(?))", json.dumps([*ids])
    )
    # A row of SQLite's looks for each name among all of them; all are asked for.
    columns = rows[0].keys() if rows else []
    by_id = {row["id"]: dict(zip(columns, row, strict=True)) for row in rows}
    return [Found(file.month.first_id + id_, by_id[id_]) for id_ in ids if id_ in by_id]


def _conditions(where: VisitFilter) -> tuple[list[str], list[Value]]:
    """Return what must hold of a row, but for its person and host."""
    parts, params = ["1"], list[Value]()
    decided = {
        "category": where.category,
        "verdict": where.verdict.value if where.verdict else None,
        "lane": where.lane.value if where.lane else None,
        "rule": where.rule,
    }
    given = {column: value for column, value in decided.items() if value is not None}
    if where.verdict is Verdict.BLOCK:
        parts.append("is_blocked = 1")
    if given:
        equal = " AND ".join(f"{column} = ?" for column in given)
        parts.append(f"decision IN (SELECT id FROM decision WHERE {equal})")
        params += given.values()
    if where.department is not None:
        # Its devices make a large part of all visits: they are passed over on the way back in time.
        parts.append("+client IN (SELECT id FROM client WHERE department = ?)")
        params.append(where.department)
    if where.code is not None:
        parts.append("code = ?")
        params.append(where.code)
    if where.since is not None:
        parts.append("started_at >= ?")
        params.append(to_ms(where.since))
    if where.until is not None:
        parts.append("started_at < ?")
        params.append(to_ms(where.until))
    _leave_out(where.left_out, parts, params)
    return parts, params


def _arrived_after(file: MonthFile, id_: int, where: VisitFilter) -> tuple[str, list[Value]]:
    """Return what must hold of a row that came after a visit, and its parameters."""
    parts, params = _conditions(where)
    condition = " AND ".join(["id > ?", *parts, _sites(where), _people(where)])
    first = max(0, id_ - file.month.first_id)
    return condition, [first, *params, *_site_params(where), *_people_params(where)]


def _leave_out(left_out: LeftOut, parts: list[str], params: list[Value]) -> None:
    columns = (
        ("+client", "client", "department", left_out.departments),
        ("decision", "decision", "category", left_out.categories),
        ("decision", "decision", "rule", left_out.rules),
    )
    for number, table, column, values in columns:
        if values:
            among = f"{column} IN (SELECT value FROM json_each(?))"
            parts.append(f"{number} NOT IN (SELECT id FROM {table} WHERE {among})")
            params.append(json.dumps(values))
    if left_out.hosts:
        ranges = " OR ".join(["(key >= ? AND key < ?)"] * len(left_out.hosts))
        parts.append(f"+site NOT IN (SELECT id FROM site WHERE {ranges})")
        params += [key for host in left_out.hosts for key in site_range(host)]


def condition_of(where: VisitFilter) -> tuple[str, list[Value]]:
    """Return what must hold of a row of `visit_row`, in SQL that may use any index, and its parameters."""
    parts, params = _conditions(where)
    sites, people = _sites(where).removeprefix("+"), _people(where).removeprefix("+")
    return " AND ".join([*parts, sites, people]), [*params, *_site_params(where), *_people_params(where)]


def _sites(where: VisitFilter) -> str:
    return "1" if where.host is None else "+site IN (SELECT id FROM site WHERE key >= ? AND key < ?)"


def _site_params(where: VisitFilter) -> tuple[str, ...]:
    return () if where.host is None else site_range(where.host)


def _people(where: VisitFilter) -> str:
    return "1" if where.person is None else "+client IN (SELECT id FROM client WHERE person = ?)"


def _people_params(where: VisitFilter) -> tuple[str, ...]:
    return () if where.person is None else (where.person,)
