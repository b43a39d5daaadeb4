"""Who hears of a request's move: letters for the outbox, put in the transaction of the move."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from admin import outbox
from admin.asking import AccessRequest, State, deciders, took_part
from admin.database import Transaction
from admin.outbox import HELP_DESK, Letter, LetterKind
from policy.town_policy import Policy


async def put(t: Transaction, policy: Policy, request: AccessRequest, at: datetime) -> None:
    """Put the letters about a move that was just made; `request` is how it stands after it."""
    for letter in _letters(policy, request):
        await outbox.put(t, letter, at)


def _letters(policy: Policy, request: AccessRequest) -> Iterable[Letter]:
    match request.state:
        case State.SUBMITTED:
            step = str(request.step)
            for person in sorted(deciders(policy, request)):
                yield Letter(LetterKind.REQUEST_TO_DECIDE, person, request.number, {"step": step}, again=step)
        case State.AWAITS_OPENING:
            yield Letter(LetterKind.REQUEST_APPROVED, request.person, request.number)
            yield Letter(LetterKind.TICKET, HELP_DESK, request.number)
        case State.APPROVED:
            was_ticket = request.approved_until is not None
            yield Letter(LetterKind.REQUEST_ALLOWED, request.person, request.number)
            ticket = LetterKind.TICKET_OPENED if was_ticket else LetterKind.TICKET
            yield Letter(ticket, HELP_DESK, request.number)
        case State.DENIED:
            yield Letter(LetterKind.REQUEST_DENIED, request.person, request.number)
        case State.STOPPED:
            concerned = {request.person, *took_part(policy, request)} - {request.decided_by}
            for person in sorted(concerned):
                yield Letter(LetterKind.REQUEST_STOPPED, person, request.number)
            yield Letter(LetterKind.TICKET_STOPPED, HELP_DESK, request.number)
        case State.WITHDRAWN | State.ENDED:
            # Who was asked sees it where it was; it needs nothing of them.
            return
        case _:
            assert_never(request.state)
