"""Who visited what, in groups: for whoever decides visits again, or looks for what was stopped with them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from admin.clock import from_ms, to_ms
from admin.visit_log.taking_in import host_of, site_key, site_range
from admin.visit_log.visit_log import VisitLog
from admin.visit_log.windows import LONGEST_MS
from policy.decision import Cause, Lane, Verdict
from policy.visit import Client


@dataclass(frozen=True, slots=True)
class ClientVisits:
    """Visits of one client to one port of a host; `last_at` (aware UTC) is when the last of them began."""

    host: str
    client: Client
    scheme: str
    port: int
    visits: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class VisitBy:
    """Someone's visit; `started_at` is aware UTC."""

    person: str | None
    device: str | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class BlockedVisit:
    """A visit that was blocked, and what for."""

    id: int
    host: str
    cause: Cause
    rule: str | None


@dataclass(frozen=True, slots=True)
class ClosedByLimit:
    """A tunnel of someone known that a limit closed; `started_at` (aware UTC) is when."""

    person: str
    host: str
    limit: str
    started_at: datetime


async def closed_by_limits(log: VisitLog, since: datetime) -> list[ClosedByLimit]:
    """Return the tunnels, and other connections without a page, that limits closed since an instant."""
    found = []
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT person, site.key, rule, started_at FROM visit_row"
            " JOIN client ON client.id = visit_row.client JOIN site ON site.id = visit_row.site"
            " JOIN decision ON decision.id = visit_row.decision"
            " WHERE is_blocked = 1 AND started_at >= ? AND cause = ? AND lane = ?"
            " AND person IS NOT NULL AND rule IS NOT NULL ORDER BY started_at",
            to_ms(since),
            Cause.LIMIT.value,
            Lane.REFUSE.value,
        ):
            host, at = host_of(row["key"]), from_ms(row["started_at"])
            found.append(ClosedByLimit(row["person"], host, row["rule"], at))
    return found


async def client_of(log: VisitLog, id_: int) -> Client:
    """Return who made a visit. Raises LookupError."""
    async with log.reading_visit(id_) as file:
        row = await file.fetch_one(
            "SELECT address, person, device, department FROM visit WHERE id = ?", id_ - file.month.first_id
        )
    if row is None:
        raise LookupError(f"there is no visit {id_} in the log")
    return Client(row["address"], row["person"], row["device"], row["department"])


async def clients_at(log: VisitLog, host: str, since: datetime) -> list[ClientVisits]:
    """Return who went to a host since an instant."""
    return await _clients(
        log, since, "v.site = (SELECT id FROM site WHERE key = ?) AND v.started_at >= ?", site_key(host)
    )


async def clients_refused(log: VisitLog, refusal: str, since: datetime) -> list[ClientVisits]:
    """Return whose visits that were allowed and looked into ended for this reason, since an instant."""
    lanes = "SELECT id FROM decision WHERE lane = ? AND verdict IN (?, ?)"
    return await _clients(
        log,
        since,
        f"v.refusal = (SELECT id FROM refusal WHERE key = ?) AND v.decision IN ({lanes})"
        " AND v.started_at >= ?",
        refusal,
        Lane.INSPECT.value,
        Verdict.ALLOW.value,
        Verdict.VIEW_ONLY.value,
    )


async def newest_visits_to(
    log: VisitLog, host: str, *, person: str, code: str, since: datetime, most: int
) -> list[VisitBy]:
    """Return the newest visits to a host or a subdomain by a person, or with a code, of someone known."""
    found: list[VisitBy] = []
    async for file in log.since(since):
        rows = await file.fetch_all(
            "SELECT person, device, started_at FROM visit_row JOIN client ON client.id = visit_row.client"
            " WHERE site IN (SELECT id FROM site WHERE key >= ? AND key < ?) AND started_at >= ?"
            " AND (person = ? OR code = ?) AND (person IS NOT NULL OR device IS NOT NULL)"
            " ORDER BY started_at DESC LIMIT ?",
            *site_range(host),
            to_ms(since),
            person,
            code,
            most,
        )
        found += [VisitBy(row["person"], row["device"], from_ms(row["started_at"])) for row in rows]
    return sorted(found, key=lambda visit: visit.started_at, reverse=True)[:most]


async def blocked_between(
    log: VisitLog, by: VisitBy, until: datetime, causes: Collection[Cause]
) -> list[BlockedVisit]:
    """Return what was blocked for these causes from a visit on until an instant: for the same person, or
    at the same device where nobody is known. First or last: what was blocked before and after is not known
    to have been meanwhile.
    """
    found = []
    begins_at, ends_at = to_ms(by.started_at), to_ms(until)
    began_since = begins_at - LONGEST_MS
    async for file in log.since(from_ms(began_since)):
        for row in await file.fetch_all(
            "SELECT visit_row.id, site.key, cause, rule FROM visit_row"
            " JOIN client ON client.id = visit_row.client JOIN site ON site.id = visit_row.site"
            " JOIN decision ON decision.id = visit_row.decision"
            " WHERE is_blocked = 1 AND started_at BETWEEN ?3 AND ?2"
            " AND (started_at >= ?1 OR started_at + lasted BETWEEN ?1 AND ?2)"
            " AND person IS ?4 AND (person IS NOT NULL OR device = ?5)",
            *(begins_at, ends_at, began_since, by.person, by.device),
        ):
            if (cause := Cause(row["cause"])) in causes:
                id_ = file.month.first_id + row["id"]
                found.append(BlockedVisit(id_, host_of(row["key"]), cause, row["rule"]))
    return found


@dataclass(frozen=True, slots=True)
class StoppedVisit:
    """A visit that was blocked for what its site is listed as; `started_at` is aware UTC."""

    category: str
    started_at: datetime


async def stopped_visits(
    log: VisitLog, person: str, since: datetime, categories: Collection[str], causes: Collection[Cause]
) -> list[StoppedVisit]:
    """Return what was blocked for a person since an instant for these causes and categories, oldest first."""
    found = []
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT category, started_at FROM visit_row JOIN decision ON decision.id = visit_row.decision"
            " WHERE client IN (SELECT id FROM client WHERE person = ?) AND started_at >= ? AND is_blocked = 1"
            " AND category IN (SELECT value FROM json_each(?)) AND cause IN (SELECT value FROM json_each(?))",
            person,
            to_ms(since),
            json.dumps([*categories]),
            json.dumps([*causes]),
        ):
            found.append(StoppedVisit(row["category"], from_ms(row["started_at"])))
    return sorted(found, key=lambda visit: visit.started_at)


@dataclass(frozen=True, slots=True)
class ExemptedVisits:
    """Someone's visits that access opened: how many lately, and when the last one began (aware UTC).

    `who` is a person, or a device or an address where nobody is known.
    """

    who: str
    visits: int
    size_bytes: int
    last_at: datetime


async def exempted(
    log: VisitLog, exemptions: Collection[str], since: datetime, counted_since: datetime
) -> Mapping[str, list[ExemptedVisits]]:
    """Return who used each of these exemptions since an instant, once for each month.

    Visits and bytes are those since a later instant.
    """
    found: dict[str, list[ExemptedVisits]] = {exemption: [] for exemption in exemptions}
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT exemption, coalesce(person, device, address) AS who, max(started_at) AS last_at,"
            " sum(started_at >= ?1) AS visits,"
            " sum((bytes_up + bytes_down) * (started_at >= ?1)) AS size_bytes"
            " FROM visit_row JOIN decision ON decision.id = visit_row.decision"
            " JOIN client ON client.id = visit_row.client"
            " WHERE is_exempted = 1 AND started_at >= ?2"
            " AND exemption IN (SELECT value FROM json_each(?3)) GROUP BY exemption, who",
            to_ms(counted_since),
            to_ms(since),
            json.dumps([*exemptions]),
        ):
            last_at = from_ms(row["last_at"])
            use = ExemptedVisits(row["who"], row["visits"], row["size_bytes"], last_at)
            found[row["exemption"]].append(use)
    return found


async def of_person(
    log: VisitLog, person: str, address: str | None, since: datetime, counted_since: datetime
) -> list[ExemptedVisits]:
    """Return a person's visits, from anywhere or from one address, as `exempted` does."""
    found = []
    async for file in log.since(since):
        row = await file.fetch_one(
            "SELECT max(started_at) AS last_at, sum(started_at >= ?1) AS visits,"
            " sum((bytes_up + bytes_down) * (started_at >= ?1)) AS size_bytes FROM visit_row"
            " WHERE client IN (SELECT id FROM client WHERE person = ?3 AND (?4 IS NULL OR address = ?4))"
            " AND started_at >= ?2",
            to_ms(counted_since),
            to_ms(since),
            person,
            address,
        )
        if row is not None and row["last_at"] is not None:
            found.append(ExemptedVisits(person, row["visits"], row["size_bytes"], from_ms(row["last_at"])))
    return found


async def _clients(log: VisitLog, since: datetime, condition: str, *params: str) -> list[ClientVisits]:
    found: dict[tuple[str, Client, str, int], ClientVisits] = {}
    async for file in log.since(since):
        for row in await file.fetch_all(
            "SELECT s.key, address, person, device, department, scheme, port,"
            " count(*) AS visits, max(v.started_at) AS last_at FROM visit_row AS v"
            " JOIN client AS c ON c.id = v.client JOIN site AS s ON s.id = v.site"
            " JOIN decision AS d ON d.id = v.decision"
            f" WHERE {condition} GROUP BY v.site, v.client, d.scheme, d.port",
            *params,
            to_ms(since),
        ):
            client = Client(row["address"], row["person"], row["device"], row["department"])
            key = host_of(row["key"]), client, row["scheme"], row["port"]
            before = found.get(key)
            visits, last_at = row["visits"], from_ms(row["last_at"])
            if before is not None:
                visits, last_at = visits + before.visits, max(last_at, before.last_at)
            found[key] = ClientVisits(*key, visits, last_at)
    return [*found.values()]
