"""Hosts on which programs do not trust the town's certificate, learnt from failed handshakes, for IT to see.

Listing is all that is done: a host is never opened only once a person says so (`admin.never_inspected`).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin import never_inspected
from admin.database import Database
from admin.site_lists import blocking_categories
from admin.visit_log.clients import ClientVisits, clients_refused
from policy.correction import Corrections
from policy.judging import Lists, SiteListing, judge
from policy.snapshot import PolicySnapshot
from policy.visit import Visit
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
    db: Database, published: PolicySnapshot, lists: Lists, now: datetime
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
    by_host = defaultdict[str, list[tuple[ClientVisits, tuple[str, ...]]]](list)
    for visits in await clients_refused(db.visits, NOT_TRUSTED, since):
        visit = Visit(visits.client, "https", visits.host, visits.port, None, now)
        (seen,) = judge(visit, policy, state, listing)
        is_blocked = any(match.category in blocking for match in seen.visit.matches)
        if seen.decision.is_inspected and not is_blocked and visits.host not in left:
            by_host[visits.host].append((visits, seen.decision.inspect_rules))
    found = []
    for host, opened in by_host.items():
        clients = [visits.client for visits, _ in opened]
        departments = {client.department for client in clients}
        found.append(
            UntrustingHost(
                host,
                visits=sum(visits.visits for visits, _ in opened),
                devices=len({client.device or client.address for client in clients}),
                departments=tuple(sorted(departments, key=lambda name: (name is None, name or ""))),
                last_at=max(visits.last_at for visits, _ in opened),
                rules=tuple(dict.fromkeys(rule for _, rules in opened for rule in rules)),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.visits, one.host)))
