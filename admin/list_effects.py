"""What other lists would change for the visits that people made: which sites, and for whom.

Every kind of visit of the last days is decided twice by the policy in force, once as the sites are
listed now and once as they would be. Departments are told, never persons.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin.clock import from_ms, to_ms
from admin.database import Reader, Row
from admin.visits import host_of
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections
from policy.decision import Verdict
from policy.judging import SiteListing, judge
from policy.snapshot import PolicySnapshot
from policy.visit import Client, Visit

LOOKED_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Effect:
    """A host that people visited would be decided, or carried, otherwise for these departments.

    `before` and `after` are the verdicts, `is_opened_before` and `is_opened_after` whether rules have what is
    allowed looked into, the `categories` what the host is and would be listed as;
    a client without a department counts as None, which comes last. `visits` were made by them.
    """

    host: str
    before: Verdict
    after: Verdict
    is_opened_before: bool
    is_opened_after: bool
    categories_before: tuple[str, ...]
    categories_after: tuple[str, ...]
    departments: tuple[str | None, ...]
    visits: int


async def effects_of(
    db: Reader, published: PolicySnapshot, before: CategorySnapshot, after: CategorySnapshot, now: datetime
) -> tuple[Effect, ...]:
    """Return what `after` in place of `before` would change for the visits of the last 30 days.

    Most visits first. A visit is looked at by its host, the paths that were visited are not known.
    """
    corrections = Corrections(published.corrections)
    since = to_ms(now - LOOKED_BACK)
    found = list[Effect]()
    for row in await db.fetch_all("SELECT DISTINCT site FROM visit WHERE started_at >= ?", since):
        host = host_of(row["site"])
        is_same = before.lookup(host) == after.lookup(host)
        is_same &= before.url_categories(host) == after.url_categories(host)
        if is_same or corrections.nearest(host) is not None:
            continue
        kinds = await db.fetch_all(
            "SELECT address, person, device, department, scheme, port, max(started_at) AS at,"
            " count(*) AS visits FROM visit WHERE site = ? AND started_at >= ?"
            " GROUP BY person, device, department, scheme, port",
            row["site"],
            since,
        )
        found += _effects_on(host, kinds, published, before, after)
    return tuple(sorted(found, key=lambda effect: (-effect.visits, effect.host)))


def _effects_on(
    host: str,
    kinds: list[Row],
    published: PolicySnapshot,
    before: CategorySnapshot,
    after: CategorySnapshot,
) -> list[Effect]:
    state = published.state()
    listings = [SiteListing(lists, Corrections(), published.policy) for lists in (before, after)]
    departments = defaultdict[tuple[Verdict, Verdict, bool, bool], set[str | None]](set)
    visits = defaultdict[tuple[Verdict, Verdict, bool, bool], int](int)
    for kind in kinds:
        client = Client(kind["address"], kind["person"], kind["device"], kind["department"])
        visit = Visit(client, kind["scheme"], host, kind["port"], None, from_ms(kind["at"]))
        was, would_be = (judge(visit, published.policy, state, listing)[0].decision for listing in listings)
        change = was.verdict, would_be.verdict, was.is_inspected, would_be.is_inspected
        if change[0] is not change[1] or change[2] is not change[3]:
            departments[change].add(kind["department"])
            visits[change] += kind["visits"]
    return [
        Effect(
            host,
            *change,
            categories_before=_categories(before, host),
            categories_after=_categories(after, host),
            departments=tuple(sorted(whose, key=lambda name: (name is None, name or ""))),
            visits=visits[change],
        )
        for change, whose in departments.items()
    ]


def _categories(lists: CategorySnapshot, host: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match.category for match in lists.lookup(host)))
