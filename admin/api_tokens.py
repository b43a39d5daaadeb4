"""Tokens for the API: what a person's program proves with whose it is, and what it is for.

A token has 256 random bits and is shown once; the database has its SHA-256. It holds a session of its person,
as a sign-in does, and is over when that is: with a closed person, a duty that is lost, another password.
Beside that its scopes say what of all that the person may do it is for.
"""

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import NoReturn

from admin import audit, roles, sessions
from admin.asking import InvalidRequestError, NotAllowedError, UnknownRequestError
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.roles import Permission
from admin.sessions import Session
from admin.written_text import one_line
from policy.town_policy import Policy
from policy.town_time import zone_of

PREFIX = "tg_"
"""What every token begins with, so that it is known where it should not be."""
MAX_NAME_LENGTH = 60
LONGEST = timedelta(days=366)
MOST_OF_A_PERSON = 20

# That a token is used is written down once a minute, that it was refused once an hour for one reason.
_USED_EVERY = timedelta(minutes=1)
_REFUSED_EVERY = timedelta(hours=1)
# What is over is shown for so long.
_SHOWN_FOR = timedelta(days=30)


class Scope(StrEnum):
    """What a token is for, of what its person may do."""

    REQUESTS_READ = "requests:read"
    REQUESTS_WRITE = "requests:write"
    DECIDE = "decide"
    REVIEW = "review"
    VISITS_OWN = "visits:own"
    VISITS_READ = "visits:read"
    VISITS_NAMES = "visits:names"
    WEEKLY_READ = "weekly:read"
    RECORDS_READ = "records:read"
    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    EMERGENCY = "emergency"
    SETTINGS = "settings"


SCOPES: Mapping[Scope, str] = {
    Scope.REQUESTS_READ: "see your requests, those you may see of others, reports and exemptions;"
    " the policy, the notice and your quotas",
    Scope.REQUESTS_WRITE: "ask for access, join, renew, end, withdraw, sign terms,"
    " be reminded of a download; say that a site is listed wrongly",
    Scope.DECIDE: "answer what waits for you, open, keep and stop access, name who stands in for you",
    Scope.REVIEW: "answer reports, correct categories, say what is never decrypted",
    Scope.VISITS_OWN: "see what is recorded of your own visits",
    Scope.VISITS_READ: "see the visit log, names hidden, why a visit was decided so, and what is heavy;"
    " today's numbers, how the lists stand, and what a site is listed as",
    Scope.VISITS_NAMES: "have names shown in the visit log, for a reason that is recorded,"
    " and agree that others have",
    Scope.WEEKLY_READ: "see the weekly report of your department, or of the town",
    Scope.RECORDS_READ: "see the records, and have them verified",
    Scope.PEOPLE_READ: "see who is in the town's service",
    Scope.PEOPLE_WRITE: "close who leaves, and open them again; put another list of people in force",
    Scope.EMERGENCY: "limit the web, take a device off it, switch the filter off; end that, and open visits;"
    " open a site for yourself at once",
    Scope.SETTINGS: "see how mail, the webhook and town accounts stand, test them,"
    " send again what was not delivered",
}
"""What each is for, in words."""


def _everyone(_policy: Policy, _person: str) -> bool:
    return True


def _acts_at_once(policy: Policy, person: str) -> bool:
    terms = policy.asking.emergency_access
    return roles.acts_in_emergencies(policy, person) or (terms is not None and person in terms.people)


_WHOSE: Mapping[Scope, Permission] = {
    Scope.REQUESTS_READ: _everyone,
    Scope.REQUESTS_WRITE: _everyone,
    Scope.DECIDE: roles.decides,
    Scope.REVIEW: roles.reviews,
    Scope.VISITS_OWN: _everyone,
    Scope.VISITS_READ: roles.sees_visits,
    Scope.VISITS_NAMES: roles.shows_or_agrees_to_names,
    Scope.WEEKLY_READ: roles.has_weekly_report,
    Scope.RECORDS_READ: roles.sees_records,
    Scope.PEOPLE_READ: roles.closes_people,
    Scope.PEOPLE_WRITE: roles.closes_people,
    Scope.EMERGENCY: _acts_at_once,
    Scope.SETTINGS: roles.runs_towngate,
}


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it stands, without its text. Times aware UTC; `used_at` is to the minute.

    `session` is None once that is over: its person was closed, lost a duty or set a password.
    """

    id: int
    person: str
    name: str
    scopes: frozenset[Scope]
    session: int | None
    made_at: datetime
    ends_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    @property
    def number(self) -> str:
        """The number people use, like "TOK-4"."""
        return f"TOK-{self.id}"

    def works_at(self, at: datetime) -> bool:
        """Whether it opens what it is for, as far as its person may."""
        return self.session is not None and self.revoked_at is None and at < self.ends_at


class TokenRefusedError(Exception):
    """A token opens nothing: it is none of ours, or is over. The message says which, without its text."""


def offered(policy: Policy, person: str) -> tuple[Scope, ...]:
    """Return what a person's tokens can be for: what their duties let them do."""
    return tuple(scope for scope in Scope if _WHOSE[scope](policy, person))


async def create(
    db: Database,
    policy: Policy,
    person: str,
    *,
    name: str,
    scopes: Collection[str],
    last_day: date | None,
    at: datetime,
) -> tuple[ApiToken, str]:
    """Make a token that works until the end of a day; return it with its text, which is kept nowhere.

    `policy` has whoever stands in. Raises InvalidRequestError for a name that another of the person's has,
    no scope or one that is not `offered`, a day that is over or more than a year away.
    """
    tidy = _name(name)
    found = frozenset(scope for scope in offered(policy, person) if scope in scopes)
    if not scopes or len(found) != len(set(scopes)):
        raise InvalidRequestError("scopes", "Choose what the token may do, of what you may do")
    ends_at = _end(policy, last_day, at)
    text = PREFIX + secrets.token_urlsafe(32)
    async with db.transaction() as t:
        await _check_room(t, person, tidy, at)
        session = await sessions.open_for_token(t, person, at, ends_at, roles.duties_of(policy, person))
        id_ = await t.insert(
            "INSERT INTO api_token (person, name, digest, scopes, session, made_at, ends_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            person,
            tidy,
            _digest(text),
            json.dumps(sorted(found)),
            session.id,
            to_ms(at),
            to_ms(ends_at),
        )
        token = await _get(t, id_)
        details: dict[str, Detail] = {
            "token": f"{token.number}, {tidy}",
            "scopes": sorted(found),
            "ends_at": ends_at.isoformat(),
        }
        await audit.record(t, Event(EventKind.TOKEN_CREATED, person, person, at, details))
    return token, text


def _name(text: str) -> str:
    tidy = one_line(text)
    if not 1 <= len(tidy) <= MAX_NAME_LENGTH:
        raise InvalidRequestError("name", f"Enter what it is for, in 1 to {MAX_NAME_LENGTH} characters")
    return tidy


def _end(policy: Policy, last_day: date | None, at: datetime) -> datetime:
    zone = zone_of(policy)
    today = at.astimezone(zone).date()
    if last_day is None or not today <= last_day <= today + LONGEST:
        raise InvalidRequestError("last_day", "Choose a last day, within a year")
    return datetime.combine(last_day + timedelta(days=1), time(), tzinfo=zone)


async def _check_room(t: Transaction, person: str, name: str, at: datetime) -> None:
    living = [token for token in await _of_person(t, person, at) if token.works_at(at)]
    if any(token.name == name for token in living):
        raise InvalidRequestError("name", "A token of that name is there already. Choose another name")
    if len(living) >= MOST_OF_A_PERSON:
        raise InvalidRequestError("name", f"{MOST_OF_A_PERSON} tokens are the most. Revoke one first")


async def revoke(db: Database, id_: int, person: str, at: datetime) -> ApiToken:
    """End one of a person's tokens; it opens nothing from now on.

    Raises UnknownRequestError where there is none of theirs that is not revoked.
    """
    async with db.transaction() as t:
        token = await _get(t, id_)
        if token.person != person or token.revoked_at is not None:
            raise UnknownRequestError(f"there is no token TOK-{id_} of {person} to revoke")
        await t.execute("UPDATE api_token SET revoked_at = ? WHERE id = ?", to_ms(at), id_)
        if token.session is not None:
            await sessions.end_by_id(t, token.session)
        details: dict[str, Detail] = {"token": f"{token.number}, {token.name}"}
        await audit.record(t, Event(EventKind.TOKEN_REVOKED, person, person, at, details))
    return token


class ApiTokens:
    """Makes them from the pages, and says whose one is that is used.

    `policy` returns the running one; `known` returns a session as long as the policy knows its person there
    (`AdminProcess.session_of`).
    """

    def __init__(
        self,
        db: Database,
        policy: Callable[[], Policy],
        known: Callable[[Session | None], Awaitable[Session | None]],
        clock: Clock,
    ) -> None:
        self._db = db
        self._policy = policy
        self._known = known
        self._clock = clock
        self._refused_at: dict[tuple[int, str], datetime] = {}

    def offered(self, session: Session) -> tuple[Scope, ...]:
        """As `offered`, for who signed in."""
        return offered(self._policy(), self._person(session))

    async def mine(self, session: Session) -> list[ApiToken]:
        """Return the person's tokens that are not revoked, newest first. Raises NotAllowedError.

        Of those that ended over 30 days before, none.
        """
        person, at = self._person(session), self._clock()
        for token in await _of_person(self._db, person, at):
            # Whoever lost a duty sees what went with it, whether it was used since or not.
            await self._held(token)
        return await _of_person(self._db, person, at)

    async def create(
        self, session: Session, name: str, scopes: Collection[str], last_day: date | None
    ) -> tuple[ApiToken, str]:
        """As `create`, for who signed in. Raises NotAllowedError, too."""
        person = self._person(session)
        return await create(
            self._db,
            self._policy(),
            person,
            name=name,
            scopes=scopes,
            last_day=last_day,
            at=self._clock(),
        )

    async def revoke(self, session: Session, id_: int) -> ApiToken:
        """As `revoke`, of who signed in. Raises NotAllowedError, too."""
        return await revoke(self._db, id_, self._person(session), self._clock())

    async def use(self, text: str) -> tuple[ApiToken, Session]:
        """Return the token with this text and the session that it holds.

        Raises TokenRefusedError; of a token that was ours once, that is recorded.
        """
        at = self._clock()
        row = await self._db.fetch_one("SELECT * FROM api_token WHERE digest = ?", _digest(text))
        if row is None:
            raise TokenRefusedError("This token is not known here")
        token = _token(row)
        if token.revoked_at is not None:
            await self._refuse(token, "This token was revoked")
        if at >= token.ends_at:
            await self._refuse(token, "The time of this token is over")
        session = await self._held(token)
        if session is None:
            await self._refuse(
                token, "This token ended with the duties or the password that it was made with"
            )
        if token.used_at is None or at - token.used_at >= _USED_EVERY:
            async with self._db.transaction() as t:
                await t.execute("UPDATE api_token SET used_at = ? WHERE id = ?", to_ms(at), token.id)
        return token, session

    async def refuse_scope(self, token: ApiToken, scope: Scope) -> None:
        """Record that a token was used for what it is not for."""
        await self._record_refusal(token, f"This token is not for {scope.value}")

    async def _held(self, token: ApiToken) -> Session | None:
        """Return the session that a token holds, None once it is over."""
        held = await sessions.by_id(self._db, token.session) if token.session is not None else None
        return await self._known(held)

    async def _refuse(self, token: ApiToken, why: str) -> NoReturn:
        await self._record_refusal(token, why)
        raise TokenRefusedError(why)

    async def _record_refusal(self, token: ApiToken, why: str) -> None:
        """Record it once an hour: a program that goes on trying does not fill the log."""
        at, last = self._clock(), self._refused_at.get((token.id, why))
        if last is not None and at - last < _REFUSED_EVERY:
            return
        self._refused_at[token.id, why] = at
        details: dict[str, Detail] = {"token": f"{token.number}, {token.name}", "why": why}
        async with self._db.transaction() as t:
            await audit.record(t, Event(EventKind.TOKEN_REFUSED, token.person, token.person, at, details))

    def _person(self, session: Session) -> str:
        if session.person is None or not session.is_signed_in:
            raise NotAllowedError("Sign in to see your tokens.")
        return session.person


async def _of_person(db: Reader, person: str, at: datetime) -> list[ApiToken]:
    rows = await db.fetch_all(
        "SELECT * FROM api_token WHERE person = ? AND revoked_at IS NULL AND ends_at > ? ORDER BY id DESC",
        person,
        to_ms(at - _SHOWN_FOR),
    )
    return [_token(row) for row in rows]


async def _get(t: Transaction, id_: int) -> ApiToken:
    row = await t.fetch_one("SELECT * FROM api_token WHERE id = ?", id_)
    if row is None:
        raise UnknownRequestError(f"there is no token TOK-{id_}")
    return _token(row)


def _token(row: Row) -> ApiToken:
    used_at, revoked_at = row["used_at"], row["revoked_at"]
    return ApiToken(
        id=row["id"],
        person=row["person"],
        name=row["name"],
        # A scope that is none any more opens nothing.
        scopes=frozenset(scope for scope in Scope if scope in json.loads(row["scopes"])),
        session=row["session"],
        made_at=from_ms(row["made_at"]),
        ends_at=from_ms(row["ends_at"]),
        used_at=from_ms(used_at) if used_at is not None else None,
        revoked_at=from_ms(revoked_at) if revoked_at is not None else None,
    )


def _digest(text: str) -> bytes:
    # A token has 256 random bits: a plain digest of it cannot be searched, and looking it up tells nothing.
    return hashlib.sha256(text.encode()).digest()
