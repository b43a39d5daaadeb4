"""Sites that no list knows, by how much the town uses them: what IT may want to list itself."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from admin import corrections
from admin.clock import from_ms
from admin.database import Database
from admin.visit_log import counting
from admin.visit_log.counting import HostVisits
from categories.first_visits import site_of
from categories.look_alikes import WellKnownNames
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections

_FEW_PEOPLE = 3


@dataclass(frozen=True, slots=True)
class UnlistedSite:
    """A registrable domain (or an address) of which visited hosts are in no list and not corrected.

    `hosts` are those, most visits first. `people` is how many went to the one that most people went to;
    `first_seen_at` (aware UTC) is the first visit that the log still has. `listed_hosts` are others
    of the domain that a list knows, and that were visited. `looks_like` is the well-known site that its
    name can be taken for.
    """

    site: str
    hosts: tuple[str, ...]
    listed_hosts: tuple[str, ...]
    visits: int
    people: int
    first_seen_at: datetime
    looks_like: str | None

    @property
    def said_people(self) -> int | str:
        """How many people, as it is shown: under 3 are not told apart, they could be known by it."""
        return self.people if self.people >= _FEW_PEOPLE else f"under {_FEW_PEOPLE}"


async def unlisted_sites(
    db: Database, lists: CategorySnapshot, since: datetime, well_known: WellKnownNames, most: int
) -> tuple[UnlistedSite, ...]:
    """Return so many of the sites visited since an instant that no list knows, most visits first.

    Visits are counted from the day (UTC) of that instant on.
    """
    corrected = Corrections(await corrections.live(db))
    visited = await counting.host_visits(db.visits, since)
    # A town visits ten thousands of sites: whoever waits for something else does not wait for this.
    found = await asyncio.to_thread(_most_used, visited, lists, corrected, well_known, most)
    people = await counting.people_at(db.visits, [host for site in found for host in site.hosts], since)
    return tuple(replace(site, people=max(people[host] for host in site.hosts)) for site in found)


def _most_used(
    visited: Sequence[HostVisits],
    lists: CategorySnapshot,
    corrected: Corrections,
    well_known: WellKnownNames,
    most: int,
) -> tuple[UnlistedSite, ...]:
    """Return them without their people, who are counted for these alone."""
    unlisted, listed = defaultdict[str, list[HostVisits]](list), defaultdict[str, list[str]](list)
    for visits in visited:
        site = site_of(visits.host)
        if lists.lookup(visits.host) or corrected.nearest(visits.host) is not None:
            listed[site].append(visits.host)
        else:
            unlisted[site].append(visits)
    count = {site: sum(visits.visits for visits in found) for site, found in unlisted.items()}
    return tuple(
        UnlistedSite(
            site,
            hosts=tuple(visits.host for visits in unlisted[site]),
            listed_hosts=tuple(listed.get(site, ())),
            visits=count[site],
            people=0,
            first_seen_at=from_ms(min(visits.first_at for visits in unlisted[site])),
            looks_like=well_known.imitated_by(site),
        )
        for site in sorted(count, key=lambda site: (-count[site], site))[:most]
    )
