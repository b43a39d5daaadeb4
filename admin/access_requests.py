"""Access requests in the database: every move is compare-and-set, with its event, in one transaction.

A refused move is recorded too, with its actor. What a request is and who may decide: `asking`.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, time
from typing import NoReturn
from zoneinfo import ZoneInfo

from admin import access_request_lists, audit, exemptions, request_letters
from admin.access_request_lists import get
from admin.asking import (
    AccessRequest,
    AlreadyOpenError,
    ForWhom,
    InvalidRequestError,
    NewAccessRequest,
    NotAllowedError,
    State,
    TransitionError,
    Window,
    answer_times,
    asked_end,
    deciders,
    deciders_of,
    may_open,
    may_stop,
    never_allowed,
    opens_until,
    risks_of,
    site_of,
    took_part,
)
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Transaction
from admin.written_text import tidy_text
from policy.state import Exemption
from policy.town_policy import AfterApproval, Approver, Policy
from policy.town_time import zone_of

# Every move there is, and the event that tells of it.
_MOVES: Mapping[tuple[State, State], EventKind] = {
    (State.SUBMITTED, State.SUBMITTED): EventKind.REQUEST_ENDORSED,
    (State.SUBMITTED, State.APPROVED): EventKind.REQUEST_APPROVED,
    (State.SUBMITTED, State.DENIED): EventKind.REQUEST_DENIED,
    (State.SUBMITTED, State.WITHDRAWN): EventKind.REQUEST_WITHDRAWN,
    (State.SUBMITTED, State.AWAITS_OPENING): EventKind.REQUEST_APPROVED,
    (State.AWAITS_OPENING, State.APPROVED): EventKind.REQUEST_OPENED,
    (State.AWAITS_OPENING, State.STOPPED): EventKind.REQUEST_STOPPED,
    (State.APPROVED, State.STOPPED): EventKind.REQUEST_STOPPED,
}


async def submit(db: Database, policy: Policy, new: NewAccessRequest, at: datetime) -> AccessRequest:
    """Send a request to its first approver; one that renews another asks for its further hosts, too.

    Raises InvalidRequestError, also for what the policy never allows, for longer than its longest and
    for more than it lets one person ask a day; AlreadyOpenError when the person's request for the same
    site is not decided yet.
    """
    site = site_of(new.host) if new.window is None else ""
    terms = policy.asking
    if never_allowed(
        policy, (*new.risks, new.category or "", *(new.window.categories if new.window else ()))
    ):
        raise InvalidRequestError(
            "host", f"{site or 'What you chose'} is never allowed; {_help_desk(policy)} can say more"
        )
    reason = tidy_text("reason", new.reason, "Enter what you need it for")
    if new.window is None and new.duration not in terms.longest.up_to():
        raise InvalidRequestError("duration", "That is longer than the town allows. Choose another time")
    if not new.chain:
        raise InvalidRequestError(
            "host", f"Nobody can allow {site or 'what you chose'}; the help desk can say more"
        )
    if not all(deciders_of(policy, role, new.person, new.department) for role in new.chain):
        raise InvalidRequestError("host", "There is nobody who could decide this; call the help desk")
    if new.for_whom is ForWhom.DEPARTMENT and new.department is None:
        raise InvalidRequestError("for_whom", "You belong to no department; ask for yourself")
    sent_by = new.sent_by or new.person
    async with db.transaction() as t:
        sent = await access_request_lists.count_sent(t, new.person, _day_begins(at, zone_of(policy)))
        if sent >= terms.per_day:
            raise InvalidRequestError(
                "reason",
                f"You have sent {sent} requests today, as many as a day has."
                f" Ask again tomorrow, or call {_help_desk(policy)}",
            )
        open_already = await access_request_lists.open_request_of(t, site, new.person)
        if open_already is not None:
            raise AlreadyOpenError(open_already)
        id_ = await t.insert(
            "INSERT INTO access_request (state, host, person, department, for_whom, reason, duration, rule,"
            " category, entry, source, code, policy_version, browser, risks, chain, submitted_at, remind_at,"
            " due_at, renews, kind, asked)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            State.SUBMITTED.value,
            site,
            new.person,
            new.department,
            new.for_whom.value,
            reason,
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
            new.kind.value,
            json.dumps(_asked(new.window)),
        )
        if new.renews is not None:
            await _copy_hosts(t, new.renews, id_, added_by=sent_by, at=at)
        request = await get(t, id_)
        details: dict[str, Detail] = {
            "after": request.state.value,
            "host": site,
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
            "asked": json.dumps(_asked(new.window)),
        }
        await audit.record(t, Event(EventKind.REQUEST_SUBMITTED, sent_by, request.number, at, details))
        await request_letters.put(t, policy, request, at)
    return request


async def approve(
    db: Database,
    policy: Policy,
    id_: int,
    *,
    actor: str,
    at: datetime,
    seen_step: int | None = None,
    seen_hosts: Collection[str] | None = None,
    seen_joined: Collection[str] | None = None,
    expires_at: datetime | None = None,
) -> AccessRequest:
    """Agree for the present step; the last one opens access until `expires_at`, or leaves that to IT.

    `seen_step` is the step that the person was shown: an answer sent twice never answers two steps.
    `seen_hosts` are the further hosts that they were shown, `seen_joined` who had joined:
    InvalidRequestError when there are others meanwhile. `expires_at` (default: as asked) is after `at` and
    not later than the policy's longest. What the policy never allows by now nobody allows.
    Raises UnknownRequestError, NotAllowedError, TransitionError, ValueError for the expiry.
    """

    async def agree(t: Transaction, request: AccessRequest) -> None:
        if seen_hosts is not None and set(seen_hosts) != set(request.hosts):
            raise InvalidRequestError("hosts", "Hosts were added meanwhile. Look at them, then decide")
        if seen_joined is not None and set(seen_joined) != set(request.askers[1:]):
            raise InvalidRequestError("joined", "Others joined meanwhile. Look who, then decide")
        if request.step + 1 < len(request.chain):
            await _move(t, policy, request, State.SUBMITTED, actor=actor, at=at)
            return
        ends_at = _end(policy, request, at, expires_at)
        answers = [*await _answers(t, request), (request.waits_for, actor)]
        accepted_risks = _accepted_risks(policy, request, answers)
        details: dict[str, Detail] = {
            "expires_at": ends_at.isoformat(),
            "accepted_risks": sorted(accepted_risks),
        }
        if policy.after_approval is AfterApproval.WAIT_FOR_IT:
            await _move(
                t,
                policy,
                request,
                State.AWAITS_OPENING,
                actor=actor,
                at=at,
                details=details,
                approved_until=ends_at,
            )
            return
        await _move(t, policy, request, State.APPROVED, actor=actor, at=at, details=details)
        await _grant(t, request, _exemption(request, accepted_risks, at, ends_at), approved_by=actor)

    def refusal(request: AccessRequest) -> _Refusal | None:
        refused = _may_not_decide(policy, request, actor, seen_step)
        if refused is None and never_allowed(policy, _asked_categories(request)):
            return NotAllowedError(f"The policy never allows what {request.number} is for.")
        return refused

    return await _attempt(db, policy, id_, actor, at, "approve", refusal, agree)


async def open_access(db: Database, policy: Policy, id_: int, *, actor: str, at: datetime) -> AccessRequest:
    """Open what was approved, as asking.opens_until says how long.

    Raises as withdraw does, and InvalidRequestError for a window that is over.
    """

    async def grant(t: Transaction, request: AccessRequest) -> None:
        ends_at = opens_until(request, at)
        if ends_at is None:
            raise InvalidRequestError("window", f"The time that {request.number} is for is over")
        accepted_risks = _accepted_risks(policy, request, await _answers(t, request))
        details: dict[str, Detail] = {
            "expires_at": ends_at.isoformat(),
            "accepted_risks": sorted(accepted_risks),
        }
        await _move(t, policy, request, State.APPROVED, actor=actor, at=at, details=details)
        exemption = _exemption(request, accepted_risks, at, ends_at)
        await _grant(t, request, exemption, approved_by=request.decided_by or actor)

    def refusal(request: AccessRequest) -> _Refusal | None:
        if not may_open(policy, request, actor):
            return NotAllowedError(f"{request.number} is for IT to open, not for {actor}")
        return None if request.state is State.AWAITS_OPENING else too_late(request)

    return await _attempt(db, policy, id_, actor, at, "open", refusal, grant)


async def deny(
    db: Database,
    policy: Policy,
    id_: int,
    *,
    actor: str,
    at: datetime,
    reason: str,
    seen_step: int | None = None,
) -> AccessRequest:
    """Do not allow; the asker reads `reason` (1 to 500 characters).

    Raises as approve does, and InvalidRequestError for the reason.
    """
    note = tidy_text("reason", reason, "Enter why, so that the asker knows")

    async def disagree(t: Transaction, request: AccessRequest) -> None:
        await _move(t, policy, request, State.DENIED, actor=actor, at=at, note=note)

    def refusal(request: AccessRequest) -> _Refusal | None:
        return _may_not_decide(policy, request, actor, seen_step)

    return await _attempt(db, policy, id_, actor, at, "deny", refusal, disagree)


async def withdraw(db: Database, policy: Policy, id_: int, *, actor: str, at: datetime) -> AccessRequest:
    """Take one's own request back before it is decided. Raises as approve does."""

    async def take_back(t: Transaction, request: AccessRequest) -> None:
        await _move(t, policy, request, State.WITHDRAWN, actor=actor, at=at)

    def refusal(request: AccessRequest) -> _Refusal | None:
        if actor != request.person:
            return NotAllowedError(f"{request.number} is another person's request")
        return None if request.state is State.SUBMITTED else too_late(request)

    return await _attempt(db, policy, id_, actor, at, "withdraw", refusal, take_back)


async def stop(
    db: Database, policy: Policy, id_: int, *, actor: str, at: datetime, reason: str
) -> AccessRequest:
    """End access that was granted or approved, now; the asker reads `reason`. Raises as deny does."""
    note = tidy_text("reason", reason, "Enter why, so that the asker knows")

    async def end(t: Transaction, request: AccessRequest) -> None:
        await _move(t, policy, request, State.STOPPED, actor=actor, at=at, note=note)
        await exemptions.stop(t, request.id, stopped_by=actor, at=at)

    def refusal(request: AccessRequest) -> _Refusal | None:
        if not may_stop(policy, request, actor):
            return NotAllowedError(f"{actor} has no say over access by {request.number}")
        is_live = request.state_at(at) in (State.APPROVED, State.AWAITS_OPENING)
        return None if is_live else too_late(request)

    return await _attempt(db, policy, id_, actor, at, "stop", refusal, end)


async def leave(
    t: Transaction, before: Policy, after: Policy, person: str, *, actor: str, at: datetime
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """End what a person asked for who leaves, and pass on what waits for them; `after` is without them.

    Return the numbers of the requests that were withdrawn, of those by which they had access that is stopped,
    and of those that were passed on. Access of a department, and what waits for it, stays; so does what
    others joined or they only joined, for the others: what is not open yet is then the one's who joined
    first.
    """
    await exemptions.stop_of(t, person, stopped_by=actor, at=at)
    await t.execute(
        "DELETE FROM access_request_joiner WHERE person = ? AND access_request IN ("
        "SELECT id FROM access_request WHERE state IN ('submitted', 'awaits_opening'))",
        person,
    )
    rows = await t.fetch_all(
        "SELECT id FROM access_request WHERE person = ? AND (state = 'submitted'"
        " OR (state IN ('awaits_opening', 'approved') AND for_whom = 'person')) ORDER BY id",
        person,
    )
    ended: dict[State, list[str]] = {State.WITHDRAWN: [], State.STOPPED: []}
    for row in rows:
        request = await get(t, row["id"])
        if request.state_at(at) is State.ENDED:
            continue
        if request.state is not State.APPROVED and request.joined:
            await _hand_on(t, request, actor=actor, at=at)
            await request_letters.put(t, after, await get(t, request.id), at)
            continue
        if await exemptions.are_live(t, request.id, at):
            ended[State.STOPPED].append(request.number)
            continue
        new_state = State.WITHDRAWN if request.state is State.SUBMITTED else State.STOPPED
        await _move(t, before, request, new_state, actor=actor, at=at)
        await request_letters.put(t, after, await get(t, request.id), at)
        ended[new_state].append(request.number)
    waiting = await access_request_lists.to_decide(t, before, person)
    for request in waiting:
        await request_letters.put(t, after, request, at)
    passed_on = tuple(request.number for request in waiting)
    return tuple(ended[State.WITHDRAWN]), tuple(ended[State.STOPPED]), passed_on


async def _hand_on(t: Transaction, request: AccessRequest, *, actor: str, at: datetime) -> None:
    """Make a request the one's who joined it first."""
    first = request.joined[0]
    await t.execute(
        "UPDATE access_request SET person = ?, browser = ? WHERE id = ?",
        first.person,
        first.browser,
        request.id,
    )
    await t.execute(
        "DELETE FROM access_request_joiner WHERE access_request = ? AND person = ?", request.id, first.person
    )
    details: dict[str, Detail] = {"before": request.person, "person": first.person}
    await audit.record(t, Event(EventKind.REQUEST_HANDED_ON, actor, request.number, at, details))


async def refuse(db: Database, id_: int, *, actor: str, at: datetime, why: str) -> NoReturn:
    """Record an attempt by someone who can decide nothing here, and raise NotAllowedError.

    Raises UnknownRequestError when there is no such request.
    """
    request = await get(db, id_)
    async with db.transaction() as t:
        await record_refusal(t, request, NotAllowedError(why), actor=actor, at=at, what="decide")
    raise NotAllowedError(why)


type _Refusal = NotAllowedError | TransitionError


async def _attempt(
    db: Database,
    policy: Policy,
    id_: int,
    actor: str,
    at: datetime,
    what: str,
    refusal: Callable[[AccessRequest], _Refusal | None],
    change: Callable[[Transaction, AccessRequest], Awaitable[None]],
) -> AccessRequest:
    """Make a move and put its letters, or record that it was refused and raise why; in one transaction."""
    async with db.transaction() as t:
        request = await get(t, id_)
        refused = refusal(request)
        if refused is None:
            await change(t, request)
            moved = await get(t, id_)
            await request_letters.put(t, policy, moved, at)
            return moved
        await record_refusal(t, request, refused, actor=actor, at=at, what=what)
    raise refused


async def record_refusal(
    t: Transaction, request: AccessRequest, refused: Exception, *, actor: str, at: datetime, what: str
) -> None:
    """Record that a move was refused, with its actor."""
    details: dict[str, Detail] = {"move": what, "state": request.state.value, "why": str(refused)}
    await audit.record(t, Event(EventKind.REQUEST_MOVE_REFUSED, actor, request.number, at, details))


type _Answers = list[tuple[Approver | None, str]]


async def _answers(t: Transaction, request: AccessRequest) -> _Answers:
    """Return who answered so far, and for which role."""
    return [(move.role, move.actor) for move in await access_request_lists.time_line(t, request)]


def _accepted_risks(policy: Policy, request: AccessRequest, answers: _Answers) -> frozenset[str]:
    """Return the risks that IT security was asked about, if one of IT security gave that answer.

    Who stands in for IT security accepts no risk, and what becomes one later was never accepted.
    """
    asked_about = risks_of(policy, request)
    if not asked_about:
        return frozenset()
    it_security = policy.roles.get(Approver.IT_SECURITY.value, ())
    is_accepted = any(role is Approver.IT_SECURITY and who in it_security for role, who in answers)
    return asked_about if is_accepted else frozenset()


def _exemption(
    request: AccessRequest, accepted_risks: frozenset[str], at: datetime, ends_at: datetime
) -> Exemption:
    return Exemption(
        id="",
        host=request.host,
        granted_at=max(at, request.window.begins_at) if request.window is not None else at,
        expires_at=ends_at,
        categories=frozenset(request.window.categories if request.window is not None else ()),
        person=request.person if request.for_whom is ForWhom.PERSON else None,
        department=request.department if request.for_whom is ForWhom.DEPARTMENT else None,
        accepted_risks=accepted_risks,
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


async def _grant(t: Transaction, request: AccessRequest, exemption: Exemption, approved_by: str) -> None:
    """Open the site, and what its pages need, for each who asked."""
    await exemptions.grant(t, request.id, exemption, approved_by=approved_by)
    if request.renews is not None:
        await exemptions.end_renewed(t, request.renews, exemption, request.hosts)
    if exemption.person is not None:
        for joined in request.joined:
            own = replace(exemption, person=joined.person)
            await exemptions.grant(t, request.id, own, approved_by=approved_by)
    for host in request.hosts:
        await exemptions.widen(t, request.id, host, approved_by=approved_by, at=exemption.granted_at)


async def _move(
    t: Transaction,
    policy: Policy,
    request: AccessRequest,
    after: State,
    *,
    actor: str,
    at: datetime,
    note: str | None = None,
    details: Mapping[str, Detail] | None = None,
    approved_until: datetime | None = None,
) -> None:
    """Compare with the state that was read, set the new one, record the event."""
    kind = _MOVES[request.state, after]
    answers = request.waits_for if after is not State.WITHDRAWN else None
    moved = await t.execute(
        "UPDATE access_request SET state = ?, step = step + ?, remind_at = ?, due_at = ?, decided_at = ?,"
        " decided_by = ?, note = ?, approved_until = coalesce(?, approved_until)"
        " WHERE id = ? AND state = ? AND step = ?",
        after.value,
        after is State.SUBMITTED,
        *(
            map(to_ms, answer_times(policy, at))
            if after is State.SUBMITTED
            else (None, to_ms(request.due_at))
        ),
        to_ms(at),
        actor,
        note,
        to_ms(approved_until) if approved_until is not None else None,
        request.id,
        request.state.value,
        request.step,
    )
    if not moved:
        raise too_late(request)
    moved_details: dict[str, Detail] = {
        "before": request.state.value,
        "after": after.value,
        "role": answers.value if answers else None,
        "note": note,
        **(details or {}),
    }
    await audit.record(t, Event(kind, actor, request.number, at, moved_details))


def _may_not_decide(
    policy: Policy, request: AccessRequest, actor: str, seen_step: int | None
) -> _Refusal | None:
    if actor in request.askers:
        return NotAllowedError("This is your own request. It goes to someone else.")
    is_present = seen_step is None or seen_step == request.step
    if actor in deciders(policy, request) and is_present:
        return None
    if actor in took_part(policy, request):
        return too_late(request)
    if request.state is State.SUBMITTED:
        return NotAllowedError(f"{request.number} does not wait for {actor}")
    return NotAllowedError(f"{actor} has no say in {request.number}")


def _end(policy: Policy, request: AccessRequest, at: datetime, expires_at: datetime | None) -> datetime:
    """Return when access ends that is allowed at `at`; raises ValueError for what may not be chosen."""
    window = request.window
    latest = window.ends_at if window is not None else policy.asking.longest.end(at, zone_of(policy))
    ends_at = expires_at or asked_end(policy, request, at)
    begins_at = max(at, window.begins_at) if window is not None else at
    if not begins_at < ends_at <= latest:
        raise ValueError(
            f"access may end between {begins_at.isoformat()} and {latest.isoformat()},"
            f" not at {ends_at.isoformat()}"
        )
    return ends_at


def _asked_categories(request: AccessRequest) -> tuple[str, ...]:
    return (*request.risks, request.category or "", *(request.window.categories if request.window else ()))


def _asked(window: Window | None) -> dict[str, object]:
    if window is None:
        return {}
    return {
        "categories": list(window.categories),
        "begins_at": to_ms(window.begins_at),
        "ends_at": to_ms(window.ends_at),
    }


def _day_begins(at: datetime, zone: ZoneInfo) -> datetime:
    return datetime.combine(at.astimezone(zone).date(), time(), tzinfo=zone)


def _help_desk(policy: Policy) -> str:
    phone = policy.town.help_desk_phone
    return f"the help desk, {phone}," if phone else "the help desk"


def too_late(request: AccessRequest) -> TransitionError:
    """Return what tells that somebody else was first."""
    if request.state is State.SUBMITTED:
        return TransitionError(request, f"{request.number} went on to its next approver")
    return TransitionError(request, f"{request.number} is decided: it is {request.state.value}")
