"""What other lists would change for the visits that people made: which sites, and for whom.

Every kind of visit of the last days is decided twice by the policy in force, once as the sites are
listed now and once as they would be. Departments are told, never persons.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin.database import Database
from admin.visit_log import counting
from admin.visit_log.clients import ClientVisits, clients_at
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections
from policy.decision import Verdict
from policy.judging import SiteListing, judge
from policy.snapshot import PolicySnapshot
from policy.visit import Visit

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
    db: Database, published: PolicySnapshot, before: CategorySnapshot, after: CategorySnapshot, now: datetime
) -> tuple[Effect, ...]:
    """Return what `after` in place of `before` would change for the visits of the last 30 days.

    Most visits first. A visit is looked at by its host, the paths that were visited are not known.
    """
    corrections = Corrections(published.corrections)
    since = now - LOOKED_BACK
    found = list[Effect]()
    for host in [use.host for use in await counting.busiest_hosts(db.visits, since, most=None)]:
        is_same = before.lookup(host) == after.lookup(host)
        is_same &= before.url_categories(host) == after.url_categories(host)
        if is_same or corrections.nearest(host) is not None:
            continue
        found += _effects_on(host, await clients_at(db.visits, host, since), published, before, after)
    return tuple(sorted(found, key=lambda effect: (-effect.visits, effect.host)))


def _effects_on(
    host: str,
    kinds: list[ClientVisits],
    published: PolicySnapshot,
    before: CategorySnapshot,
    after: CategorySnapshot,
) -> list[Effect]:
    state = published.state()
    listings = [SiteListing(lists, Corrections(), published.policy) for lists in (before, after)]
    departments = defaultdict[tuple[Verdict, Verdict, bool, bool], set[str | None]](set)
    visits = defaultdict[tuple[Verdict, Verdict, bool, bool], int](int)
    for kind in kinds:
        visit = Visit(kind.client, kind.scheme, host, kind.port, None, kind.last_at)
        was, would_be = (judge(visit, published.policy, state, listing)[0].decision for listing in listings)
        change = was.verdict, would_be.verdict, was.is_inspected, would_be.is_inspected
        if change[0] is not change[1] or change[2] is not change[3]:
            departments[change].add(kind.client.department)
            visits[change] += kind.visits
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
