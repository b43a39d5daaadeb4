"""Says why a recorded visit was decided as it was, by deciding it once more.

What decides is what was in force then: the policy with all that people had decided, as it was kept when it
was published, and the lists of that day where they are still there. A visit from before policies were kept
is decided by what is in force now. What the proxy itself refused was never decided by policy, and is not
decided again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from admin.database import Database
from admin.held_limits import HeldLimit, held_limits, why_none_holds
from admin.quota_use import is_known_of, left_on
from admin.state_folder import StateFolder
from admin.versions_of_the_day import Versions, versions_now, versions_then
from admin.visit_log.clients import client_of
from admin.visits import VisitRow
from categories.first_visits import FirstVisits, FirstVisitsError
from policy.correction import Corrections
from policy.deciding import Step
from policy.decision import Cause, Decision, Verdict
from policy.file_types import FILE_TYPES, refused_types
from policy.inspecting import StoppedFiles, decide_download, rules_for_downloads, stopped_files
from policy.judging import Judged, SiteListing, judge
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
class DecidedBy:
    """The versions that a visit was decided again by.

    `is_of_that_day`: they were in force when it happened; else they are those of now. `lists` is None where
    no lists are there, and the record's own entry stood in for them.
    """

    policy: str
    lists: str | None
    is_of_that_day: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the visit is decided again, step by step, and what has changed since it happened.

    `decision` is None, without steps, for a visit that the proxy itself refused; of a download that was
    stopped, it is about the download. `opened_for` are the rules for which the site would be looked into,
    `stopped` is what cannot be downloaded there. `limits` are those that hold for the visit, or the one that
    stopped it; where there is none, `no_limits` says why in words. `decided_by` is None where no policy was
    asked. `today` is what would be decided now, and `changed` names what is another now: "policy", "lists",
    "corrections", "access that was granted", "emergency measures".
    """

    decision: Decision | None
    steps: tuple[Step, ...] = ()
    opened_for: tuple[str, ...] = ()
    stopped: tuple[StoppedFiles, ...] = ()
    changed: tuple[str, ...] = ()
    limits: tuple[HeldLimit, ...] = ()
    no_limits: str = ""
    decided_by: DecidedBy | None = None
    today: Decision | None = None

    def agrees_with(self, row: VisitRow) -> bool:
        """Whether the same thing was decided when the visit happened; so, too, if nothing is again."""
        return _is_as_recorded(self.decision, row)

    def today_agrees_with(self, row: VisitRow) -> bool:
        """Whether the same thing would be decided now."""
        return _is_as_recorded(self.today, row)


async def explain(db: Database, state: StateFolder, row: VisitRow) -> Explanation:
    """Decide the visit of this row again, as of when it started.

    Nobody is named by it: persons hidden in the row stay hidden. Raises LookupError when the visit
    has left the log, OSError or policy.snapshot.SnapshotError when no policy is published.
    """
    client = await client_of(db.visits, row.id)
    if row.cause in _CAUSES_OF_THE_PROXY and row.cause is not Cause.LIMIT:
        return Explanation(None)
    now = await versions_now(state, row)
    then = await versions_then(db, state, row, now)
    versions = then or now
    policy = versions.snapshot.policy
    decided_by = DecidedBy(policy.version, versions.lists_version, then is not None)
    if row.cause is Cause.LIMIT:
        stopped_by = [limit for limit in policy.limits if limit.id == row.rule]
        limits = await asyncio.to_thread(_limits, state, policy, stopped_by, client, row)
        gone = f"The policy {'of that day' if then else 'of now'} has no limit {row.rule}."
        no_limits = "" if limits else gone
        return Explanation(None, limits=limits, no_limits=no_limits, decided_by=decided_by)
    first_visits = await asyncio.to_thread(_first_visits, state)
    today = _decided(now, client, row, first_visits)
    again = today if then is None else _decided(then, client, row, first_visits)
    changes = {
        "policy": now.snapshot.policy.version != row.policy_version,
        "lists": now.lists_version != row.category_version,
        "corrections": then is not None and then.correction(row.host) != now.correction(row.host),
        "access that was granted": today.decision.exemption != _opened_by(row, versions.snapshot),
        "emergency measures": today.decision.cause is not row.cause
        and not _CAUSES_OF_AN_EMERGENCY.isdisjoint((today.decision.cause, row.cause)),
    }
    held = held_by(again.site, policy)
    return Explanation(
        again.decision,
        again.steps,
        again.opened_for,
        again.stopped,
        tuple(what for what, is_so in changes.items() if is_so),
        await asyncio.to_thread(_limits, state, policy, held, client, row),
        "" if held else why_none_holds(again.decision, policy),
        decided_by,
        today.decision,
    )


def _is_as_recorded(decision: Decision | None, row: VisitRow) -> bool:
    return decision is None or (decision.verdict is row.verdict and decision.rule == row.rule)


@dataclass(frozen=True, slots=True)
class _Decided:
    """What comes of a visit: `site` is about the site, `decision` about a download that was stopped there."""

    site: Decision
    decision: Decision
    steps: tuple[Step, ...]
    opened_for: tuple[str, ...]
    stopped: tuple[StoppedFiles, ...]


def _decided(versions: Versions, client: Client, row: VisitRow, first_visits: FirstVisits | None) -> _Decided:
    policy, state = versions.snapshot.policy, versions.snapshot.state()
    visit = Visit(
        client=client,
        scheme=row.scheme,
        host=row.host,
        port=row.port,
        path=_seen_path(row, versions.snapshot),
        at=row.started_at,
    )
    listing = SiteListing(versions.lists, Corrections(versions.snapshot.corrections), policy, first_visits)
    judged = judge(visit, policy, state, listing)
    warned = judged[-1].decision
    if warned.verdict is Verdict.WARN and row.verdict is Verdict.ALLOW and warned.rule == row.rule:
        # This was one who had continued; of another rule's warning that is not known.
        judged = judge(replace(visit, has_continued=True), policy, state, listing)
    last = judged[-1]
    decision, steps = last.decision, last.steps
    stopped = stopped_files(last.visit, decision, policy, state)
    types = refused_types(row.refusal)
    if types is not None and decision.is_allowed:
        decision, step = _download(types, last, policy, stopped)
        steps = (*steps, step)
    return _Decided(last.decision, decision, steps, judged[0].decision.inspect_rules, stopped)


def _limits(
    state: StateFolder, policy: Policy, limits: Sequence[Limit], client: Client, row: VisitRow
) -> tuple[HeldLimit, ...]:
    day = row.started_at.astimezone(zone_of(policy)).date()
    left = left_on(day, state.spool, limits, client) if is_known_of(day, state.spool) else []
    stopped_by = row.rule if row.cause is Cause.LIMIT else None
    return held_limits(limits, left, stopped_by, is_closed=row.verdict is Verdict.BLOCK)


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


def _first_visits(state: StateFolder) -> FirstVisits | None:
    """Read when sites were first visited; without it nothing is newly seen."""
    try:
        return FirstVisits.from_bytes(state.first_visits.read_bytes())
    except (OSError, FirstVisitsError):
        return None


def _opened_by(row: VisitRow, snapshot: PolicySnapshot) -> str | None:
    """Return the access that opened the site; what a record names may have lifted a limit there alone."""
    lifting = {exemption.id for exemption in snapshot.exemptions if exemption.lifts_limits}
    return row.exemption if row.exemption not in lifting else None


def _seen_path(row: VisitRow, snapshot: PolicySnapshot) -> str | None:
    """Return as much of the path as the record knows: that of the access to a page, or of the URL entry."""
    for exemption in snapshot.exemptions:
        if exemption.id == row.exemption and exemption.path:
            return exemption.path
    _, slash, path = (row.entry or "").partition("/")
    return slash + path if slash else None
