"""Who hears of a request's move: letters for the outbox, put in the transaction of the move."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from admin import outbox
from admin.asking import AccessRequest, State
from admin.database import Transaction
from admin.deciders import deciders, passed_on_to, took_part
from admin.outbox import HELP_DESK, Letter, LetterKind
from policy.town_policy import Policy


async def put(t: Transaction, policy: Policy, request: AccessRequest, at: datetime) -> None:
    """Put the letters about a move that was just made; `request` is how it stands after it."""
    for letter in _letters(policy, request):
        await outbox.put(t, letter, at)


async def put_reminders(t: Transaction, people: Iterable[str], request: AccessRequest, at: datetime) -> None:
    """Put a reminder to each of those whose answer, signature or opening a request waits for."""
    match request.state:
        case State.AWAITS_SIGNATURE:
            letters = _again(LetterKind.REQUEST_TO_SIGN, people, request)
        case State.AWAITS_OPENING:
            letters = _again(LetterKind.REQUEST_TO_OPEN, people, request)
        case _:
            letters = _to_each(LetterKind.REQUEST_REMINDER, people, request)
    for letter in letters:
        await outbox.put(t, letter, at)


async def put_to_new_deciders(t: Transaction, policy: Policy, request: AccessRequest, at: datetime) -> None:
    """Put a letter to each who may answer the present step and has had none that asks for it."""
    for letter in _to_each(LetterKind.REQUEST_TO_DECIDE, sorted(deciders(policy, request)), request):
        if not await outbox.has_had(t, letter):
            await outbox.put(t, letter, at)


async def put_passed_on(t: Transaction, policy: Policy, request: AccessRequest, at: datetime) -> None:
    """Put the letters about a request that just went up: to those above, and to the asker."""
    again = _present(request)
    for letter in (
        *_to_each(LetterKind.REQUEST_TO_DECIDE, sorted(passed_on_to(policy, request)), request),
        *(Letter(LetterKind.REQUEST_PASSED_ON, asker, request.number, again=again) for asker in request.told),
    ):
        await outbox.put(t, letter, at)


def _to_askers(kind: LetterKind, request: AccessRequest) -> Iterable[Letter]:
    return [Letter(kind, asker, request.number) for asker in request.told]


def _to_each(kind: LetterKind, people: Iterable[str], request: AccessRequest) -> Iterable[Letter]:
    values, again = {"step": str(request.step)}, _present(request)
    return [Letter(kind, person, request.number, values, again=again) for person in people]


def _again(kind: LetterKind, people: Iterable[str], request: AccessRequest) -> Iterable[Letter]:
    return [Letter(kind, person, request.number, again="reminder") for person in people]


def _present(request: AccessRequest) -> str:
    """Tell the present step from others, and from itself before it went up."""
    times = request.passed_on_at(request.step)
    return f"{request.step} passed on {times}" if times else str(request.step)


def _letters(policy: Policy, request: AccessRequest) -> Iterable[Letter]:
    match request.state:
        case State.SUBMITTED:
            yield from _to_each(LetterKind.REQUEST_TO_DECIDE, sorted(deciders(policy, request)), request)
        case State.AWAITS_SIGNATURE:
            yield Letter(LetterKind.REQUEST_TO_SIGN, request.person, request.number)
        case State.AWAITS_OPENING:
            yield from _to_askers(LetterKind.REQUEST_APPROVED, request)
            yield Letter(LetterKind.TICKET, HELP_DESK, request.number)
        case State.APPROVED:
            was_ticket = request.approved_until is not None
            yield from _to_askers(LetterKind.REQUEST_ALLOWED, request)
            ticket = LetterKind.TICKET_OPENED if was_ticket else LetterKind.TICKET
            yield Letter(ticket, HELP_DESK, request.number)
        case State.DENIED:
            yield from _to_askers(LetterKind.REQUEST_DENIED, request)
        case State.STOPPED:
            concerned = {*request.askers, *took_part(policy, request)} - {request.decided_by}
            for person in sorted(concerned):
                yield Letter(LetterKind.REQUEST_STOPPED, person, request.number)
            yield Letter(LetterKind.TICKET_STOPPED, HELP_DESK, request.number)
        case State.WITHDRAWN if request.approved_until is not None:
            yield Letter(LetterKind.TICKET_STOPPED, HELP_DESK, request.number)
        case State.WITHDRAWN | State.ENDED:
            # Who was asked sees it where it was; it needs nothing of them.
            return
        case _:
            assert_never(request.state)
