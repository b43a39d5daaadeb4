"""Joining: a colleague needs what somebody of the department has asked for."""

from datetime import datetime

from admin import audit, outbox, request_moves, stored_requests, waiting_requests
from admin.asking import AccessRequest, AlreadyOpenError, ForWhom, NewAccessRequest, NotAllowedError, State
from admin.asking_terms import stops_downloads
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Transaction
from admin.deciders import involved
from admin.outbox import Letter, LetterKind
from admin.request_moves import Refusal
from policy.town_policy import Policy


async def join(
    db: Database, policy: Policy, id_: int, *, person: str, browser: str, at: datetime
) -> AccessRequest:
    """Let somebody of the asker's department have what is asked for, too, until somebody has agreed.

    Raises AlreadyOpenError for who asked or joined, UnknownRequestError; NotAllowedError for another
    department and for who is to answer, TransitionError once somebody agreed or it is decided, both
    recorded.
    """
    async with db.transaction() as t:
        request = await stored_requests.get(t, id_)
        if person in request.askers:
            raise AlreadyOpenError(request)
        refused = _refusal(policy, request, person, at)
        if refused is None:
            await _add(t, request, person, browser, at)
            return await stored_requests.get(t, id_)
        await request_moves.record_refusal(t, request, refused, actor=person, at=at, what="join")
    raise refused


def can_join(policy: Policy, request: AccessRequest, person: str, at: datetime) -> bool:
    """Whether somebody who has neither asked nor joined may join the request as it stands."""
    return person not in request.askers and _refusal(policy, request, person, at) is None


async def to_join_instead(
    t: Transaction, policy: Policy, new: NewAccessRequest, at: datetime
) -> AccessRequest | None:
    """Return the colleague's request that gives what a new one asks for and can be joined, or None.

    What is asked for the whole department is more than a colleague's own request gives, and all downloads are
    more than one. Who asks for somebody else cannot join for them.
    """
    is_own = new.sent_by in (None, new.person)
    if not is_own or new.asked is not None or new.renews is not None or new.department is None:
        return None
    found = await waiting_requests.open_request_for(
        *(t, new.host, new.kind, new.department, new.path),
        rule=new.rule,
        is_of_rule=stops_downloads(policy, new.rule),
    )
    if found is None or not can_join(policy, found, new.person, at):
        return None
    is_for_enough = ForWhom.DEPARTMENT is found.for_whom or new.for_whom is ForWhom.PERSON
    return found if is_for_enough and found.is_enough_for(new.duration) else None


async def hand_on(t: Transaction, request: AccessRequest, *, actor: str, at: datetime) -> None:
    """Make a request the one's who joined it first: the asker needs it no more."""
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
    await outbox.put(t, Letter(LetterKind.REQUEST_HANDED_ON, first.person, request.number), at)
    details: dict[str, Detail] = {"before": request.person, "person": first.person}
    await audit.record(t, Event(EventKind.REQUEST_HANDED_ON, actor, request.number, at, details))


def _refusal(policy: Policy, request: AccessRequest, person: str, at: datetime) -> Refusal | None:
    record = policy.people.get(person)
    if record is None or record.department is None or record.department != request.department:
        return NotAllowedError(f"{request.number} is of another department")
    if person in involved(policy, request):
        return NotAllowedError(f"{request.number} is yours to answer")
    is_open = request.state is State.SUBMITTED and request.step == 0
    return None if is_open else request_moves.too_late(request, at)


async def _add(t: Transaction, request: AccessRequest, person: str, browser: str, at: datetime) -> None:
    await t.execute(
        "INSERT INTO access_request_joiner (access_request, person, browser, joined_at) VALUES (?, ?, ?, ?)",
        request.id,
        person,
        browser,
        to_ms(at),
    )
    details: dict[str, Detail] = {"host": request.host}
    await audit.record(t, Event(EventKind.REQUEST_JOINED, person, request.number, at, details))
