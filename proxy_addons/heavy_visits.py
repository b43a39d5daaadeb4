"""Open visits that have carried much, or carry much now: what admin's page "Heavy now" shows."""

from datetime import datetime
from typing import TYPE_CHECKING

from policy.worker_facts import MOST_HEAVY, HeavyVisit

if TYPE_CHECKING:
    from proxy_addons.visit_log import OpenVisit

FROM_BYTES = 100 * 10**6
FROM_BYTES_PER_SECOND = 10**6
"""8 Mbit/s, averaged from one look at open visits to the next."""
_LONGEST_HOST = 200


class Heavy:
    """Told of every open visit at each look, and of what visits that ended had carried since the last.

    `visits` and `bytes_per_second` (all visits, both ways) are as of the last whole look.
    """

    __slots__ = ("_bytes", "_found", "_looked_at", "_seconds", "bytes_per_second", "visits")

    def __init__(self) -> None:
        self.visits: tuple[HeavyVisit, ...] = ()
        self.bytes_per_second = 0
        self._found: list[HeavyVisit] = []
        self._bytes = 0
        self._looked_at: datetime | None = None
        self._seconds = 0.0

    def begin(self, now: datetime) -> None:
        """Begin to look."""
        before, self._looked_at = self._looked_at, now
        self._seconds = (now - before).total_seconds() if before is not None else 0.0

    def see(self, visit: "OpenVisit", carried: int) -> None:
        """Look at an open visit, which has carried so many bytes since the look before."""
        self._bytes += carried
        speed = carried / self._seconds if self._seconds > 0 else 0
        is_large = visit.bytes_up + visit.bytes_down >= FROM_BYTES
        if carried and (is_large or speed >= FROM_BYTES_PER_SECOND):
            self._found.append(_seen(visit, round(speed)))

    def carried(self, size_bytes: int) -> None:
        """Count what a visit that has ended carried since the look before."""
        self._bytes += size_bytes

    def end(self) -> None:
        """Have looked at all of them."""
        found = sorted(self._found, key=lambda visit: visit.bytes_per_second, reverse=True)
        self.visits = tuple(found[:MOST_HEAVY])
        self.bytes_per_second = round(self._bytes / self._seconds) if self._seconds > 0 else 0
        self._found, self._bytes = [], 0


def _seen(visit: "OpenVisit", bytes_per_second: int) -> HeavyVisit:
    judged, match = visit.judgement.visit, visit.judgement.decision.match
    client = judged.client
    return HeavyVisit(
        code=visit.code,
        started_at=visit.started_at,
        address=client.address,
        person=client.person,
        device=client.device,
        department=client.department,
        host=judged.host[:_LONGEST_HOST],
        category=match.category if match is not None else None,
        lane=visit.lane,
        bytes_up=visit.bytes_up,
        bytes_down=visit.bytes_down,
        bytes_per_second=bytes_per_second,
    )
