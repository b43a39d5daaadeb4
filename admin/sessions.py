"""Sessions of the admin site, kept on the server: the browser has a random token, we its digest.

Two levels: SIGNED_IN knows a person by password or by their town account. DEVICE was made by following
an Ask link and knows the person by the device: for a working day it may send what that link asked for and
see the requests sent from this browser; it never decides. A link opens in one browser only: whoever copies
it has nothing.

What a token for the API holds (`api_tokens`) is a session of level SIGNED_IN as well; no cookie leads to it.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import TypeAdapter

from admin.audit import AT_A_SHARED_DEVICE
from admin.clock import from_ms, is_within, to_ms
from admin.database import Database, Reader, Row, Transaction
from policy.ask_token import AskToken

SIGNED_IN_LIFETIME = timedelta(hours=12)
SIGNED_IN_IDLE = timedelta(hours=2)
DEVICE_LIFETIME = timedelta(hours=12)
# Long enough to write a reason; short enough that the rule it names is hardly another by then.
FOLLOWED_FOR = timedelta(hours=12)
# Who follows a link sits at the computer now; later, someone else may.
AT_THE_DEVICE_FOR = timedelta(minutes=15)
NAMES_SHOWN_FOR = timedelta(minutes=30)

# That a session is used is written down once a minute, not with every page.
_SEEN_EVERY = timedelta(minutes=1)
# Far beyond the lifetime of a link, whatever two clocks say.
_LINKS_KEPT_FOR = timedelta(days=1)
_ASK = TypeAdapter(AskToken)


class LinkUsedError(Exception):
    """An Ask link was followed in another browser before; it opens nothing here."""


class NotAtTheDeviceError(Exception):
    """Who asks may no longer be who sat at the device: follow a link there again, or sign in."""


class Level(StrEnum):
    """How far a session is trusted."""

    SIGNED_IN = "signed_in"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Session:
    """`person` is None only at a shared device: who sits there must sign in to ask.

    `browser` names the browser and outlives a sign-in in it. `csrf_token` goes into every form.
    `names_until` is until when names are shown in the visit log, None when they are hidden.
    `followed_at` is when an Ask link was last followed, None when none was. `duties` are those of the
    person (`roles.duties_of`) when they signed in.
    """

    id: int
    level: Level
    person: str | None
    device: str | None
    browser: str
    csrf_token: str
    opened_at: datetime
    ends_at: datetime
    names_until: datetime | None = None
    followed_at: datetime | None = None
    duties: frozenset[str] = frozenset()

    @property
    def is_signed_in(self) -> bool:
        """Whether a password, or a town account, proved who this is."""
        return self.level is Level.SIGNED_IN

    @property
    def actor(self) -> str:
        """Who acts, as records have it."""
        return self.person or AT_A_SHARED_DEVICE

    def shows_names_at(self, at: datetime) -> bool:
        """Whether a reason was given for seeing names, not over 30 minutes before `at`, nor after it."""
        shown_at = self.names_until - NAMES_SHOWN_FOR if self.names_until is not None else None
        return shown_at is not None and is_within(NAMES_SHOWN_FOR, shown_at, at)

    def is_at_the_device_at(self, at: datetime) -> bool:
        """Whether an Ask link was followed less than 15 minutes before `at`, and not after it."""
        return self.followed_at is not None and is_within(AT_THE_DEVICE_FOR, self.followed_at, at)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the token to set as the browser's cookie; None when it keeps the one it has."""

    session: Session
    token: str | None


async def open_signed_in(
    t: Transaction, person: str, now: datetime, previous: Session | None, duties: Collection[str] = ()
) -> Opened:
    """Open a session with a new token; `previous` ends, its browser and followed links carry over."""
    device = previous.device if previous else None
    browser = previous.browser if previous else secrets.token_urlsafe(16)
    new = replace(_new(Level.SIGNED_IN, person, device, browser, now), duties=frozenset(duties))
    opened = await _open(t, new)
    if previous is not None:
        await t.execute(
            "UPDATE followed_ask SET session = ? WHERE session = ?", opened.session.id, previous.id
        )
        await t.execute("DELETE FROM session WHERE id = ?", previous.id)
    await t.execute("DELETE FROM session WHERE ends_at <= ?", to_ms(now))
    return opened


async def open_for_token(
    t: Transaction, person: str, now: datetime, ends_at: datetime, duties: Collection[str]
) -> Session:
    """Open a session for a token of the API. Nobody is given its own: no browser gets into it."""
    new = _new(Level.SIGNED_IN, person, None, secrets.token_urlsafe(16), now)
    opened = await _open(t, replace(new, ends_at=ends_at, duties=frozenset(duties)))
    return opened.session


async def by_id(db: Reader, id_: int) -> Session | None:
    """Return a session that a token holds, idle or not; None when it was ended."""
    row = await db.fetch_one("SELECT * FROM session WHERE id = ?", id_)
    return _session(row) if row else None


async def follow_link(db: Database, ask: AskToken, now: datetime, current: Session | None) -> Opened:
    """Follow an Ask link: its form may then be sent later than 15 minutes, from this browser alone.

    1. a signed-in session, or one of the same person and device, goes on; else one of level DEVICE
       opens, in the same browser
    2. the first follow takes the link for its browser; raises LinkUsedError in any other, and
       nothing has changed
    3. the session remembers what the link said
    """
    async with db.transaction() as t:
        if current is not None and (
            current.is_signed_in or (current.person, current.device) == (ask.person, ask.device)
        ):
            opened = Opened(current, None)
        else:
            browser = current.browser if current else secrets.token_urlsafe(16)
            opened = await _open(t, _new(Level.DEVICE, ask.person, ask.device, browser, now))
        if await _take_link(t, ask, opened.session.browser, now):
            # Only now: the same link again proves nothing new.
            await t.execute("UPDATE session SET followed_at = ? WHERE id = ?", to_ms(now), opened.session.id)
            opened = replace(opened, session=replace(opened.session, followed_at=now))
        await _remember(t, opened.session, ask, now)
    return opened


async def remember_ask(db: Database, ask: AskToken, now: datetime, session: Session) -> None:
    """Let a session send the form of an ask that was made here, not in a link."""
    async with db.transaction() as t:
        await _remember(t, session, ask, now)


async def followed_ask(db: Reader, session: Session, code: str, now: datetime) -> AskToken | None:
    """Return what an Ask link said that this session followed within 12 hours, else None."""
    row = await db.fetch_one(
        "SELECT ask FROM followed_ask WHERE session = ? AND code = ? AND followed_at > ?",
        session.id,
        code,
        to_ms(now - FOLLOWED_FOR),
    )
    return _ASK.validate_json(row["ask"]) if row else None


async def session_of(db: Database, token: str, now: datetime) -> Session | None:
    """Return the session of a cookie's token; None when it is unknown, ended or idle too long."""
    row = await db.fetch_one("SELECT * FROM session WHERE token_digest = ?", _digest(token))
    if row is None or now >= from_ms(row["ends_at"]):
        return None
    session = _session(row)
    idle = now - from_ms(row["seen_at"])
    if session.is_signed_in and idle >= SIGNED_IN_IDLE:
        return None
    if idle >= _SEEN_EVERY:
        async with db.transaction() as t:
            await t.execute("UPDATE session SET seen_at = ? WHERE id = ?", to_ms(now), session.id)
    return session


async def end(t: Transaction, session: Session) -> None:
    """End a session: its token opens nothing any more."""
    await end_by_id(t, session.id)


async def end_by_id(t: Transaction, id_: int) -> None:
    """As `end`."""
    await t.execute("DELETE FROM session WHERE id = ?", id_)


async def end_all_of(t: Transaction, person: str) -> None:
    """End every session of a person."""
    await t.execute("DELETE FROM session WHERE person = ?", person)


async def end_beyond(t: Transaction, duties_of: Callable[[str], frozenset[str] | None]) -> None:
    """End the sessions of whoever has a duty less than when they signed in, or is None: nobody any more."""
    for row in await t.fetch_all("SELECT id, person, duties FROM session WHERE person IS NOT NULL"):
        duties = duties_of(row["person"])
        if duties is None or not duties.issuperset(json.loads(row["duties"])):
            await end_by_id(t, row["id"])


async def end_all(t: Transaction) -> None:
    """End everybody's sessions, and with them all tokens for the API."""
    await t.execute("DELETE FROM session")


async def show_names(t: Transaction, id_: int, person: str, until: datetime) -> bool:
    """Show names in the visit log to a person's session until then; False where it has ended.

    A number is given again after its session: without the person, whoever signs in next would see them.
    """
    sql = "UPDATE session SET names_until = ? WHERE id = ? AND person = ? AND level = ?"
    return bool(await t.execute(sql, to_ms(until), id_, person, Level.SIGNED_IN.value))


async def goes_on(db: Reader, id_: int, person: str, since: datetime, now: datetime) -> bool:
    """Whether a person's session of this number goes on that was signed in already at `since`.

    A number is given again after its session. What a token holds is never idle.
    """
    row = await db.fetch_one(
        "SELECT 1 FROM session WHERE id = ? AND person = ? AND level = ? AND opened_at <= ? AND ends_at > ?"
        " AND (seen_at > ? OR id IN (SELECT session FROM api_token))",
        id_,
        person,
        Level.SIGNED_IN.value,
        *(to_ms(since), to_ms(now), to_ms(now - SIGNED_IN_IDLE)),
    )
    return row is not None


async def _take_link(t: Transaction, ask: AskToken, browser: str, now: datetime) -> bool:
    """Take a link for a browser; False when it was this browser's already. Raises LinkUsedError."""
    await t.execute("DELETE FROM followed_link WHERE issued_at < ?", to_ms(now - _LINKS_KEPT_FOR))
    # By what it says: made again for the same visit in the same second, it is the same link.
    link = (ask.code, to_ms(ask.issued_at))
    if await t.execute(
        "INSERT OR IGNORE INTO followed_link (code, issued_at, browser) VALUES (?, ?, ?)", *link, browser
    ):
        return True
    row = await t.fetch_one("SELECT browser FROM followed_link WHERE code = ? AND issued_at = ?", *link)
    if row is None or row["browser"] != browser:
        raise LinkUsedError("this Ask link was opened in another browser")
    return False


async def _remember(t: Transaction, session: Session, ask: AskToken, now: datetime) -> None:
    if not ask.address and (before := await followed_ask(t, session, ask.code, now)):
        # Of a download's links one alone has its address; the others take nothing from what it led to.
        ask = replace(ask, address=before.address)
    await t.execute(
        "INSERT OR REPLACE INTO followed_ask (session, code, ask, followed_at) VALUES (?, ?, ?, ?)",
        session.id,
        ask.code,
        _ASK.dump_json(ask).decode(),
        to_ms(now),
    )


def _new(level: Level, person: str | None, device: str | None, browser: str, now: datetime) -> Session:
    lifetime = SIGNED_IN_LIFETIME if level is Level.SIGNED_IN else DEVICE_LIFETIME
    return Session(
        id=0,  # given by the database
        level=level,
        person=person,
        device=device,
        browser=browser,
        csrf_token=secrets.token_urlsafe(32),
        opened_at=now,
        ends_at=now + lifetime,
    )


async def _open(t: Transaction, new: Session) -> Opened:
    token = secrets.token_urlsafe(32)
    id_ = await t.insert(
        "INSERT INTO session"
        " (token_digest, level, person, device, browser, csrf_token, opened_at, seen_at, ends_at, duties)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _digest(token),
        new.level.value,
        new.person,
        new.device,
        new.browser,
        new.csrf_token,
        to_ms(new.opened_at),
        to_ms(new.opened_at),
        to_ms(new.ends_at),
        json.dumps(sorted(new.duties)),
    )
    return Opened(replace(new, id=id_), token)


def _session(row: Row) -> Session:
    names_until, followed_at = row["names_until"], row["followed_at"]
    return Session(
        id=row["id"],
        level=Level(row["level"]),
        person=row["person"],
        device=row["device"],
        browser=row["browser"],
        csrf_token=row["csrf_token"],
        opened_at=from_ms(row["opened_at"]),
        ends_at=from_ms(row["ends_at"]),
        names_until=from_ms(names_until) if names_until is not None else None,
        followed_at=from_ms(followed_at) if followed_at is not None else None,
        duties=frozenset(json.loads(row["duties"])),
    )


def _digest(token: str) -> bytes:
    # A token has 256 random bits: a plain digest of it cannot be searched.
    return hashlib.sha256(token.encode()).digest()
