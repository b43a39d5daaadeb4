"""What is one visit: all that a client does at a host, as long as it goes on doing it.

Workers write a record for each connection, and for each request of plain HTTP. Records of the same client,
host, decision and versions become one visit of the log while no five minutes lie between them, up to an hour
after it began. What a person was shown a code of, they may ask about: it is always a visit of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from admin.sqlite_file import Transaction
from admin.visit_log.arrived import Arrived

_APART_MS = 5 * 60_000
LONGEST_MS = 60 * 60_000
"""Records that begin later after the visit began are another."""
# A busy hour of a large town begins fewer than half of them.
_MOST_KNOWN = 100_000

type Key = tuple[int, int, int, int, int | None]
"""Numbers of client, site, decision, versions and refusal."""


@dataclass(slots=True, eq=False)
class KeptVisit:
    """A visit as its row says it, or will; `first` is what it begins with, None once that is written."""

    id: int
    started_at: int
    ended_at: int
    connections: int
    requests: int
    pages: int
    bytes_up: int
    bytes_down: int
    key: Key
    first: Arrived | None = None

    def add(self, record: Arrived) -> None:
        """Go on with what another record tells."""
        self.ended_at = max(self.ended_at, record.ended_at)
        self.connections += record.connections
        self.requests += record.requests
        self.pages += record.pages
        self.bytes_up += record.bytes_up
        self.bytes_down += record.bytes_down


class Windows:
    """The visits of one month's file that may go on. `begins_at` (ms) is when the month does."""

    def __init__(self, begins_at: int) -> None:
        self._begins_at = begins_at
        self._latest: dict[Key, KeptVisit] | None = None

    def forget(self) -> None:
        """Ask the table again."""
        self._latest = None

    async def place(self, t: Transaction, records: Sequence[Arrived], keys: Sequence[Key]) -> list[KeptVisit]:
        """Return the visit that each record begins, or goes on with; nothing is written here."""
        latest = self._latest
        if latest is None:
            latest = self._latest = await self._read(t)
        if len(latest) > _MOST_KNOWN:
            latest = self._latest = _newest_half(latest)
        row = await t.fetch_one("SELECT max(id) AS id FROM visit_row")
        id_ = 0 if row is None else row["id"] or 0
        placed = []
        for record, key in zip(records, keys, strict=True):
            visit = latest.get(key)
            if visit is not None and self._goes_on(visit, record):
                visit.add(record)
                placed.append(visit)
                continue
            id_ += 1
            begun = KeptVisit(
                *(id_, record.started_at, record.ended_at),
                *(record.connections, record.requests, record.pages, record.bytes_up, record.bytes_down),
                *(key, record),
            )
            placed.append(begun)
            if visit is None or _is_followed_by(visit, begun):
                latest[key] = begun
        return placed

    def _goes_on(self, visit: KeptVisit, record: Arrived) -> bool:
        return (
            not record.is_shown
            # Of what began in the month before, that month's file may know that it went on.
            and self._begins_at <= visit.started_at <= record.started_at
            and record.started_at <= visit.ended_at + _APART_MS
            and record.started_at < visit.started_at + LONGEST_MS
        )

    async def _read(self, t: Transaction) -> dict[Key, KeptVisit]:
        # The last that began, and not since an instant: what went on for days, or a clock that is wrong,
        # would have the whole month read.
        rows = await t.fetch_all(
            "SELECT id, started_at, lasted, connections, requests, pages, bytes_up, bytes_down,"
            " client, site, decision, versions, refusal FROM visit_row ORDER BY id DESC LIMIT ?",
            _MOST_KNOWN,
        )
        found: dict[Key, KeptVisit] = {}
        for row in reversed(rows):
            key = row["client"], row["site"], row["decision"], row["versions"], row["refusal"]
            visit = KeptVisit(
                *(row["id"], row["started_at"], row["started_at"] + row["lasted"]),
                *(row["connections"], row["requests"], row["pages"], row["bytes_up"], row["bytes_down"]),
                key,
            )
            if key not in found or _is_followed_by(found[key], visit):
                found[key] = visit
        return found


def _is_followed_by(known: KeptVisit, begun: KeptVisit) -> bool:
    """Whether what comes next rather goes on with the one that arrived later.

    It does unless the known one goes on for longer; and where the known one is of later: of a clock that was
    ahead, or of a worker whose segments were read first.
    """
    return known.started_at > begun.ended_at or _goes_on_until(known) <= _goes_on_until(begun)


def _goes_on_until(visit: KeptVisit) -> int:
    return min(visit.ended_at + _APART_MS, visit.started_at + LONGEST_MS)


def _newest_half(latest: dict[Key, KeptVisit]) -> dict[Key, KeptVisit]:
    newest = sorted(latest.items(), key=lambda known: known[1].id)[-(_MOST_KNOWN // 2) :]
    return dict(newest)
