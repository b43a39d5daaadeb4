"""Asking for access: states, moves, and who may make them.

    submitted -> approved -> (ended by time) | stopped
              -> denied | withdrawn

A request goes through its chain of approvers in turn; each approval but the last is a move from
submitted to submitted, one step on. Every move is compare-and-set with its audit event in one
transaction; a refused one is recorded as well.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from admin.database import Database, Reader
from policy.town_policy import Approver, Policy

MAX_REASON_LENGTH = 500
# By when an approver should have answered: the order of the inbox. Nothing happens by itself.
ANSWER_WITHIN = timedelta(days=1)


class State(StrEnum):
    """Where a request stands. ENDED is never stored: it is APPROVED past its expiry."""

    SUBMITTED = "submitted"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    STOPPED = "stopped"
    ENDED = "ended"


class ForWhom(StrEnum):
    """Who gets access."""

    PERSON = "person"
    DEPARTMENT = "department"


class Duration(StrEnum):
    """How long access is asked for."""

    HOUR = "hour"
    TODAY = "today"
    WEEK = "week"
    MONTH = "month"

    def end(self, starts_at: datetime, zone: ZoneInfo) -> datetime:
        """Return when access that starts at an instant (aware) ends, in UTC.

        An hour later; at the town's next midnight; at the same wall time 7 or 30 days later.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NewAccessRequest:
    """What a form was filled in with, and what the block page's link said."""

    host: str
    person: str
    department: str | None
    for_whom: ForWhom
    reason: str
    duration: Duration
    chain: tuple[Approver, ...]
    code: str
    policy_version: str
    rule: str | None = None
    category: str | None = None
    entry: str | None = None
    source: str | None = None
    browser: str | None = None


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A person's ask, as it stands.

    `host` is the site: the name asked for without a leading "www."; access covers its subdomains.
    `step` counts the approvers of `chain` who agreed. `decided_by` made the last move, with `note`
    as what the asker reads. `expires_at` and `exemption` are None unless access was granted.
    """

    id: int
    state: State
    host: str
    person: str
    department: str | None
    for_whom: ForWhom
    reason: str
    duration: Duration
    rule: str | None
    category: str | None
    entry: str | None
    source: str | None
    code: str
    policy_version: str
    browser: str | None
    chain: tuple[Approver, ...]
    step: int
    submitted_at: datetime
    due_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    note: str | None
    exemption: str | None
    expires_at: datetime | None

    @property
    def number(self) -> str:
        """The number people use, like "REQ-123"."""
        return f"REQ-{self.id}"

    @property
    def waits_for(self) -> Approver | None:
        """The approver whose answer is awaited, None when none is."""
        return self.chain[self.step] if self.state is State.SUBMITTED else None

    def state_at(self, now: datetime) -> State:
        """Return the state, ENDED for access whose time is over."""
        is_over = self.expires_at is not None and now >= self.expires_at
        return State.ENDED if self.state is State.APPROVED and is_over else self.state


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a request's time line. `role` is the approver's part in the chain, if any."""

    at: datetime
    actor: str
    after: State
    role: Approver | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How often a department went to a site. Under 3 people are shown as "under 3"."""

    tries: int
    people: int


class InvalidRequestError(ValueError):
    """A field of the form cannot be accepted; nothing was sent."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AlreadyOpenError(Exception):
    """The person has asked for this site and it is not decided yet: `request`."""

    def __init__(self, request: AccessRequest) -> None:
        super().__init__(f"{request.number} for {request.host} is still open")
        self.request = request


class UnknownRequestError(LookupError):
    """There is no such request, or the person may not see it."""


class NotAllowedError(PermissionError):
    """The person may not make this move; recorded, nothing changed."""


class TransitionError(Exception):
    """The request is no longer in the state the move starts from: `request` is how it stands."""

    def __init__(self, request: AccessRequest, message: str) -> None:
        super().__init__(message)
        self.request = request


def deciders(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return the people who may answer the present step; empty when none is awaited."""
    raise NotImplementedError


def may_stop(policy: Policy, request: AccessRequest, person: str) -> bool:
    """Whether the person may end access that was granted: IT security, or an approver of the chain."""
    raise NotImplementedError


async def submit(db: Database, new: NewAccessRequest, at: datetime) -> AccessRequest:
    """Send a request to its first approver.

    Raises InvalidRequestError, and AlreadyOpenError when the person's request for the same site is
    not decided yet.
    """
    raise NotImplementedError


async def approve(
    db: Database, policy: Policy, id_: int, *, actor: str, at: datetime, expires_at: datetime | None = None
) -> AccessRequest:
    """Agree for the present step; the last one opens access until `expires_at`.

    `expires_at` (default: as asked) is after `at` and not later than the longest duration.
    Raises UnknownRequestError, NotAllowedError, TransitionError, ValueError for the expiry.
    """
    raise NotImplementedError


async def deny(
    db: Database, policy: Policy, id_: int, *, actor: str, at: datetime, reason: str
) -> AccessRequest:
    """Do not allow; the asker reads `reason` (1 to 500 characters). Raises as approve does."""
    raise NotImplementedError


async def withdraw(db: Database, id_: int, *, actor: str, at: datetime) -> AccessRequest:
    """Take one's own request back before it is decided. Raises as approve does."""
    raise NotImplementedError


async def stop(
    db: Database, policy: Policy, id_: int, *, actor: str, at: datetime, reason: str
) -> AccessRequest:
    """End access that was granted, now. Raises as approve does."""
    raise NotImplementedError


async def get(db: Reader, id_: int) -> AccessRequest:
    """Return a request. Raises UnknownRequestError."""
    raise NotImplementedError


async def mine(db: Reader, person: str | None, browser: str | None) -> list[AccessRequest]:
    """Return the person's requests and those sent from the browser, newest first, 200 at most."""
    raise NotImplementedError


async def to_decide(db: Reader, policy: Policy, person: str) -> list[AccessRequest]:
    """Return the requests that wait for this person, nearest deadline first."""
    raise NotImplementedError


async def open_request_for(db: Reader, host: str, department: str | None) -> AccessRequest | None:
    """Return a department's undecided request for the site, the oldest, None when there is none."""
    raise NotImplementedError


async def earlier_decisions(db: Reader, host: str, department: str | None) -> list[AccessRequest]:
    """Return a department's decided requests for the site, newest first, 20 at most."""
    raise NotImplementedError


async def time_line(db: Reader, request: AccessRequest) -> list[Move]:
    """Return what happened to a request, oldest first; refused moves are not part of it."""
    raise NotImplementedError


async def granted(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests whose access is in force at `at`, the one that ends first at the start."""
    raise NotImplementedError
