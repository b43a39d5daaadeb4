"""How a request for access moves: compared with the state that was read, set, recorded, in one transaction.

A move that is refused is recorded too, with its actor. Which moves there are for whom: `access_requests`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from admin import audit, never_granted, request_letters
from admin.asked import Kind
from admin.asking import WAITING, AccessRequest, NeverGrantedError, NotAllowedError, State, TransitionError
from admin.asking_terms import answer_times
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Transaction
from admin.never_granted import Listed
from admin.stored_requests import get
from policy.town_policy import Policy

# Every move there is, and the event that tells of it.
MOVES: Mapping[tuple[State, State], EventKind] = {
    (State.SUBMITTED, State.SUBMITTED): EventKind.REQUEST_ENDORSED,
    (State.SUBMITTED, State.APPROVED): EventKind.REQUEST_APPROVED,
    (State.SUBMITTED, State.DENIED): EventKind.REQUEST_DENIED,
    (State.SUBMITTED, State.WITHDRAWN): EventKind.REQUEST_WITHDRAWN,
    (State.SUBMITTED, State.AWAITS_OPENING): EventKind.REQUEST_APPROVED,
    (State.SUBMITTED, State.AWAITS_SIGNATURE): EventKind.REQUEST_APPROVED,
    (State.AWAITS_SIGNATURE, State.APPROVED): EventKind.REQUEST_SIGNED,
    (State.AWAITS_SIGNATURE, State.AWAITS_OPENING): EventKind.REQUEST_SIGNED,
    (State.AWAITS_SIGNATURE, State.WITHDRAWN): EventKind.REQUEST_WITHDRAWN,
    (State.AWAITS_SIGNATURE, State.STOPPED): EventKind.REQUEST_STOPPED,
    (State.AWAITS_OPENING, State.APPROVED): EventKind.REQUEST_OPENED,
    (State.AWAITS_OPENING, State.WITHDRAWN): EventKind.REQUEST_WITHDRAWN,
    (State.AWAITS_OPENING, State.STOPPED): EventKind.REQUEST_STOPPED,
    (State.APPROVED, State.STOPPED): EventKind.REQUEST_STOPPED,
}
# The one by which a person decides their own: emergency access, which another looks at afterwards.
OWN_MOVES: Mapping[tuple[State, State], EventKind] = {
    (State.SUBMITTED, State.APPROVED): EventKind.REQUEST_OPENED_AT_ONCE,
}

type Refusal = NotAllowedError | TransitionError | NeverGrantedError


async def attempt(
    db: Database,
    policy: Policy,
    id_: int,
    actor: str,
    at: datetime,
    what: str,
    refusal: Callable[[AccessRequest], Refusal | None],
    change: Callable[[Transaction, AccessRequest], Awaitable[None]],
    *,
    towards_access: Listed | None = None,
) -> AccessRequest:
    """Make a move and put its letters, or record that it was refused and raise why; in one transaction.

    A move `towards_access` says how sites are listed: what nobody can be granted is refused, too. What
    `change` raises ValueError for (InvalidRequestError is one) is refused as well: all of it is undone.
    """
    try:
        async with db.transaction() as t:
            request = await get(t, id_)
            refused = refusal(request) or await left(t, actor)
            if refused is None and towards_access is not None:
                refused = await never_granted.refusal(policy, towards_access, request)
            if refused is None:
                await change(t, request)
                moved = await get(t, id_)
                await request_letters.put(t, policy, moved, at)
                return moved
            await record_refusal(t, request, refused, actor=actor, at=at, what=what)
    except ValueError as error:
        async with db.transaction() as t:
            await record_refusal(t, await get(t, id_), error, actor=actor, at=at, what=what)
        raise
    raise refused


async def left(t: Transaction, *people: str) -> NotAllowedError | None:
    """Return what refuses people whom IT closed meanwhile: the policy at hand may be of before."""
    for person in people:
        if await t.fetch_one("SELECT 1 FROM closed_person WHERE person = ? AND reopened_at IS NULL", person):
            return NotAllowedError(f"{person} was closed by IT")
    return None


async def record_refusal(
    t: Transaction, request: AccessRequest, refused: Exception, *, actor: str, at: datetime, what: str
) -> None:
    """Record that a move was refused, with its actor."""
    details: dict[str, Detail] = {"move": what, "state": request.state.value, "why": str(refused)}
    kind = EventKind.REQUEST_MOVE_REFUSED
    await audit.record(t, Event(kind, actor, request.number, at, details, request.department))


async def move(
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
    decided_by: str | None = None,
) -> None:
    """Compare with the state that was read, set the new one, record the event.

    `decided_by` is who is said to have decided where that is not the actor, who signs what others decided.
    """
    own = OWN_MOVES.get((request.state, after)) if request.kind is Kind.EMERGENCY else None
    kind = own or MOVES[request.state, after]
    remind_at, due_at = answer_times(policy, at)
    answers = request.waits_for if after is not State.WITHDRAWN and own is None else None
    # Who opens it does so for IT, whatever else they are.
    matter_of = request.department if kind is not EventKind.REQUEST_OPENED else None
    asked_as = answers.value if answers else None
    moved = await t.execute(
        "UPDATE access_request SET state = ?, step = step + ?,"
        " answered_by = iif(?, json_insert(answered_by, '$[#]', ?), answered_by),"
        " remind_at = ?, due_at = ?, decided_at = ?, decided_by = ?,"
        " decided_as = coalesce(?, decided_as), note = ?,"
        " approved_until = coalesce(?, approved_until)"
        " WHERE id = ? AND state = ? AND step = ?",
        after.value,
        after is State.SUBMITTED,
        after is State.SUBMITTED,
        actor,
        to_ms(remind_at) if after in WAITING else None,
        to_ms(due_at if after is State.SUBMITTED else request.due_at),
        to_ms(at),
        decided_by or actor,
        json.dumps(dict(t.acts_as(actor, matter_of, asked_as))) if decided_by is None else None,
        note,
        to_ms(approved_until) if approved_until is not None else None,
        request.id,
        request.state.value,
        request.step,
    )
    if not moved:
        raise too_late(request, at)
    moved_details: dict[str, Detail] = {
        "before": request.state.value,
        "after": after.value,
        "role": asked_as,
        "note": note,
        **(details or {}),
    }
    await audit.record(t, Event(kind, actor, request.number, at, moved_details, matter_of, asked_as))


def too_late(request: AccessRequest, at: datetime) -> TransitionError:
    """Return what tells that somebody else was first, or that its time is over."""
    state = request.state_at(at)
    if state is State.ENDED:
        return TransitionError(request, f"the time of {request.number} is over")
    if state is State.SUBMITTED:
        return TransitionError(request, f"{request.number} went on to its next approver")
    return TransitionError(request, f"{request.number} is decided: it is {state.value}")
