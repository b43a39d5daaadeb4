"""Today: is all well, and what happened since midnight. For IT."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from starlette.requests import Request
from starlette.responses import Response

from admin import kept_policies, roles
from admin.asking import AccessRequest, NotAllowedError
from admin.database import Database, DatabaseError
from admin.kept_policies import KeptSize
from admin.outbox import Channel
from admin.overview import Overview, overview
from admin.visit_log.sizes import LogSize, size_of
from admin.web.page import admin_of, has_duty, page
from admin.web.session_cookie import signed_in
from admin.worker_facts import newest_facts
from policy.worker_facts import CA_WARNED_BEFORE

logger = logging.getLogger(__name__)


async def today_page(http_request: Request) -> Response:
    """Show problems first, then numbers that lead to what they count."""
    admin = admin_of(http_request)
    signed_in(http_request)
    if not has_duty(http_request, roles.sees_visits):
        raise NotAllowedError("the overview is for those who see visits")
    now = admin.now()
    midnight = datetime.combine(now.astimezone(admin.zone).date(), time(), tzinfo=admin.zone)
    lists = await admin.site_lists.in_force()
    return await page(
        http_request,
        "today.html",
        troubles=await _troubles(http_request),
        lacks_mail=has_duty(http_request, roles.runs_towngate)
        and not admin.correspondence.is_set(Channel.MAIL),
        behind=admin.visits_behind,
        problems=admin.policy_problems,
        numbers=await _numbers(admin.db, midnight, now),
        lists=lists,
        sources=await asyncio.to_thread(admin.lists.standing, lists),
        authority=await _authority(http_request),
        line_in_use=await admin.heavy.line_in_use(),
        log_size=await _log_size(admin.db, now),
        kept_size=await _kept_size(admin.db),
    )


async def _numbers(db: Database, midnight: datetime, now: datetime) -> Overview | None:
    """Return the day's numbers, None when they cannot be read: the rest of the page says what is not well."""
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


@dataclass(frozen=True, slots=True)
class _Authority:
    """The town's certificate authority: when it ends (aware UTC), and whether it soon does or has."""

    ends_at: datetime
    ends_soon: bool
    has_ended: bool
    has_next: bool


async def _authority(http_request: Request) -> _Authority | None:
    """Return what workers say of the authority in force; None before the first has said so."""
    admin = admin_of(http_request)
    now = admin.now()
    facts = await asyncio.to_thread(newest_facts, admin.state.spool, now)
    if facts is None or facts.ca_ends_at is None:
        return None
    ends_at = facts.ca_ends_at
    return _Authority(ends_at, ends_at - now <= CA_WARNED_BEFORE, ends_at <= now, facts.has_next_ca)


async def _troubles(http_request: Request) -> tuple[str, ...]:
    admin = admin_of(http_request)
    troubles = (
        *admin.troubles(),
        *await admin.correspondence.troubles(),
        *_waiting_for_nobody(await admin.request_views.of_nobody()),
    )
    if troubles and not has_duty(http_request, roles.runs_towngate):
        return ("Part of Towngate is not well. IT sees what.",)
    return troubles


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
