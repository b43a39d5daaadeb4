"""Sites that no list knows, by how much the town uses them: what IT may want to list itself."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from admin import corrections
from admin.clock import from_ms, to_ms
from admin.database import Reader, Row
from admin.visits import host_of
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
    db: Reader, lists: CategorySnapshot, since: datetime, well_known: WellKnownNames, most: int
) -> tuple[UnlistedSite, ...]:
    """Return so many of the sites visited since an instant that no list knows, most visits first."""
    corrected = Corrections(await corrections.live(db))
    rows = await db.fetch_all(
        "SELECT site, count(*) AS visits, count(DISTINCT coalesce(person, device, address)) AS people,"
        " (SELECT min(started_at) FROM visit AS earlier WHERE earlier.site = visit.site) AS first_at"
        " FROM visit WHERE started_at >= ? GROUP BY site ORDER BY visits DESC, site",
        to_ms(since),
    )
    # A town visits ten thousands of sites: whoever waits for something else does not wait for this.
    return await asyncio.to_thread(_most_used, rows, lists, corrected, well_known, most)


def _most_used(
    rows: Sequence[Row],
    lists: CategorySnapshot,
    corrected: Corrections,
    well_known: WellKnownNames,
    most: int,
) -> tuple[UnlistedSite, ...]:
    unlisted, listed = defaultdict[str, list[Row]](list), defaultdict[str, list[str]](list)
    for row in rows:
        host = host_of(row["site"])
        site = site_of(host)
        if lists.lookup(host) or corrected.nearest(host) is not None:
            listed[site].append(host)
        else:
            unlisted[site].append(row)
    visits = {site: sum(row["visits"] for row in found) for site, found in unlisted.items()}
    return tuple(
        UnlistedSite(
            site,
            hosts=tuple(host_of(row["site"]) for row in unlisted[site]),
            listed_hosts=tuple(listed.get(site, ())),
            visits=visits[site],
            people=max(row["people"] for row in unlisted[site]),
            first_seen_at=from_ms(min(row["first_at"] for row in unlisted[site])),
            looks_like=well_known.imitated_by(site),
        )
        for site in sorted(visits, key=lambda site: (-visits[site], site))[:most]
    )
