"""Who stands in for a department's head, from a day to a day; it ends by itself.

Only a head names somebody, for their own department: who stands in for a head cannot, so that it never
goes on from one to the next. The policy's own delegates stay as they are, those with dates on their days. The
admin process keeps what is in force in memory, where every look at the policy finds it; no other process
changes it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from admin import audit, outbox
from admin.asking import InvalidRequestError, NotAllowedError, UnknownRequestError
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Reader, Row
from admin.outbox import Letter, LetterKind
from admin.roles import only_reads
from admin.sessions import Session
from policy.dated_delegates import with_dated_delegates
from policy.town_policy import Policy
from policy.town_time import zone_of

MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Delegation:
    """`delegate` decides beside `head` for the department while begins_at <= at < ends_at (aware UTC)."""

    id: int
    department: str
    head: str
    delegate: str
    begins_at: datetime
    ends_at: datetime


async def with_stand_ins(db: Reader, policy: Policy, at: datetime) -> Policy:
    """Return the policy with those who stand in at `at`, as the database and the document's dates say."""
    return _with(policy, await _not_over(db, at), at)


class Delegations:
    """Names and ends them, and knows who stands in now.

    `policy` returns the running one, `document_policy` that of its document: who follows a head whom IT
    closed heads the department, and names nobody.
    """

    def __init__(
        self, db: Database, policy: Callable[[], Policy], document_policy: Callable[[], Policy], clock: Clock
    ) -> None:
        self._db = db
        self._policy = policy
        self._document_policy = document_policy
        self._clock = clock
        self._known: tuple[Delegation, ...] = ()

    async def load(self) -> None:
        """Read what is not over yet."""
        self._known = await _not_over(self._db, self._clock())

    @property
    def policy(self) -> Policy:
        """The running policy, with those who stand in now among the delegates of each department."""
        return _with(self._policy(), self._known, self._clock())

    def departments_of(self, session: Session) -> tuple[str, ...]:
        """Return the departments whose head the session's person is by the document."""
        if session.person is None or not session.is_signed_in:
            return ()
        departments = self._document_policy().departments
        return tuple(id_ for id_, department in departments.items() if department.head == session.person)

    def shown(self, session: Session) -> tuple[Delegation, ...]:
        """Return those not over that the person named, or stands in by; first is what begins first."""
        now, policy = self._clock(), self._policy()
        return tuple(
            one
            for one in self._known
            if now < one.ends_at
            and _counts(policy, one)
            and session.is_signed_in
            and session.person in (one.head, one.delegate)
        )

    async def name(
        self, session: Session, department: str, delegate: str, first: date | None, last: date | None
    ) -> None:
        """Let somebody stand in from the first to the last day, both included.

        Raises NotAllowedError, recorded, but for the department's head; InvalidRequestError.
        """
        head = await self._head(session, department)
        policy, now = self._policy(), self._clock()
        zone = zone_of(policy)
        today = now.astimezone(zone).date()
        if delegate not in policy.people or delegate == head:
            raise InvalidRequestError("delegate", "Choose who stands in for you")
        if only_reads(policy, delegate):
            raise InvalidRequestError("delegate", "An auditor reads, and decides nothing. Choose another")
        if first is None or not today <= first < today + timedelta(days=MOST_DAYS):
            raise InvalidRequestError("first", "Choose a first day, today or later, within a year")
        if last is None or not first <= last < first + timedelta(days=MOST_DAYS):
            raise InvalidRequestError("last", "Choose a last day, within a year of the first")
        begins_at = now if first == today else datetime.combine(first, time(), tzinfo=zone)
        ends_at = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone)
        async with self._db.transaction() as t:
            id_ = await t.insert(
                "INSERT INTO delegation (department, head, delegate, begins_at, ends_at, named_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                department,
                head,
                delegate,
                to_ms(begins_at),
                to_ms(ends_at),
                to_ms(now),
            )
            details: dict[str, Detail] = {
                "delegate": delegate,
                "begins_at": begins_at.isoformat(),
                "ends_at": ends_at.isoformat(),
            }
            await audit.record(t, Event(EventKind.DELEGATION_NAMED, head, f"DEL-{id_}", now, details))
            one = Delegation(id_, department, head, delegate, begins_at, ends_at)
            await outbox.put(t, _letter(LetterKind.DELEGATION_NAMED, one), now)
        await self.load()

    async def end(self, session: Session, id_: int) -> None:
        """End one now. Raises UnknownRequestError where it is over, NotAllowedError but for the head."""
        one = next((one for one in self._known if one.id == id_), None)
        if one is None:
            raise UnknownRequestError(f"there is no delegation {id_} that is not over")
        head, now = await self._head(session, one.department), self._clock()
        async with self._db.transaction() as t:
            if await t.execute(
                "UPDATE delegation SET ended_at = ? WHERE id = ? AND ended_at IS NULL", to_ms(now), id_
            ):
                details: dict[str, Detail] = {"delegate": one.delegate}
                await audit.record(t, Event(EventKind.DELEGATION_ENDED, head, f"DEL-{id_}", now, details))
                await outbox.put(t, _letter(LetterKind.DELEGATION_ENDED, one, by=head), now)
        await self.load()

    async def _head(self, session: Session, department: str) -> str:
        person = session.person if session.is_signed_in else None
        if person is not None and department in self.departments_of(session):
            return person
        why = "Only the head of a department names who stands in for them."
        async with self._db.transaction() as t:
            actor = session.actor
            event = Event(EventKind.DELEGATION_REFUSED, actor, department[:64], self._clock(), {"why": why})
            await audit.record(t, event)
        raise NotAllowedError(why)


def _letter(kind: LetterKind, one: Delegation, **more: str) -> Letter:
    """Return what tells the delegate of it."""
    values = {
        "head": one.head,
        "department": one.department,
        "begins_at": one.begins_at.isoformat(),
        "ends_at": one.ends_at.isoformat(),
    }
    return Letter(kind, one.delegate, f"DEL-{one.id}", values | more)


def _with(policy: Policy, known: Iterable[Delegation], now: datetime) -> Policy:
    policy = with_dated_delegates(policy, now)
    found: dict[str, list[str]] = {}
    for one in known:
        if one.begins_at <= now < one.ends_at and _counts(policy, one):
            found.setdefault(one.department, []).append(one.delegate)
    if not found:
        return policy
    departments = dict(policy.departments)
    for id_, delegates in found.items():
        named = departments[id_]
        stand_ins = tuple(dict.fromkeys(one for one in delegates if one not in named.delegates))
        departments[id_] = replace(named, delegates=(*named.delegates, *stand_ins), stand_ins=stand_ins)
    return replace(policy, departments=departments)


def _counts(policy: Policy, one: Delegation) -> bool:
    """Whether the head is still that, or left and nobody is it yet, and the delegate there and no auditor."""
    department = policy.departments.get(one.department)
    has_named = department is not None and department.head in (one.head, "")
    return has_named and one.delegate in policy.people and not only_reads(policy, one.delegate)


async def _not_over(db: Reader, at: datetime) -> tuple[Delegation, ...]:
    rows = await db.fetch_all(
        "SELECT * FROM delegation WHERE ended_at IS NULL AND ends_at > ? ORDER BY begins_at, id", to_ms(at)
    )
    return tuple(_delegation(row) for row in rows)


def _delegation(row: Row) -> Delegation:
    return Delegation(
        id=row["id"],
        department=row["department"],
        head=row["head"],
        delegate=row["delegate"],
        begins_at=from_ms(row["begins_at"]),
        ends_at=from_ms(row["ends_at"]),
    )
