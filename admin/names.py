"""Seeing names in the visit log: for a reason, and where the policy says so, once a second person agreed.

    waiting -> agreed (until a time) | not agreed
            -> ended, when nobody answers, or the session that asked is over

Who asks never agrees, nor whom it is about. Agreed to, names are shown for a while in the session that asked;
a search by name is for the one person that was asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from admin import audit, outbox, roles, sessions, visits
from admin.asking import MAX_REASON_LENGTH, InvalidRequestError, NotAllowedError, UnknownRequestError
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.outbox import Letter, LetterKind
from admin.sessions import NAMES_SHOWN_FOR, Session
from admin.written_text import one_line
from policy.town_policy import Policy, SecondPerson

_WAITS = timedelta(hours=4)
_MOST_CASE = 100
_MOST_NAME = 64


class NamesState(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    AGREED = "agreed"
    """Names are shown."""
    NOT_AGREED = "not_agreed"
    ENDED = "ended"
    """Nobody answered while the session that asked went on, or the time is over that was agreed to."""


@dataclass(frozen=True, slots=True)
class NamesRequest:
    """`person` is whose visits are looked for, None where names are shown only.

    It can be answered until `ends_at`, while the session that asked `goes_on`; agreed to, it holds until
    `holds_until`.
    """

    id: int
    session: int
    asked_by: str
    reason: str
    case_number: str
    person: str | None
    asked_at: datetime
    ends_at: datetime
    answered_by: str | None
    holds_until: datetime | None
    goes_on: bool

    @property
    def number(self) -> str:
        """The number people use, like "NAMES-3"."""
        return f"NAMES-{self.id}"

    def state_at(self, now: datetime) -> NamesState:
        """Return where it stands."""
        if self.answered_by is None:
            return NamesState.WAITING if self.goes_on and now < self.ends_at else NamesState.ENDED
        if self.holds_until is None:
            return NamesState.NOT_AGREED
        return NamesState.AGREED if now < self.holds_until else NamesState.ENDED


class NobodyAgreesError(Exception):
    """The policy wants a second person, and there is none; nothing was asked."""


def needs_second_person(when: SecondPerson, person: str | None) -> bool:
    """Whether another must agree before names are shown, or this person's visits are looked for."""
    match when:
        case SecondPerson.NEVER:
            return False
        case SecondPerson.SEARCHES:
            return person is not None
        case SecondPerson.ALWAYS:
            return True


class Names:
    """Asking and agreeing, in one session or another. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def ask(
        self, session: Session, reason: str, case_number: str, person: str | None = None
    ) -> NamesRequest | None:
        """Show names in this session for a while, or ask a second person to agree: return what then waits.

        Raises InvalidRequestError without a reason, NotAllowedError but for IT and auditors,
        NobodyAgreesError.
        """
        policy, now = self._policy(), self._clock()
        otherwise = "Names: only people with that duty see this."
        asker = roles.person_with(roles.may_show_names, policy, session, otherwise)
        if not needs_second_person(policy.second_person, person):
            await visits.show_names(self._db, session, reason, case_number, now)
            return None
        why, case_number = one_line(reason)[:MAX_REASON_LENGTH], one_line(case_number)
        if not why:
            raise InvalidRequestError("reason", "Enter why you need the names")
        person = person[:_MOST_NAME] if person else None
        agree = roles.agree_to_names(policy, asker, person)
        if not agree:
            raise NobodyAgreesError("nobody else may agree to it")
        async with self._db.transaction() as t:
            waiting = await t.fetch_one(
                "SELECT * FROM names_request WHERE session = ? AND asked_by = ? AND person IS ?"
                " AND answered_at IS NULL AND ends_at > ?",
                *(session.id, asker, person, to_ms(now)),
            )
            if waiting is not None:
                return await _names_request(t, waiting, now)
            id_ = await t.insert(
                "INSERT INTO names_request"
                " (session, asked_by, reason, case_number, person, asked_at, ends_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(session.id, asker, why, case_number[:_MOST_CASE], person),
                *(to_ms(now), to_ms(now + _WAITS)),
            )
            request = await _get(t, id_, now)
            details: dict[str, Detail] = {"reason": why, "case": request.case_number, "person": person}
            await audit.record(t, Event(EventKind.NAMES_ASKED, asker, request.number, now, details))
            for to in sorted(agree):
                await outbox.put(t, Letter(LetterKind.NAMES_ASKED, to, request.number), now)
        return request

    async def get(self, session: Session, id_: int) -> NamesRequest:
        """Return a request to who asked, or may answer. Raises UnknownRequestError to others."""
        request = await _get(self._db, id_, self._clock())
        if not session.is_signed_in or not (
            session.person == request.asked_by or self.may_answer(session, request)
        ):
            raise UnknownRequestError(f"NAMES-{id_} is none of theirs")
        return request

    def may_agree(self, request: NamesRequest) -> frozenset[str]:
        """Return who may agree."""
        return roles.agree_to_names(self._policy(), request.asked_by, request.person)

    def may_answer(self, session: Session, request: NamesRequest) -> bool:
        """Whether the session's person is one who may agree."""
        return session.is_signed_in and session.person in self.may_agree(request)

    async def to_answer(self, session: Session) -> list[NamesRequest]:
        """Return what waits for this person, the oldest first."""
        now = self._clock()
        rows = await self._db.fetch_all(
            "SELECT * FROM names_request WHERE answered_at IS NULL AND ends_at > ? ORDER BY id", to_ms(now)
        )
        found = [await _names_request(self._db, row, now) for row in rows]
        return [one for one in found if one.goes_on and self.may_answer(session, one)]

    async def answer(self, session: Session, id_: int, *, agrees: bool) -> NamesRequest:
        """Agree, or not, and return how it stands then: whoever answered first has.

        An answer that comes too late is recorded as refused. Raises NotAllowedError, recorded, but for who
        may agree, UnknownRequestError.
        """
        now = self._clock()
        seen = await _get(self._db, id_, now)
        actor = session.actor
        if not self.may_answer(session, seen):
            why = {"why": "answers for others, and never their own"}
            async with self._db.transaction() as t:
                await audit.record(t, Event(EventKind.NAMES_REFUSED, actor, seen.number, now, why))
            raise NotAllowedError(f"{seen.number}: only another who may see names agrees.")
        until = now + NAMES_SHOWN_FOR if agrees else None
        async with self._db.transaction() as t:
            request = await _get(t, id_, now)
            state = request.state_at(now)
            if state is not NamesState.WAITING:
                late: dict[str, Detail] = {"why": f"it is {state.value} already"}
                await audit.record(t, Event(EventKind.NAMES_REFUSED, actor, request.number, now, late))
                return request
            await t.execute(
                "UPDATE names_request SET answered_at = ?, answered_by = ?, holds_until = ? WHERE id = ?",
                *(to_ms(now), actor, to_ms(until) if until else None, id_),
            )
            answered = replace(request, answered_by=actor, holds_until=until)
            await self._tell(t, answered, now)
        return answered

    async def may_search(self, session: Session, person: str) -> bool:
        """Whether a search for this person's visits is agreed to in this session, where it must be."""
        if not needs_second_person(self._policy().second_person, person):
            return True
        row = await self._db.fetch_one(
            "SELECT 1 FROM names_request"
            " WHERE session = ? AND asked_by = ? AND person = ? AND holds_until > ?",
            *(session.id, session.person, person, to_ms(self._clock())),
        )
        return row is not None

    async def _tell(self, t: Transaction, request: NamesRequest, now: datetime) -> None:
        until = request.holds_until
        kind = EventKind.NAMES_NOT_AGREED if until is None else EventKind.NAMES_AGREED
        details: dict[str, Detail] = {"person": request.person}
        await audit.record(t, Event(kind, request.answered_by or "", request.number, now, details))
        if until is not None and await sessions.show_names(t, request.session, request.asked_by, until):
            shown: dict[str, Detail] = {
                "reason": request.reason,
                "case": request.case_number,
                "person": request.person,
                "until": until.isoformat(),
                "request": request.number,
            }
            await audit.record(t, Event(EventKind.NAMES_SHOWN, request.asked_by, "visits", now, shown))
        await outbox.put(t, Letter(LetterKind.NAMES_ANSWERED, request.asked_by, request.number), now)


async def agreed(db: Reader, number: str, person: str | None, now: datetime) -> NamesRequest:
    """Return the request of this number, "NAMES-3", for whoever looks at the command line.

    Raises UnknownRequestError where none that holds at `now` is for this person.
    """
    id_ = number.upper().removeprefix("NAMES-")
    request = await _get(db, int(id_) if id_.isascii() and id_.isdigit() and len(id_) < 18 else 0, now)
    if request.state_at(now) is not NamesState.AGREED or person not in (None, request.person):
        raise UnknownRequestError(f"{number} is not agreed to for this, or no more")
    return request


async def request_of(db: Reader, number: str, now: datetime) -> NamesRequest:
    """Return the request of a number, "NAMES-3". Raises UnknownRequestError."""
    return await _get(db, int(number.removeprefix("NAMES-")), now)


async def _get(db: Reader, id_: int, now: datetime) -> NamesRequest:
    row = await db.fetch_one("SELECT * FROM names_request WHERE id = ?", id_)
    if row is None:
        raise UnknownRequestError(f"there is no NAMES-{id_}")
    return await _names_request(db, row, now)


async def _names_request(db: Reader, row: Row, now: datetime) -> NamesRequest:
    asked_at = from_ms(row["asked_at"])
    return NamesRequest(
        id=row["id"],
        session=row["session"],
        asked_by=row["asked_by"],
        reason=row["reason"],
        case_number=row["case_number"],
        person=row["person"],
        asked_at=asked_at,
        ends_at=from_ms(row["ends_at"]),
        answered_by=row["answered_by"],
        holds_until=from_ms(row["holds_until"]) if row["holds_until"] is not None else None,
        goes_on=await sessions.goes_on(db, row["session"], row["asked_by"], asked_at, now),
    )
