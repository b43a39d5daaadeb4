"""Hosts on which programs do not trust the town's certificate, learnt from failed handshakes, for IT to see.

Listing is all that is done: a host is never opened only once a person says so (`admin.never_inspected`).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin import never_inspected
from admin.clock import from_ms, to_ms
from admin.database import Reader
from admin.site_lists import blocking_categories
from admin.visits import host_of
from policy.correction import Corrections
from policy.judging import Lists, SiteListing, judge
from policy.snapshot import PolicySnapshot
from policy.visit import Client, Visit
from policy.visit_record import NOT_TRUSTED

LOOKED_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class UntrustingHost:
    """A host, how often a program refused the town's certificate there, and for which rules it is opened.

    `departments` of the clients, None for those without one, which comes last; `last_at` aware UTC.
    """

    host: str
    visits: int
    devices: int
    departments: tuple[str | None, ...]
    last_at: datetime
    rules: tuple[str, ...]


async def untrusting_hosts(
    db: Reader, published: PolicySnapshot, lists: Lists, now: datetime
) -> tuple[UntrustingHost, ...]:
    """Return what the last 30 days taught, most visits first.

    Only where the policy in force would open the host for the same clients now: what is blocked, or never
    inspected, is left out; so are hosts of a category that the policy blocks, and what IT left as it is
    within those days.
    """
    since = now - LOOKED_BACK
    left = await never_inspected.left_since(db, since)
    policy, state = published.policy, published.state()
    listing = SiteListing(lists, Corrections(published.corrections), policy)
    blocking = blocking_categories(policy)
    rows = await db.fetch_all(
        "SELECT site, address, person, device, department, port, count(*) AS visits,"
        " max(started_at) AS last_at FROM visit"
        " WHERE lane = 'inspect' AND verdict IN ('allow', 'view_only') AND refusal = ? AND started_at >= ?"
        " GROUP BY site, address, person, device, department, port",
        NOT_TRUSTED,
        to_ms(since),
    )
    by_host = defaultdict[str, list[tuple[int, tuple[str, ...]]]](list)
    for number, row in enumerate(rows):
        host = host_of(row["site"])
        client = Client(row["address"], row["person"], row["device"], row["department"])
        (seen,) = judge(Visit(client, "https", host, row["port"], None, now), policy, state, listing)
        is_blocked = any(match.category in blocking for match in seen.visit.matches)
        if seen.decision.is_inspected and not is_blocked and host not in left:
            by_host[host].append((number, seen.decision.inspect_rules))
    found = []
    for host, opened in by_host.items():
        of_host = [rows[number] for number, _ in opened]
        departments = {row["department"] for row in of_host}
        found.append(
            UntrustingHost(
                host,
                visits=sum(row["visits"] for row in of_host),
                devices=len({row["device"] or row["address"] for row in of_host}),
                departments=tuple(sorted(departments, key=lambda name: (name is None, name or ""))),
                last_at=from_ms(max(row["last_at"] for row in of_host)),
                rules=tuple(dict.fromkeys(rule for _, rules in opened for rule in rules)),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.visits, one.host)))
