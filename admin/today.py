"""Today: is all well, and what happened since midnight. For those who see visits."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from admin import kept_policies, roles
from admin.admin_process import AdminProcess
from admin.asking import AccessRequest
from admin.database import Database, DatabaseError
from admin.ingest import IngestStatus
from admin.kept_policies import KeptSize
from admin.list_updates import Freshness, SourceStanding
from admin.outbox import Channel
from admin.overview import Overview, overview
from admin.sessions import Session
from admin.visit_log.sizes import LogSize, size_of
from admin.worker_facts import newest_facts
from categories.snapshot import CategorySnapshot
from policy.worker_facts import CA_WARNED_BEFORE

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Authority:
    """The town's certificate authority: when it ends (aware UTC), and whether it soon does or has."""

    ends_at: datetime
    ends_soon: bool
    has_ended: bool
    has_next: bool


@dataclass(frozen=True, slots=True)
class Today:
    """What is not well, and numbers.

    `troubles` are told to IT security alone; others are told that there are some. `problems` are those of
    policy.yaml as it is now. `behind` is None while the visit log is up to date, `numbers`, `log_size` and
    `kept_size` where they cannot be read, `lists` where none can, `authority` before a worker spoke of it,
    `line_in_use` where the line's capacity is not known. `is_limited`: a lockdown is on, or the filter off.
    """

    troubles: Sequence[str]
    lacks_mail: bool
    behind: IngestStatus | None
    problems: Sequence[str]
    numbers: Overview | None
    lists: CategorySnapshot | None
    sources: Sequence[SourceStanding]
    authority: Authority | None
    line_in_use: float | None
    log_size: LogSize | None
    kept_size: KeptSize | None
    is_limited: bool

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to look into."""
        is_ending = self.authority is not None and self.authority.ends_soon
        are_fresh = all(source.freshness is Freshness.FRESH for source in self.sources)
        are_there = self.numbers is not None and self.lists is not None
        not_well = (self.troubles, self.behind, self.problems, is_ending, self.is_limited)
        return are_there and are_fresh and not any(not_well)


async def today(admin: AdminProcess, session: Session) -> Today:
    """Look at everything. Raises NotAllowedError but for those who see visits."""
    policy = admin.policy
    person = roles.person_with(roles.sees_visits, policy, session, "the overview is for those who see visits")
    runs_it, emergency = roles.runs_towngate(policy, person), admin.emergency
    now = admin.now()
    midnight = datetime.combine(now.astimezone(admin.zone).date(), time(), tzinfo=admin.zone)
    lists = await admin.site_lists.in_force()
    return Today(
        troubles=await _troubles(admin, runs_it=runs_it),
        lacks_mail=runs_it and not admin.correspondence.is_set(Channel.MAIL),
        behind=admin.visits_behind,
        problems=admin.policy_problems,
        numbers=await _numbers(admin.db, midnight, now),
        lists=lists,
        sources=await asyncio.to_thread(admin.lists.standing, lists),
        authority=await _authority(admin, now),
        line_in_use=await admin.heavy.line_in_use(),
        log_size=await _log_size(admin.db, now),
        kept_size=await _kept_size(admin.db),
        is_limited=bool(emergency.lockdowns) or emergency.filter_off is not None,
    )


async def _numbers(db: Database, midnight: datetime, now: datetime) -> Overview | None:
    """Return the day's numbers, None when they cannot be read: the rest says what is not well."""
    try:
        return await overview(db, midnight, now)
    except (sqlite3.DatabaseError, DatabaseError) as error:
        logger.error("no numbers of today: error=%s", error)
        return None


async def _log_size(db: Database, now: datetime) -> LogSize | None:
    """Return what the visit log takes, None when it cannot be read."""
    try:
        return await size_of(db.visits, now)
    except (OSError, sqlite3.DatabaseError, DatabaseError) as error:
        logger.error("size of the visit log not known: error=%s", error)
        return None


async def _kept_size(db: Database) -> KeptSize | None:
    """Return what the policies of all days take, None when they cannot be read."""
    try:
        return await kept_policies.size_of(db)
    except sqlite3.DatabaseError as error:
        logger.error("size of the policies kept not known: error=%s", error)
        return None


async def _authority(admin: AdminProcess, now: datetime) -> Authority | None:
    """Return what workers say of the authority in force; None before the first has said so."""
    facts = await asyncio.to_thread(newest_facts, admin.state.spool, now)
    if facts is None or facts.ca_ends_at is None:
        return None
    ends_at = facts.ca_ends_at
    return Authority(ends_at, ends_at - now <= CA_WARNED_BEFORE, ends_at <= now, facts.has_next_ca)


async def _troubles(admin: AdminProcess, *, runs_it: bool) -> tuple[str, ...]:
    troubles = (
        *admin.troubles(),
        *await admin.correspondence.troubles(),
        *_waiting_for_nobody(await admin.request_views.of_nobody()),
    )
    return troubles if runs_it or not troubles else ("Part of Towngate is not well. IT sees what.",)


def _waiting_for_nobody(requests: Sequence[AccessRequest]) -> tuple[str, ...]:
    """Say it in one line, however many they are: their list may be long after a change of roles."""
    match len(requests):
        case 0:
            return ()
        case 1:
            waiting, them = f"{requests[0].number} waits", "it"
        case many:
            waiting, them = f"{requests[0].number} and {many - 1:,} more wait", "them"
    return (f"{waiting} for nobody: only those who asked could answer {them}. Name another in the policy",)
