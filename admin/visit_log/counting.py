"""How many visits: by hour, by category, by site, by who made them."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from admin.clock import to_ms
from admin.visit_log.searching import VisitFilter, condition_of
from admin.visit_log.taking_in import host_of, site_key, site_range
from admin.visit_log.visit_log import VisitLog
from policy.decision import Lane, Verdict

# How far back the reach of a site goes for whoever decides about it.
REACH_WITHIN = timedelta(days=30)
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


@dataclass(slots=True)
class Counts:
    """Visits, and how many of them were blocked."""

    visits: int = 0
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """How often a department went to a site. Under 3 people are shown as "under 3"."""

    tries: int
    people: int


@dataclass(slots=True)
class SiteUse:
    """Visits to a host, with the bytes that they took; `blocked` of them were blocked."""

    host: str
    visits: int = 0
    blocked: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


def is_counted(where: VisitFilter) -> bool:
    """Whether the log has counts of a filter: else each of its visits is looked at, which may take long."""
    asks_of_rows = (where.person, where.host, where.rule, where.code)
    return all(one is None for one in asks_of_rows) and not (where.left_out.hosts or where.left_out.rules)


async def hours(
    log: VisitLog, since: datetime, until: datetime | None = None, where: VisitFilter | None = None
) -> Mapping[int, Counts]:
    """Count visits by the hour, from an instant on and before another; 0 is the first.

    At both a quarter of an hour begins. `where` says which visits; its own times count for nothing.
    """
    where = replace(where or VisitFilter(), since=since, until=until)
    if not is_counted(where):
        return await _hours_of_rows(log, since, where)
    found: dict[int, Counts] = defaultdict(Counts)
    given = {
        "at >= ?": to_ms(since),
        "at < ?": to_ms(until) if until is not None else None,
        "department = ?": where.department,
        "category = ?": where.category,
        "verdict = ?": where.verdict.value if where.verdict is not None else None,
        "lane = ?": where.lane.value if where.lane is not None else None,
    }
    conditions = {condition: value for condition, value in given.items() if value is not None}
    for column, values in (
        ("department", where.left_out.departments),
        ("category", where.left_out.categories),
    ):
        conditions[f"{column} NOT IN (SELECT value FROM json_each(?))"] = json.dumps(values)
    async for file in log.since(since, until):
        for row in await file.fetch_all(
            "SELECT (at - ?) / ? AS hour, sum(visits) AS visits, sum(visits * (verdict = ?)) AS blocked"
            f" FROM quarter_count WHERE {' AND '.join(conditions)} GROUP BY hour",
            *(to_ms(since), _HOUR_MS, Verdict.BLOCK.value),
            *conditions.values(),
        ):
            found[row["hour"]].visits += row["visits"]
            found[row["hour"]].blocked += row["blocked"]
    return found


async def _hours_of_rows(log: VisitLog, since: datetime, where: VisitFilter) -> Mapping[int, Counts]:
    found: dict[int, Counts] = defaultdict(Counts)
    condition, params = condition_of(where)
    async for file in log.since(since, where.until):
        for row in await file.fetch_all(
            "SELECT (started_at - ?) / ? AS hour, count(*) AS visits, sum(is_blocked) AS blocked"
            f" FROM visit_row WHERE {condition} GROUP BY hour",
            *(to_ms(since), _HOUR_MS),
            *params,
        ):
            found[row["hour"]].visits += row["visits"]
            found[row["hour"]].blocked += row["blocked"]
    return found


async def of_lane(log: VisitLog, since: datetime, lane: Lane) -> int:
    """Count what was allowed and carried so; `since` as in `hours`."""
    count = 0
    async for file in log.since(since):
        row = await file.fetch_one(
            "SELECT sum(visits) AS visits FROM quarter_count WHERE at >= ? AND verdict = ? AND lane = ?",
            to_ms(since),
            Verdict.ALLOW.value,
            lane.value,
        )
        count += (row["visits"] or 0) if row is not None else 0
    return count


async def most_blocked(log: VisitLog, since: datetime, most: int) -> tuple[tuple[str, int], ...]:
    """Return the categories of which most was blocked, with how much; `since` as in `hours`."""
    found = Counter[str]()
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT category, sum(visits) AS visits FROM quarter_count"
            " WHERE at >= ? AND verdict = ? AND category <> '' GROUP BY category",
            to_ms(since),
            Verdict.BLOCK.value,
        ):
            found[row["category"]] += row["visits"]
    return tuple(sorted(found.items(), key=lambda counted: (-counted[1], counted[0]))[:most])


async def busiest_hosts(
    log: VisitLog, since: datetime, most: int | None, department: str | None = None
) -> list[SiteUse]:
    """Return the hosts most visited (None: all), by everyone or a department.

    Counted from the day (UTC) of an instant on.
    """
    found: dict[str, SiteUse] = {}
    day = to_ms(since) - to_ms(since) % _DAY_MS
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT site.key, sum(visits) AS visits, sum(visits * is_blocked) AS blocked,"
            " sum(bytes_up) AS up, sum(bytes_down) AS down"
            " FROM site_count JOIN site ON site.id = site_count.site"
            " WHERE at >= ? AND (? IS NULL OR department = ?) GROUP BY site_count.site",
            day,
            department,
            department,
        ):
            use = found.setdefault(row["key"], SiteUse(host_of(row["key"])))
            use.visits += row["visits"]
            use.blocked += row["blocked"]
            use.bytes_up += row["up"]
            use.bytes_down += row["down"]
    return sorted(found.values(), key=lambda use: (-use.visits, use.host))[:most]


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many bytes, both ways, something stands for: a category, a department, or a host."""

    what: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LoadedBy:
    """How many bytes, both ways, a person loaded, or a device or an address where nobody is known."""

    person: str | None
    device: str | None
    address: str
    department: str | None
    size_bytes: int


async def heaviest(
    log: VisitLog, since: datetime, column: Literal["category", "department"], most: int
) -> list[Loaded]:
    """Return the categories, or departments, of which most was loaded; `since` as in `hours`."""
    found = Counter[str]()
    async for file in log.since(since):
        for row in await file.fetch_all(_HEAVIEST[column], to_ms(since)):
            found[row["what"]] += row["size_bytes"]
    return _largest(found, most)


async def heaviest_hosts(log: VisitLog, since: datetime, most: int) -> list[Loaded]:
    """Return the hosts from which most was loaded, counted from the day (UTC) of an instant on."""
    used = await busiest_hosts(log, since, most=None)
    return _largest(Counter({use.host: use.bytes_up + use.bytes_down for use in used}), most)


async def heaviest_people(log: VisitLog, since: datetime, most: int) -> list[LoadedBy]:
    """Return who loaded most since an instant; looks at each visit since."""
    found = Counter[tuple[str | None, str | None, str, str | None]]()
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT person, device, department,"
            " CASE WHEN person IS NULL AND device IS NULL THEN address ELSE '' END AS place,"
            " sum(size_bytes) AS size_bytes FROM"
            " (SELECT client, sum(bytes_up + bytes_down) AS size_bytes FROM visit_row"
            " WHERE started_at >= ? GROUP BY client) JOIN client ON client.id = client"
            " GROUP BY person, device, place, department",
            to_ms(since),
        ):
            found[row["person"], row["device"], row["place"], row["department"]] += row["size_bytes"]
    return [LoadedBy(*who, size) for who, size in found.most_common(most) if size]


def _largest(found: Counter[str], most: int) -> list[Loaded]:
    largest = sorted(found.items(), key=lambda counted: (-counted[1], counted[0]))[:most]
    return [Loaded(what, size) for what, size in largest if size]


_HEAVIEST = {
    "category": "SELECT category AS what, sum(bytes_up + bytes_down) AS size_bytes FROM quarter_count"
    " WHERE at >= ? GROUP BY category",
    "department": "SELECT department AS what, sum(bytes_up + bytes_down) AS size_bytes FROM quarter_count"
    " WHERE at >= ? GROUP BY department",
}


# By the index of sites alone: the busiest host of a month may have a hundred thousand visits.
_REACH = (
    "SELECT coalesce(person, device, address) AS who, sum(tries) AS tries FROM ("
    " SELECT client AS id, count(*) AS tries FROM visit_row"
    " WHERE site IN (SELECT id FROM site WHERE key >= ? AND key < ?) AND started_at >= ?"
    " AND +client IN (SELECT id FROM client WHERE department IS ?) GROUP BY +client"
    ") JOIN client USING (id) GROUP BY who"
)


async def reach(log: VisitLog, host: str, department: str | None, since: datetime) -> Reach:
    """Count a department's visits to a host and its subdomains since an instant, and who made them."""
    tries, people = 0, set[str]()
    async for file in log.since(since):
        for row in await file.fetch_all(_REACH, *site_range(host), to_ms(since), department):
            tries += row["tries"]
            people.add(row["who"])
    return Reach(tries, len(people))


async def first_visits(log: VisitLog) -> Mapping[str, int]:
    """Return when each registrable domain was first visited, in ms."""
    found: dict[str, int] = {}
    async for file in log.since(None):
        for row in await file.fetch_all("SELECT domain, min(first_at) AS at FROM site GROUP BY domain"):
            found[row["domain"]] = min(row["at"], found.get(row["domain"], row["at"]))
    return found


@dataclass(frozen=True, slots=True)
class HostVisits:
    """How often a host was visited, and when first (ms), as far as the log has it."""

    host: str
    visits: int
    first_at: int


async def host_visits(log: VisitLog, since: datetime) -> list[HostVisits]:
    """Return every host visited from the day (UTC) of an instant on, most visits first."""
    used = await busiest_hosts(log, since, most=None)
    first = dict[str, int]()
    async for file in log.since(None):
        for row in await file.fetch_all("SELECT key, first_at FROM site"):
            host = host_of(row["key"])
            first[host] = min(row["first_at"], first.get(host, row["first_at"]))
    return [HostVisits(use.host, use.visits, first[use.host]) for use in used]


async def people_at(log: VisitLog, hosts: Collection[str], since: datetime) -> Mapping[str, int]:
    """Return how many people (or devices, where nobody is known) went to each host since an instant."""
    found: dict[str, set[str]] = {host: set() for host in hosts}
    keys = json.dumps([site_key(host) for host in hosts])
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT DISTINCT site.key, coalesce(person, device, address) AS who"
            " FROM visit_row JOIN client ON client.id = visit_row.client"
            " JOIN site ON site.id = visit_row.site"
            " WHERE visit_row.site IN (SELECT id FROM site WHERE key IN (SELECT value FROM json_each(?)))"
            " AND started_at >= ?",
            keys,
            to_ms(since),
        ):
            found[host_of(row["key"])].add(row["who"])
    return {host: len(people) for host, people in found.items()}
