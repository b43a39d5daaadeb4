"""Says why a recorded visit was decided as it was, by deciding it once more.

What decides is in force now: the published policy, exemptions and lists. Where one of them has
changed since, the answer may differ from what happened, and the explanation says so. What the proxy
itself refused was never decided by policy, and is not decided now.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from admin.database import Database
from admin.held_limits import HeldLimit, held_limits, why_none_holds
from admin.quota_use import is_known_of, left_on
from admin.state_folder import StateFolder
from admin.visit_log.clients import client_of
from admin.visits import VisitRow
from categories.first_visits import FirstVisits, FirstVisitsError
from categories.match import CategoryMatch
from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshotError
from policy.correction import Corrections
from policy.deciding import Step
from policy.decision import Cause, Decision, Verdict
from policy.file_types import FILE_TYPES, refused_types
from policy.inspecting import StoppedFiles, decide_download, rules_for_downloads, stopped_files
from policy.judging import Judged, Lists, SiteListing, judge
from policy.limiting import held_by
from policy.snapshot import PolicySnapshot
from policy.town_policy import Limit, Policy
from policy.town_time import zone_of
from policy.visit import Client, Visit

_CAUSES_OF_THE_PROXY = frozenset(
    {
        *(Cause.MISMATCH, Cause.NOT_TLS, Cause.MALFORMED),
        *(Cause.UNREACHABLE, Cause.CERTIFICATE, Cause.FAULT, Cause.LIMIT, Cause.ENDED),
    }
)


_CAUSES_OF_AN_EMERGENCY = frozenset({Cause.LOCKDOWN, Cause.DEVICE_OFF, Cause.FILTER_OFF})


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the visit is decided now, step by step, and what has changed since it happened.

    `decision` is None, without steps, for a visit that the proxy itself refused; of a download that was
    stopped, it is about the download. `opened_for` are the rules for which the site would be looked into,
    `stopped` is what cannot be downloaded there. `changed` names what is another now: "policy",
    "lists", "access that was granted", "emergency measures". `limits` are those that hold for the visit, or
    the one that stopped it; where there is none, `no_limits` says why in words.
    """

    decision: Decision | None
    steps: tuple[Step, ...] = ()
    opened_for: tuple[str, ...] = ()
    stopped: tuple[StoppedFiles, ...] = ()
    changed: tuple[str, ...] = ()
    limits: tuple[HeldLimit, ...] = ()
    no_limits: str = ""

    def agrees_with(self, row: VisitRow) -> bool:
        """Whether the same thing was decided when the visit happened; so, too, if nothing is now."""
        decision = self.decision
        return decision is None or (decision.verdict is row.verdict and decision.rule == row.rule)


async def explain(db: Database, state: StateFolder, row: VisitRow) -> Explanation:
    """Decide the visit of this row again, as of when it started.

    Nobody is named by it: persons hidden in the row stay hidden. Raises LookupError when the visit
    has left the log, OSError or policy.snapshot.SnapshotError when no policy is published.
    """
    client = await client_of(db.visits, row.id)
    if row.cause in _CAUSES_OF_THE_PROXY and row.cause is not Cause.LIMIT:
        return Explanation(None)
    snapshot, lists, lists_version = await asyncio.to_thread(_published, state, row)
    policy = snapshot.policy
    if row.cause is Cause.LIMIT:
        stopped_by = [limit for limit in policy.limits if limit.id == row.rule]
        limits = await asyncio.to_thread(_limits, state, policy, stopped_by, client, row)
        gone = f"The policy of now has no limit {row.rule}."
        return Explanation(None, limits=limits, no_limits="" if limits else gone)
    first_visits = await asyncio.to_thread(_first_visits, state)
    visit = Visit(
        client=client,
        scheme=row.scheme,
        host=row.host,
        port=row.port,
        path=_seen_path(row),
        at=row.started_at,
        # Of a rule that warns, this was one who had continued.
        has_continued=row.verdict is Verdict.ALLOW,
    )
    listing = SiteListing(lists, Corrections(snapshot.corrections), snapshot.policy, first_visits)
    judged = judge(visit, snapshot.policy, snapshot.state(), listing)
    last = judged[-1]
    decision, steps = last.decision, last.steps
    stopped = stopped_files(last.visit, decision, snapshot.policy, snapshot.state())
    types = refused_types(row.refusal)
    if types is not None and decision.is_allowed:
        decision, step = _download(types, last, snapshot.policy, stopped)
        steps = (*steps, step)
    changes = {
        "policy": snapshot.policy.version != row.policy_version,
        "lists": lists_version != row.category_version,
        "access that was granted": decision.exemption != row.exemption,
        "emergency measures": decision.cause is not row.cause
        and not _CAUSES_OF_AN_EMERGENCY.isdisjoint((decision.cause, row.cause)),
    }
    held = held_by(last.decision, policy)
    return Explanation(
        decision,
        steps,
        judged[0].decision.inspect_rules,
        stopped,
        tuple(what for what, is_so in changes.items() if is_so),
        await asyncio.to_thread(_limits, state, policy, held, client, row),
        "" if held else why_none_holds(decision, policy),
    )


def _limits(
    state: StateFolder, policy: Policy, limits: Sequence[Limit], client: Client, row: VisitRow
) -> tuple[HeldLimit, ...]:
    day = row.started_at.astimezone(zone_of(policy)).date()
    left = left_on(day, state.spool, limits, client) if is_known_of(day, state.spool) else []
    return held_limits(limits, left, row.rule if row.cause is Cause.LIMIT else None)


def _download(
    types: frozenset[str], judged: Judged, policy: Policy, stopped: tuple[StoppedFiles, ...]
) -> tuple[Decision, Step]:
    """Decide about a download of these types in a visit that is allowed; none: it could not be told."""
    rules = rules_for_downloads(judged.visit, judged.decision, policy) if stopped else ()
    decision = decide_download(types or frozenset(FILE_TYPES), rules, judged.visit, policy)
    named = ", ".join(sorted(types))
    said = f"the file is of the type {named}" if types else "the file's type cannot be told"
    if decision is None:
        return judged.decision, Step("downloads", False, f"{said}: no rule stops it")
    return decision, Step(f"rule {decision.rule}, of downloads", True, f"{said}: block")


@dataclass(frozen=True, slots=True)
class _AsRecorded:
    """What the record says of its site, where there are no lists to look it up in."""

    row: VisitRow

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        category, entry, source = self.row.category, self.row.entry, self.row.source
        return () if category is None else (CategoryMatch(category, entry or host, source or ""),)

    def url_categories(self, host: str) -> frozenset[str]:
        return frozenset()


def _published(state: StateFolder, row: VisitRow) -> tuple[PolicySnapshot, Lists, str]:
    """Read what the proxies read. Without lists the entry of the record is all that is known."""
    snapshot = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())
    try:
        lists = CurrentSnapshot(state.categories).snapshot
    except CategorySnapshotError:
        return snapshot, _AsRecorded(row), ""
    return snapshot, lists, lists.version


def _first_visits(state: StateFolder) -> FirstVisits | None:
    """Read when sites were first visited; without it nothing is newly seen."""
    try:
        return FirstVisits.from_bytes(state.first_visits.read_bytes())
    except (OSError, FirstVisitsError):
        return None


def _seen_path(row: VisitRow) -> str | None:
    """Return as much of the path as the record knows: that of the URL entry that decided."""
    _, slash, path = (row.entry or "").partition("/")
    return slash + path if slash else None
