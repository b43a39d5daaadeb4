"""A request's time line: its moves, and what happens to it beside them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from admin.asking import State
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
    REMINDED = "reminded"
    PASSED_ON = "passed_on"


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a request's time line. `role` is the approver's part in the chain, if any.

    `host` is the one that was added, paused or resumed.
    """

    at: datetime
    actor: str
    after: State | Turn
    role: Approver | None
    note: str | None
    host: str | None = None
