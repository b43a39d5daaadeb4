"""Sites that no list knows, by how much the town uses them: what IT may want to list itself."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from admin import corrections
from admin.clock import from_ms, to_ms
from admin.database import Reader
from admin.visits import host_of
from categories.host_name import registrable_domain
from categories.look_alikes import WellKnownNames
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections


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


async def unlisted_sites(
    db: Reader, lists: CategorySnapshot, since: datetime, well_known: WellKnownNames
) -> tuple[UnlistedSite, ...]:
    """Return the sites visited since an instant that no list knows, most visits first."""
    corrected = Corrections(await corrections.live(db))
    rows = await db.fetch_all(
        "SELECT site, count(*) AS visits, count(DISTINCT coalesce(person, device, address)) AS people,"
        " (SELECT min(started_at) FROM visit AS earlier WHERE earlier.site = visit.site) AS first_at"
        " FROM visit WHERE started_at >= ? GROUP BY site ORDER BY visits DESC, site",
        to_ms(since),
    )
    unlisted, listed = defaultdict[str, list[int]](list), defaultdict[str, list[str]](list)
    for number, row in enumerate(rows):
        host = host_of(row["site"])
        site = registrable_domain(host) or host
        if lists.lookup(host) or corrected.nearest(host) is not None:
            listed[site].append(host)
        else:
            unlisted[site].append(number)
    found = [
        UnlistedSite(
            site,
            hosts=tuple(host_of(rows[number]["site"]) for number in numbers),
            listed_hosts=tuple(listed.get(site, ())),
            visits=sum(rows[number]["visits"] for number in numbers),
            people=max(rows[number]["people"] for number in numbers),
            first_seen_at=from_ms(min(rows[number]["first_at"] for number in numbers)),
            looks_like=well_known.imitated_by(site),
        )
        for site, numbers in unlisted.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.visits, one.site)))
