"""Several requests decided with one answer: each is answered as it would be alone, with its own outcome.

Bulk approving ends reading: what IT has a say in is decided alone, and no more than `MOST` go together.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from admin.access_requests import may_not_decide
from admin.asking import (
    AccessRequest,
    InvalidRequestError,
    NotAllowedError,
    TransitionError,
    UnknownRequestError,
)
from admin.clock import Clock
from admin.database import Database
from admin.deciders import deciders
from admin.request_moves import record_refusal
from admin.request_views import RequestViews
from admin.session_requests import SessionRequests
from admin.sessions import Session
from admin.written_text import tidy_text
from policy.town_policy import Approver, Policy

MOST = 20

type WhyNot = UnknownRequestError | NotAllowedError | TransitionError | InvalidRequestError


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it was shown to who answers it, as `access_requests.approve` has it."""

    id: int
    step: int | None
    hosts: Collection[str] = ()
    joined: Collection[str] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One of several requests, as it stands: `request` is None where the person may not see it.

    `why_not` is why it is not, or cannot be, decided; None where it is, or can be.
    """

    id: int
    request: AccessRequest | None
    why_not: WhyNot | None


def can_be_among_several(request: AccessRequest) -> bool:
    """Whether a request may be decided together with others: IT has no say in it."""
    return Approver.IT_SECURITY not in request.chain


class SeveralDecisions:
    """Looks at several requests, and answers them. `policy` returns the running one.

    Everything raises InvalidRequestError for none, or for more than `MOST`.
    """

    def __init__(
        self,
        db: Database,
        requests: SessionRequests,
        views: RequestViews,
        policy: Callable[[], Policy],
        clock: Clock,
    ) -> None:
        self._db = db
        self._requests = requests
        self._views = views
        self._policy = policy
        self._clock = clock

    async def look(self, session: Session, ids: Iterable[int]) -> list[Outcome]:
        """Return each as it stands, and whether the session's person can answer it so."""
        return [await self._look(session, id_) for id_ in _counted(ids)]

    async def allow(self, session: Session, seen: Iterable[Seen]) -> list[Outcome]:
        """Allow each of them as SessionRequests.approve does."""

        async def approve(one: Seen) -> None:
            await self._requests.approve(
                session,
                one.id,
                seen_step=one.step,
                seen_hosts=one.hosts,
                seen_joined=one.joined,
                expires_at=one.expires_at,
            )

        return await self._each(session, seen, "approve", approve)

    async def deny(self, session: Session, seen: Iterable[Seen], reason: str) -> list[Outcome]:
        """Deny each of them as SessionRequests.deny does.

        Raises InvalidRequestError for the reason, before any is answered.
        """
        note = tidy_text("reason", reason, "Enter why, so that the askers know")

        async def deny(one: Seen) -> None:
            await self._requests.deny(session, one.id, note, seen_step=one.step)

        return await self._each(session, seen, "deny", deny)

    async def _look(self, session: Session, id_: int) -> Outcome:
        try:
            request = await self._views.get(session, id_)
        except UnknownRequestError as error:
            return Outcome(id_, None, error)
        person, now = session.person or "", self._clock()
        why_not: WhyNot | None = may_not_decide(self._policy(), request, person, now, None)
        if why_not is None and not can_be_among_several(request):
            why_not = _alone()
        return Outcome(id_, request, why_not)

    async def _each(
        self, session: Session, seen: Iterable[Seen], move: str, answer: Callable[[Seen], Awaitable[None]]
    ) -> list[Outcome]:
        by_id = {one.id: one for one in seen}
        outcomes = []
        for id_ in _counted(by_id):
            why_not: WhyNot | None = None
            try:
                await self._refuse_what_is_decided_alone(session, id_, move)
                await answer(by_id[id_])
            except (UnknownRequestError, NotAllowedError, TransitionError, InvalidRequestError) as error:
                why_not = error
            outcomes.append(Outcome(id_, await self._seen(session, id_), why_not))
        return outcomes

    async def _refuse_what_is_decided_alone(self, session: Session, id_: int, move: str) -> None:
        """Raise InvalidRequestError for what the person may decide, but not among several; recorded."""
        request, person = await self._seen(session, id_), session.person
        if request is None or person is None or can_be_among_several(request):
            return
        if person in deciders(self._policy(), request):
            refused = _alone()
            async with self._db.transaction() as t:
                await record_refusal(t, request, refused, actor=person, at=self._clock(), what=move)
            raise refused

    async def _seen(self, session: Session, id_: int) -> AccessRequest | None:
        try:
            return await self._views.get(session, id_)
        except UnknownRequestError:
            return None


def _alone() -> InvalidRequestError:
    return InvalidRequestError("requests", "IT has a say in it: look at it and decide it alone")


def _counted(ids: Iterable[int]) -> Sequence[int]:
    """Return each number once. Raises InvalidRequestError for none, or too many."""
    found = list(dict.fromkeys(ids))
    if not found:
        raise InvalidRequestError("requests", "Choose at least one request")
    if len(found) > MOST:
        raise InvalidRequestError("requests", f"Choose {MOST} requests at most; these are {len(found)}")
    return found
