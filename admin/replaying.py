"""Says why a recorded visit was decided as it was, by deciding it once more.

What decides is in force now: the published policy, exemptions and lists. Where one of them has
changed since, the answer may differ from what happened, and the explanation says so. What the proxy
itself refused was never decided by policy, and is not decided now.
"""

import asyncio
from dataclasses import dataclass

from admin.database import Reader
from admin.state_folder import StateFolder
from admin.visits import VisitRow
from categories.match import CategoryMatch
from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshotError
from policy.correction import Corrections
from policy.deciding import Step, decide
from policy.decision import Cause, Decision, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit import Client, Visit

_CAUSES_OF_THE_PROXY = frozenset(
    {
        *(Cause.MISMATCH, Cause.NOT_TLS, Cause.MALFORMED),
        *(Cause.UNREACHABLE, Cause.CERTIFICATE, Cause.FAULT),
    }
)


_CAUSES_OF_AN_EMERGENCY = frozenset({Cause.LOCKDOWN, Cause.DEVICE_OFF, Cause.FILTER_OFF})


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the visit is decided now, step by step, and what has changed since it happened.

    `decision` is None, without steps, for a visit that the proxy itself refused. `changed` names
    what is another now: "policy", "lists", "access that was granted",
    "emergency measures".
    """

    decision: Decision | None
    steps: tuple[Step, ...] = ()
    changed: tuple[str, ...] = ()

    def agrees_with(self, row: VisitRow) -> bool:
        """Whether the same thing was decided when the visit happened; so, too, if nothing is now."""
        decision = self.decision
        return decision is None or (decision.verdict is row.verdict and decision.rule == row.rule)


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
    if row.cause in _CAUSES_OF_THE_PROXY:
        return Explanation(None)
    snapshot, matches, lists_version = await asyncio.to_thread(_published, state, row)
    visit = Visit(
        client=Client(recorded["address"], recorded["person"], recorded["device"], recorded["department"]),
        scheme=row.scheme,
        host=row.host,
        port=row.port,
        path=_seen_path(row),
        at=row.started_at,
        matches=matches,
        # Of a rule that warns, this was one who had continued.
        has_continued=row.verdict is Verdict.ALLOW,
    )
    steps: list[Step] = []
    decision = decide(visit, snapshot.policy, snapshot.state(), steps)
    changes = {
        "policy": snapshot.policy.version != row.policy_version,
        "lists": lists_version != row.category_version,
        "access that was granted": decision.exemption != row.exemption,
        "emergency measures": decision.cause is not row.cause
        and not _CAUSES_OF_AN_EMERGENCY.isdisjoint((decision.cause, row.cause)),
    }
    return Explanation(decision, tuple(steps), tuple(what for what, is_so in changes.items() if is_so))


def _published(state: StateFolder, row: VisitRow) -> tuple[PolicySnapshot, tuple[CategoryMatch, ...], str]:
    """Read what the proxies read. Without lists the entry of the record is all that is known."""
    snapshot = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())
    try:
        lists = CurrentSnapshot(state.categories).snapshot
    except CategorySnapshotError:
        if row.category is None:
            return snapshot, (), ""
        return snapshot, (CategoryMatch(row.category, row.entry or row.host, row.source or ""),), ""
    matches = lists.lookup(row.host, _seen_path(row))
    return snapshot, Corrections(snapshot.corrections).apply(row.host, matches), lists.version


def _seen_path(row: VisitRow) -> str | None:
    """Return as much of the path as the record knows: that of the URL entry that decided."""
    _, slash, path = (row.entry or "").partition("/")
    return slash + path if slash else None
