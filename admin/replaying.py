"""Says why a recorded visit was decided as it was, by deciding it once more.

What decides is in force now: the published policy, exemptions and lists. Where one of them has
changed since, the answer may differ from what happened, and the explanation says so.
"""

import asyncio
from dataclasses import dataclass

from admin.database import Reader
from admin.state_folder import StateFolder
from admin.visits import VisitRow
from categories.match import CategoryMatch
from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshotError
from policy.deciding import Step, decide
from policy.decision import Decision
from policy.snapshot import PolicySnapshot
from policy.visit import Client, Visit


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the visit is decided now, step by step, and what has changed since it happened."""

    decision: Decision
    steps: tuple[Step, ...]
    policy_changed: bool
    lists_changed: bool

    def agrees_with(self, row: VisitRow) -> bool:
        """Whether the same thing was decided when the visit happened."""
        return self.decision.verdict is row.verdict and self.decision.rule == row.rule


async def explain(db: Reader, state: StateFolder, row: VisitRow) -> Explanation:
    """Decide the visit of this row again, as of when it started.

    Nobody is named by it: persons hidden in the row stay hidden. Raises LookupError when the visit
    has left the log, OSError or policy.snapshot.SnapshotError when no policy is published.
    """
    recorded = await db.fetch_one(
        "SELECT address, person, device, department FROM visit WHERE id = ?", row.id
    )
    if recorded is None:
        raise LookupError(f"visit {row.id} is no longer in the log")
    snapshot, matches, lists_version = await asyncio.to_thread(_published, state, row)
    visit = Visit(
        client=Client(recorded["address"], recorded["person"], recorded["device"], recorded["department"]),
        scheme=row.scheme,
        host=row.host,
        port=row.port,
        path=None,
        at=row.started_at,
        matches=matches,
    )
    steps: list[Step] = []
    decision = decide(visit, snapshot.policy, snapshot.state(), steps)
    return Explanation(
        decision,
        tuple(steps),
        policy_changed=snapshot.policy.version != row.policy_version,
        lists_changed=lists_version != row.category_version,
    )


def _published(state: StateFolder, row: VisitRow) -> tuple[PolicySnapshot, tuple[CategoryMatch, ...], str]:
    """Read what the proxies read. Without lists the entry of the record is all that is known."""
    snapshot = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())
    try:
        lists = CurrentSnapshot(state.categories).snapshot
    except CategorySnapshotError:
        if row.category is None:
            return snapshot, (), ""
        return snapshot, (CategoryMatch(row.category, row.entry or row.host, row.source or ""),), ""
    return snapshot, lists.lookup(row.host), lists.version
