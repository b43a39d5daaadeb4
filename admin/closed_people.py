"""People who left the town's service: IT closes them, and what they had ends in one transaction.

Their sessions, passwords and access end, their open requests are withdrawn, what waited for them waits for
those who stand in. What they asked and decided stays on record. Closed is closed until IT opens them again,
whatever policy.yaml says of them.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from admin import accounts, audit, leavers_requests, limit_lifts
from admin.audit import Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.delegations import with_stand_ins
from admin.request_moves import left
from admin.written_text import tidy_text
from policy.leaving import without
from policy.town_policy import Policy

# Without IT nobody mends anything; what nobody else answers ends with the town administrator.
_NEVER_EMPTY = {"it_security": "one of IT security", "town_administrator": "town administrator"}


@dataclass(frozen=True, slots=True)
class ClosedPerson:
    """Who was closed, why, by whom and when (aware UTC)."""

    person: str
    why: str
    closed_by: str
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended with a person: numbers of requests, like "REQ-7".

    `withdrawn` were open, `stopped` gave them access, `passed_on` wait for others now.
    """

    withdrawn: tuple[str, ...]
    stopped: tuple[str, ...]
    passed_on: tuple[str, ...]


class UnknownPersonError(LookupError):
    """There is no such person to close or to open; nothing changed."""


class AlreadyClosedError(Exception):
    """Somebody else closed the person, or opened them again, before; nothing changed."""


class LastOfItError(Exception):
    """Nobody would be left to run Towngate; refused, and recorded."""


async def closed(db: Reader) -> dict[str, ClosedPerson]:
    """Return the people who are closed."""
    rows = await db.fetch_all("SELECT * FROM closed_person WHERE reopened_at IS NULL ORDER BY person")
    return {row["person"]: _closed_person(row) for row in rows}


async def close(db: Database, policy: Policy, person: str, *, why: str, actor: str, at: datetime) -> Ended:
    """Close a person of the running policy. `why` is 1 to 500 characters.

    Raises InvalidRequestError for why, UnknownPersonError, AlreadyClosedError, LastOfItError for the last
    of IT security, the last town administrator, and oneself; NotAllowedError for an actor who is closed.
    """
    text = tidy_text("why", why, "Enter why, for the records")
    async with db.transaction() as t:
        if await _row(t, person) is not None:
            raise AlreadyClosedError(f"{person} is closed already")
        if person not in policy.people:
            raise UnknownPersonError(
                f"{person!r} is not a person of the policy{_nearest(person, policy.people)}"
            )
        # The policy at hand may be of before another was closed.
        policy = without(policy, await closed(t))
        refused = await left(t, actor) or _refusal(policy, person, actor)
        if refused is None:
            await t.execute(
                "INSERT INTO closed_person (person, why, closed_by, closed_at) VALUES (?, ?, ?, ?)",
                person,
                text,
                actor,
                to_ms(at),
            )
            ended = await end_all_of(t, policy, person, actor=actor, at=at)
            details: dict[str, audit.Detail] = {
                "why": text,
                "withdrawn": list(ended.withdrawn),
                "stopped": list(ended.stopped),
                "passed_on": list(ended.passed_on),
            }
            await audit.record(t, Event(EventKind.PERSON_CLOSED, actor, person, at, details))
            return ended
        await _record_refusal(t, refused, person, actor, at)
    raise refused


async def reopen(db: Database, person: str, *, why: str, actor: str, at: datetime) -> None:
    """Let a person who was closed be who the policy says again; what ended stays ended.

    They have no password. `why` is 1 to 500 characters. Raises InvalidRequestError for why,
    UnknownPersonError for who is not closed, NotAllowedError for an actor who is.
    """
    text = tidy_text("why", why, "Enter why, for the records")
    async with db.transaction() as t:
        refused = await left(t, actor)
        if refused is None:
            changed = await t.execute(
                "UPDATE closed_person SET reopened_by = ?, reopened_at = ?"
                " WHERE person = ? AND reopened_at IS NULL",
                actor,
                to_ms(at),
                person,
            )
            if not changed:
                raise UnknownPersonError(f"{person!r} is not closed{_nearest(person, await closed(t))}")
            await audit.record(t, Event(EventKind.PERSON_REOPENED, actor, person, at, {"why": text}))
            return
        await _record_refusal(t, refused, person, actor, at)
    raise refused


async def end_all_of(t: Transaction, policy: Policy, person: str, *, actor: str, at: datetime) -> Ended:
    """End all that a person has here: sessions, passwords, lifted limits, their open requests and access.

    Access of their department stays. `policy` is the one that still has them; who stands in for a head is
    read here, so that they hear of what waits for them.
    """
    await accounts.end(t, person)
    await limit_lifts.end_of(t, person, at)
    before = await with_stand_ins(t, policy, at)
    after = await with_stand_ins(t, without(policy, {person}), at)
    withdrawn, stopped, passed_on = await leavers_requests.leave(t, before, after, person, actor=actor, at=at)
    return Ended(withdrawn, stopped, passed_on)


async def end_all_of_each(
    t: Transaction, policy: Policy, people: Iterable[str], *, actor: str, at: datetime
) -> dict[str, Ended]:
    """As `end_all_of`, in turn: what waits for one who goes is passed on to none who went before them."""
    found = {}
    for person in people:
        found[person] = await end_all_of(t, policy, person, actor=actor, at=at)
        policy = without(policy, {person})
    return found


def _refusal(policy: Policy, person: str, actor: str) -> LastOfItError | None:
    if person == actor:
        return LastOfItError("nobody closes themselves; ask another of IT security")
    for role, of_it in _NEVER_EMPTY.items():
        if set(policy.roles.get(role, ())) == {person}:
            return LastOfItError(f"{person} is the only {of_it}; name another in policy.yaml first")
    return None


async def _record_refusal(t: Transaction, refused: Exception, person: str, actor: str, at: datetime) -> None:
    details: dict[str, audit.Detail] = {"why": str(refused)}
    await audit.record(t, Event(EventKind.PERSON_MOVE_REFUSED, actor, person, at, details))


async def _row(db: Reader, person: str) -> Row | None:
    return await db.fetch_one("SELECT * FROM closed_person WHERE person = ? AND reopened_at IS NULL", person)


def _nearest(word: str, valid: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word.lower(), valid, n=1)
    return f" (nearest: {near[0]!r})" if near else ""


def _closed_person(row: Row) -> ClosedPerson:
    return ClosedPerson(row["person"], row["why"], row["closed_by"], from_ms(row["closed_at"]))
