"""A request's time line: its moves, and what happens to it beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from admin import audit
from admin.acting_roles import Who, who_acted
from admin.asking import AccessRequest, State
from admin.audit import EventKind
from admin.database import Reader
from policy.town_policy import Approver


class Turn(StrEnum):
    """What happens to a request and leaves its state as it is."""

    PAUSED = "paused"
    RESUMED = "resumed"
    LEFT_OPEN = "left_open"
    HOST_ADDED = "host_added"
    JOINED = "joined"
    SIGNED = "signed"
    REVIEWED = "reviewed"
    HANDED_ON = "handed_on"
    REVIEW_DUE = "review_due"
    KEPT = "kept"
    USED_UP = "used_up"
    REMINDED = "reminded"
    PASSED_ON = "passed_on"


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a request's time line. `role` is the approver's part in the chain, if any.

    `host` is the one that was added, paused or resumed. `acted` is in what role the actor did it, None where
    that was not kept.
    """

    at: datetime
    actor: str
    after: State | Turn
    role: Approver | None
    note: str | None
    host: str | None = None
    acted: Who | None = None


_TIME_LINE = frozenset(
    {
        EventKind.REQUEST_SUBMITTED,
        EventKind.REQUEST_ENDORSED,
        EventKind.REQUEST_APPROVED,
        EventKind.REQUEST_OPENED,
        EventKind.REQUEST_OPENED_AT_ONCE,
        EventKind.REQUEST_DENIED,
        EventKind.REQUEST_WITHDRAWN,
        EventKind.REQUEST_STOPPED,
    }
)
_TURNS: Mapping[EventKind, Turn] = {
    EventKind.EXEMPTION_PAUSED: Turn.PAUSED,
    EventKind.EXEMPTION_RESUMED: Turn.RESUMED,
    EventKind.EXEMPTION_LEFT_OPEN: Turn.LEFT_OPEN,
    EventKind.REQUEST_HOST_ADDED: Turn.HOST_ADDED,
    EventKind.REQUEST_JOINED: Turn.JOINED,
    EventKind.REQUEST_SIGNED: Turn.SIGNED,
    EventKind.REQUEST_REVIEWED: Turn.REVIEWED,
    EventKind.REQUEST_HANDED_ON: Turn.HANDED_ON,
    EventKind.EXEMPTION_REVIEW_DUE: Turn.REVIEW_DUE,
    EventKind.EXEMPTION_KEPT: Turn.KEPT,
    EventKind.EXEMPTION_USED_UP: Turn.USED_UP,
    EventKind.REQUEST_REMINDED: Turn.REMINDED,
    EventKind.REQUEST_PASSED_ON: Turn.PASSED_ON,
}


async def time_line(db: Reader, request: AccessRequest) -> list[Move]:
    """Return what happened to a request, oldest first; refused moves are not part of it."""
    moves = []
    for event in await audit.events_of(db, request.number):
        details = event.details
        if event.kind in _TIME_LINE:
            role, note = details.get("role"), details.get("note")
            moves.append(
                Move(
                    at=event.at,
                    actor=event.actor,
                    after=State(str(details["after"])),
                    role=Approver(role) if isinstance(role, str) else None,
                    note=note if isinstance(note, str) else None,
                    acted=who_acted(details),
                )
            )
        elif event.kind in _TURNS:
            host = str(details.get("host", request.host))
            turn, acted = _TURNS[event.kind], who_acted(details)
            moves.append(Move(event.at, event.actor, turn, role=None, note=None, host=host, acted=acted))
    return moves
