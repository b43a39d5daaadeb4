"""What an access request is. Pure: its moves are `request_moves`, who may decide it says `deciders`.

    submitted -> approved -> (ended by time) | stopped
              -> awaits_signature -> approved | awaits_opening | stopped | withdrawn
              -> awaits_opening -> approved | stopped | withdrawn
              -> denied | withdrawn

A request goes through its chain of approvers in turn; each approval but the last is a move from
submitted to submitted, one step on. Social media waits for the person to sign the terms after the last
one. Where the policy waits for IT, what was approved, and signed, is left to IT to open. What was asked for
until a time is over then, wherever it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self, assert_never

from admin.acting_roles import Who
from admin.asked import (
    AccountUse,
    Asked,
    DeviceUse,
    Kind,
    SocialMediaUse,
    StandingUse,
    Window,
    proposer_of,
    until_of,
)
from categories.host_name import is_address, registrable_domain
from categories.match import CategoryMatch
from policy.access_duration import Duration
from policy.town_policy import Approver

MAX_REASON_LENGTH = 500


class State(StrEnum):
    """Where a request stands. ENDED is never stored: it is past AccessRequest.over_at."""

    SUBMITTED = "submitted"
    AWAITS_SIGNATURE = "awaits_signature"
    """Approved, waiting for the person to sign the terms."""
    AWAITS_OPENING = "awaits_opening"
    """Approved, waiting for IT to open it."""
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    STOPPED = "stopped"
    ENDED = "ended"


WAITING = frozenset({State.SUBMITTED, State.AWAITS_SIGNATURE, State.AWAITS_OPENING})
"""Where something has still to happen before access is open."""


class ForWhom(StrEnum):
    """Who gets access."""

    PERSON = "person"
    DEPARTMENT = "department"


class Extent(StrEnum):
    """How much of a site is asked for."""

    PAGE = "page"
    """The page that was stopped, and what is below it."""
    SITE = "site"


@dataclass(frozen=True, slots=True)
class NewAccessRequest:
    """What a form was filled in with, and what the block page's link said.

    `host` is empty where `asked` names no sites; `hosts` are further ones. `path` is of the page that is
    asked for with what is below it (`policy.page_access`), empty for all of the host. `renews` is the number
    of the request whose access this one is to go on with; `sent_by` is who sent it for the person, None: they
    did. Whoever uses `browser` sees it and may withdraw it: None for what only a sign-in lets one ask for.
    """

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
    risks: tuple[str, ...] = ()
    renews: int | None = None
    sent_by: str | None = None
    kind: Kind = Kind.SITE
    asked: Asked | None = None
    hosts: tuple[str, ...] = ()
    path: str = ""

    @property
    def proposed_by(self) -> str | None:
        """Who proposes the person, None for what people ask for themselves."""
        return proposer_of(self.asked)

    @property
    def asked_for_by(self) -> str | None:
        """As AccessRequest.asked_for_by."""
        return self.proposed_by or (self.sent_by if self.renews is None else None)

    def listed_as(self, match: CategoryMatch | None) -> Self:
        """Return it with what its site is listed as, and by which entry of which list; None: as nothing."""
        if match is None:
            return self
        return replace(self, category=match.category, entry=match.entry, source=match.source)


@dataclass(frozen=True, slots=True)
class Joined:
    """Someone who needs what a colleague has asked for, and the browser in which they said so."""

    person: str
    browser: str


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A person's ask, as it stands.

    `host` is the site: the name asked for without a leading "www."; access covers its subdomains, or, where
    there is a `path`, that page of it and what is below alone.
    `risks` are the security risks it was listed as when it was asked for. `step` counts the approvers
    of `chain` who agreed. Those who are asked are reminded at `remind_at`, None once they were, and the
    request goes up at `due_at`; `passed_on` says for each step how often it did, `answered_by` who agreed to
    those before the present one. `decided_by`
    made the last move, in the role `decided_as` (None where that was not kept), with `note` as what the asker
    reads. `expires_at` and `exemption` are None
    unless access was granted; of several exemptions they are of the one that ends last. `approved_until` is
    what the last approver said where IT opens access, None elsewhere. `hosts` are further hosts that it
    covers, what the site's pages need. `paused_for` are the security risks that the site is listed as now and
    that nobody accepted, and what nobody can allow: while there are any, access does not count.
    `reviewed_by` is who of IT left access open, None while nobody looked. `used_at` is when all access to one
    download was used up, None before and for any other. `joined` are others who get the
    same: access for a person is each one's own. `renews` is the number of the request whose access it goes
    on with; `sent_by` is who sent it for the person, None: they did. Since `review_since` it is asked whether
    access is still needed. `asked` is what it asks for
    beside or in place of a site: personal use has no host.
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
    risks: tuple[str, ...]
    chain: tuple[Approver, ...]
    step: int
    submitted_at: datetime
    due_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    note: str | None
    exemption: str | None
    expires_at: datetime | None
    approved_until: datetime | None
    hosts: tuple[str, ...]
    paused_for: tuple[str, ...]
    reviewed_by: str | None
    remind_at: datetime | None = None
    passed_on: tuple[int, ...] = ()
    answered_by: tuple[str, ...] = ()
    joined: tuple[Joined, ...] = ()
    renews: int | None = None
    sent_by: str | None = None
    review_since: datetime | None = None
    used_at: datetime | None = None
    kind: Kind = Kind.SITE
    asked: Asked | None = None
    path: str = ""
    decided_as: Who | None = None

    @property
    def window(self) -> Window | None:
        """The window of personal use, None for other kinds."""
        return self.asked if isinstance(self.asked, Window) else None

    @property
    def social_media(self) -> SocialMediaUse | None:
        """What a person is proposed for, None for other kinds."""
        return self.asked if isinstance(self.asked, SocialMediaUse) else None

    @property
    def standing(self) -> StandingUse | None:
        """What a department asks to hold for a case, None for other kinds."""
        return self.asked if isinstance(self.asked, StandingUse) else None

    @property
    def device(self) -> DeviceUse | None:
        """The device of one's own that is asked for, None for other kinds."""
        return self.asked if isinstance(self.asked, DeviceUse) else None

    @property
    def account(self) -> AccountUse | None:
        """The internet account that a person is proposed for, None for other kinds."""
        return self.asked if isinstance(self.asked, AccountUse) else None

    @property
    def asked_until(self) -> datetime | None:
        """When access ends that was asked for until a time, None where it was asked for how long."""
        return until_of(self.asked)

    @property
    def proposed_by(self) -> str | None:
        """Who proposed the person, None for what people ask for themselves."""
        return proposer_of(self.asked)

    @property
    def asked_for_by(self) -> str | None:
        """Who asked for the person, and decides nothing of it: who proposed them, or IT that sent it.

        None where nobody did: a renewal goes on with what was asked for before, whoever sent it.
        """
        return self.proposed_by or (self.sent_by if self.renews is None else None)

    @property
    def own(self) -> frozenset[str]:
        """Those who decide nothing of it: who asked, joined, proposed, or sent it for somebody."""
        return frozenset({*self.askers, *((self.asked_for_by,) if self.asked_for_by else ())})

    @property
    def told(self) -> tuple[str, ...]:
        """Who hears what became of it: who asked, joined or proposed."""
        return tuple(dict.fromkeys((*self.askers, *((self.proposed_by,) if self.proposed_by else ()))))

    @property
    def askers(self) -> tuple[str, ...]:
        """Who asked, and who joined."""
        return (self.person, *(joined.person for joined in self.joined))

    @property
    def number(self) -> str:
        """The number people use, like "REQ-123"."""
        return f"REQ-{self.id}"

    @property
    def waits_for(self) -> Approver | None:
        """The approver whose answer is awaited, None when none is."""
        return self.chain[self.step] if self.state is State.SUBMITTED else None

    @property
    def is_once(self) -> bool:
        """Whether it is for one download, which uses the access up."""
        return self.duration is Duration.ONCE

    def is_enough_for(self, duration: Duration) -> bool:
        """Whether it gives what is asked for so long: one download is less than all of them for a while."""
        return not self.is_once or duration is Duration.ONCE

    def passed_on_at(self, step: int) -> int:
        """Return how often a step went up, unanswered."""
        return self.passed_on[step] if step < len(self.passed_on) else 0

    def covers(self, host: str) -> bool:
        """Whether access to the site opens a canonical host: itself, or a subdomain of it."""
        return host == self.host or host.endswith(f".{self.host}")

    @property
    def over_at(self) -> datetime | None:
        """When it ends by itself, None where it does not.

        Access ends at its expiry. What waits for an answer, a signature or IT does when what was asked for
        until a time would: as approved, where that is sooner. The column open_until has the same.
        """
        match self.state:
            case State.APPROVED:
                return self.expires_at
            case State.SUBMITTED | State.AWAITS_SIGNATURE | State.AWAITS_OPENING:
                until = self.asked_until
                return min(until, self.approved_until or until) if until is not None else None
            case State.DENIED | State.WITHDRAWN | State.STOPPED | State.ENDED:
                return None
            case _:
                assert_never(self.state)

    def state_at(self, now: datetime) -> State:
        """Return the state, ENDED for what is over by itself."""
        return State.ENDED if self.over_at is not None and now >= self.over_at else self.state


class InvalidRequestError(ValueError):
    """A field of the form cannot be accepted; nothing was sent. `others` are of further fields of it."""

    def __init__(self, field: str, message: str, others: Sequence["InvalidRequestError"] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.others = others

    @property
    def all(self) -> tuple["InvalidRequestError", ...]:
        """What is wrong with each field, in the order of the form."""
        return (self, *self.others)

    def at(self, field: str) -> "InvalidRequestError | None":
        """Return what is wrong with a field, None where it is not said to be wrong."""
        return next((each for each in self.all if each.field == field), None)


class NeverGrantedError(InvalidRequestError):
    """The policy lets nobody allow it; recorded."""


class TooMuchError(InvalidRequestError):
    """It is more than the policy lets one person ask for or report, or for longer; recorded."""


class JoinInsteadError(InvalidRequestError):
    """A colleague has asked for the same, and it can be joined: `request`."""

    def __init__(self, request: AccessRequest) -> None:
        super().__init__("join", "A colleague has asked for it, and waits for an answer. Join that request")
        self.request = request


class AlreadyOpenError(Exception):
    """The person has asked for this site and it is not decided yet: `request`."""

    def __init__(self, request: AccessRequest) -> None:
        super().__init__(f"{request.number} for {request.host or 'personal use'} is still open")
        self.request = request


class UnknownRequestError(LookupError):
    """There is no such request or report, or the person may not see it."""


class NotAllowedError(Exception):
    """The person may not make this move; recorded, nothing changed."""


class TransitionError(Exception):
    """The request is no longer in the state the move starts from: `request` is how it stands."""

    def __init__(self, request: AccessRequest, message: str) -> None:
        super().__init__(message)
        self.request = request


def site_of(host: str) -> str:
    """Return the site that access to a canonical host opens: without a leading "www.".

    Access covers its subdomains. Raises InvalidRequestError for what is not one site, like "com".
    """
    if is_address(host):
        return host
    site = host.removeprefix("www.")
    if registrable_domain(site) is None:
        site = host
    if registrable_domain(site) is None:
        raise InvalidRequestError("host", f"{host} is not one site; the help desk can say what to ask for")
    return site
