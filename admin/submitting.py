"""Sending a request: what its form may say, and what becomes of it at once."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

from admin import audit, joining, never_granted, own_requests, request_letters
from admin.asked import Kind, as_json
from admin.asked import details as asked_details
from admin.asking import (
    AccessRequest,
    AlreadyOpenError,
    ForWhom,
    InvalidRequestError,
    JoinInsteadError,
    NeverGrantedError,
    NewAccessRequest,
    NotAllowedError,
    State,
    TooMuchError,
    site_of,
)
from admin.asking_terms import answer_times, durations_of, stops_downloads
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Transaction
from admin.deciders import agrees_by_proposing, deciders_of
from admin.never_granted import Listed
from admin.request_moves import left, move
from admin.stored_requests import get
from admin.written_text import tidy_text
from policy.access_duration import Duration
from policy.town_policy import Policy
from policy.town_time import zone_of


async def submit(
    db: Database,
    policy: Policy,
    listed: Listed,
    new: NewAccessRequest,
    at: datetime,
    then: Callable[[Transaction, AccessRequest], Awaitable[None]] | None = None,
) -> AccessRequest:
    """Send a request to its first approver; one that renews another asks for its further hosts, too.

    `listed` says how sites are listed now. `then` is what becomes of it at once, in the same transaction.
    Raises InvalidRequestError: of these NeverGrantedError, and TooMuchError for longer than the policy's
    longest or more than it lets one person ask a day, are recorded; NotAllowedError for who was closed
    meanwhile, recorded; AlreadyOpenError when the person's request for the same is not decided yet;
    JoinInsteadError when a colleague's is not, and it can be joined.
    """
    site = site_of(new.host) if new.host else ""
    try:
        return await _submit(db, policy, listed, new, site, at, then)
    except (NeverGrantedError, NotAllowedError, TooMuchError) as error:
        about = site or new.kind.value.replace("_", " ")
        details: dict[str, Detail] = {"move": "ask", "kind": new.kind.value, "why": str(error)}
        async with db.transaction() as t:
            refused = Event(EventKind.REQUEST_MOVE_REFUSED, new.sent_by or new.person, about, at, details)
            await audit.record(t, refused)
        raise


async def _submit(
    db: Database,
    policy: Policy,
    listed: Listed,
    new: NewAccessRequest,
    site: str,
    at: datetime,
    then: Callable[[Transaction, AccessRequest], Awaitable[None]] | None,
) -> AccessRequest:
    terms = policy.asking
    await _refuse_never_granted(policy, listed, replace(new, host=site))
    reason = tidy_reason(new.reason)
    _check(policy, new, site)
    sent_by = new.sent_by or new.person
    async with db.transaction() as t:
        gone = await left(t, new.person, sent_by)
        if gone is not None:
            raise gone
        sent = await own_requests.count_sent(t, sent_by, day_begins(at, zone_of(policy)))
        if sent >= terms.per_day and new.kind is not Kind.INTERNET_ACCOUNT:
            raise TooMuchError(
                "reason",
                f"You have sent {sent} requests today, as many as a day has."
                f" Ask again tomorrow, or call {_help_desk(policy)}",
            )
        open_already = await own_requests.open_request_of(
            t,
            site,
            new.person,
            new.kind,
            at,
            new.asked if new.kind in (Kind.STANDING, Kind.DEVICE) else None,
            path=new.path,
            rule=new.rule,
            is_of_rule=stops_downloads(policy, new.rule),
        )
        if open_already is not None and not open_already.is_enough_for(new.duration):
            open_already = None
        if open_already is None and new.renews is not None:
            open_already = await own_requests.open_renewal(t, new.renews, new.person, at)
        if open_already is not None:
            raise AlreadyOpenError(open_already)
        others = await joining.to_join_instead(t, policy, replace(new, host=site), at)
        if others is not None:
            raise JoinInsteadError(others)
        id_ = await _insert(t, policy, replace(new, host=site, reason=reason), at)
        if new.renews is not None and not new.hosts:
            await _copy_hosts(t, new.renews, id_, added_by=sent_by, at=at)
        for host in new.hosts:
            await _ask_for_host(t, id_, host, added_by=sent_by, at=at)
        request = await get(t, id_)
        if new.renews is not None:
            await _refuse_never_granted(policy, listed, request)
        await audit.record(
            t, Event(EventKind.REQUEST_SUBMITTED, sent_by, request.number, at, _details(new, request))
        )
        if then is not None:
            await then(t, request)
            request = await get(t, id_)
        elif agrees_by_proposing(policy, request):
            await move(t, policy, request, State.SUBMITTED, actor=sent_by, at=at)
            request = await get(t, id_)
        await request_letters.put(t, policy, request, at)
    return request


def tidy_reason(reason: str) -> str:
    """Return what somebody needs it for, tidied. Raises InvalidRequestError."""
    return tidy_text("reason", reason, "Enter what you need it for")


def _check(policy: Policy, new: NewAccessRequest, site: str) -> None:
    """Raise InvalidRequestError for what the policy has nobody ask, or nobody decide."""
    offered = durations_of(policy, new.kind, new.rule)
    if new.asked is None and new.duration not in offered:
        if new.duration in (Duration.ONCE, *offered[-1].up_to()):
            raise InvalidRequestError("duration", "It cannot be asked for so. Choose another time")
        raise TooMuchError("duration", "That is longer than the town allows. Choose another time")
    if not new.chain:
        raise InvalidRequestError(
            "host", f"Nobody can allow {site or 'what you chose'}; the help desk can say more"
        )
    if not all(
        deciders_of(policy, role, new.person, new.department, asked_for_by=new.asked_for_by)
        for role in new.chain
    ):
        raise InvalidRequestError("host", "There is nobody who could decide this; call the help desk")
    if new.for_whom is ForWhom.DEPARTMENT and new.department is None:
        raise InvalidRequestError("for_whom", "You belong to no department; ask for yourself")
    if new.for_whom is ForWhom.DEPARTMENT and new.duration is Duration.ONCE:
        raise InvalidRequestError(
            "for_whom", "One download is for one person. Choose just me, or all of them for today"
        )


async def _insert(t: Transaction, policy: Policy, new: NewAccessRequest, at: datetime) -> int:
    return await t.insert(
        "INSERT INTO access_request (state, host, person, department, for_whom, reason, duration, rule,"
        " category, entry, source, code, policy_version, browser, risks, chain, submitted_at, remind_at,"
        " due_at, renews, sent_by, kind, asked, path)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        State.SUBMITTED.value,
        new.host,
        new.person,
        new.department,
        new.for_whom.value,
        new.reason,
        new.duration.value,
        new.rule,
        new.category,
        new.entry,
        new.source,
        new.code,
        new.policy_version,
        new.browser,
        json.dumps(new.risks),
        json.dumps([role.value for role in new.chain]),
        to_ms(at),
        *map(to_ms, answer_times(policy, at)),
        new.renews,
        new.sent_by if new.sent_by != new.person else None,
        new.kind.value,
        json.dumps(as_json(new.asked)),
        new.path,
    )


def _details(new: NewAccessRequest, request: AccessRequest) -> dict[str, Detail]:
    return {
        "after": request.state.value,
        "host": request.host,
        "path": request.path or None,
        "for_whom": new.for_whom.value,
        "duration": new.duration.value,
        "chain": [role.value for role in new.chain],
        "rule": new.rule,
        "category": new.category,
        "risks": list(new.risks),
        "code": new.code,
        "policy_version": new.policy_version,
        "person": new.person,
        "renews": new.renews,
        "hosts": list(request.hosts),
        "kind": new.kind.value,
        "asked": json.dumps(as_json(request.window)),
        **asked_details(new.asked),
    }


async def _ask_for_host(t: Transaction, id_: int, host: str, *, added_by: str, at: datetime) -> None:
    await t.execute(
        "INSERT INTO access_request_host (access_request, host, added_by, added_at) VALUES (?, ?, ?, ?)",
        id_,
        host,
        added_by,
        to_ms(at),
    )


async def _copy_hosts(t: Transaction, renewed: int, id_: int, *, added_by: str, at: datetime) -> None:
    """Let a request ask for what the one that it renews covers: whoever decides sees all that opens."""
    await t.execute(
        "INSERT INTO access_request_host (access_request, host, added_by, added_at)"
        " SELECT ?, host, ?, ? FROM access_request_host WHERE access_request = ?",
        id_,
        added_by,
        to_ms(at),
        renewed,
    )


async def _refuse_never_granted(
    policy: Policy, listed: Listed, request: NewAccessRequest | AccessRequest
) -> None:
    what = await never_granted.never_granted(policy, listed, request)
    if what is not None:
        raise NeverGrantedError(
            "host", f"{what or 'What you chose'} is never allowed; {_help_desk(policy)} can say more"
        )


def day_begins(at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the town's day began that an instant is of."""
    return datetime.combine(at.astimezone(zone).date(), time(), tzinfo=zone)


def _help_desk(policy: Policy) -> str:
    phone = policy.town.help_desk_phone
    return f"the help desk, {phone}," if phone else "the help desk"
