"""Local accounts: passwords and signing in with them."""

import asyncio
import functools
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from admin import audit, sessions
from admin.audit import Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Transaction
from admin.sessions import Opened, Session

MIN_LENGTH = 8
MAX_LENGTH = 256
MAX_TRIES = 5
# Of one address, under all names: a workstation that tries everybody's name with the same few passwords.
# Others may have the same address, so a right password still opens; wrong ones are answered late.
MAX_TRIES_FROM_ADDRESS = 50
LATE_SECONDS = 5.0
TRIES_WITHIN = timedelta(minutes=15)
# What is later was tried before the clock was set back: it would count until then.
_AHEAD = timedelta(minutes=1)

# OWASP's parameters for argon2id. The proxy checks these hashes too, beside its traffic, so they take
# tens of milliseconds of one core and 19 MiB, not hundreds.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Off the event loop, two at a time.
_HASHING = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")

type AccountKind = Literal["admin", "proxy"]


class PasswordError(ValueError):
    """A password is not acceptable; the one before stays."""


class SignInError(Exception):
    """Name or password are not right; which of the two is not said."""


class TooManyTriesError(SignInError):
    """Signing in under this name is refused until `until` (aware UTC), right password or not."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"too many tries; again at {until.isoformat()}")
        self.until = until


async def set_password(
    db: Database, person: str, password: str, kind: AccountKind, *, actor: str, now: datetime
) -> None:
    """Set a person's password for the admin site or the proxy; their sessions of the admin site end.

    Raises PasswordError when it is shorter than 8 or longer than 256 characters.
    """
    password_hash = await hashed(password)
    async with db.transaction() as t:
        await store(t, person, password_hash, kind, actor=actor, now=now)


async def hashed(password: str) -> str:
    """Return the hash that a password is kept as. Raises PasswordError as `set_password` does."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PasswordError(
            f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has {len(password)}"
        )
    return await _in_thread(_HASHER.hash, password)


async def store(
    t: Transaction, person: str, password_hash: str, kind: AccountKind, *, actor: str, now: datetime
) -> None:
    """Keep a hash as a person's password; for the admin site, sessions and a lock-out end."""
    await t.execute(
        "INSERT OR REPLACE INTO account (person, kind, password_hash, changed_at) VALUES (?, ?, ?, ?)",
        person,
        kind,
        password_hash,
        to_ms(now),
    )
    if kind == "admin":
        await sessions.end_all_of(t, person)
        await t.execute("DELETE FROM sign_in_try WHERE name = ?", _name_digest(person))
    await audit.record(t, Event(EventKind.PASSWORD_SET, actor, person, now, {"for": kind}))


async def sign_in(
    db: Database,
    person: str,
    password: str,
    now: datetime,
    *,
    previous: Session | None = None,
    is_known: bool = True,
    duties: Collection[str] = (),
    address: str | None = None,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Opened:
    """Check a name and password; open a session with a new token.

    1. count this try under its name and address, before the slow check: tries side by side count too
    2. compare the password's hash; a name nobody has is compared with a hash of nothing
    3. right: forget the tries under the name and this one from the address, open the session

    `is_known` is False for someone the policy no longer names, whose account opens nothing. `duties` are
    what the session is for beyond what everyone may. `address` is None where everybody may have it.
    Raises SignInError when they are not right, in equal time for names nobody has, and
    TooManyTriesError after 5 wrong tries within 15 minutes under the name. After 50 from the address a
    wrong one is answered late, with `wait`; a right one never is.
    """
    async with db.transaction() as t:
        await count_try(t, person, now)
        is_late = await count_from(t, address, now)
    stored = await _stored(db, person) if is_known else None
    if not await _in_thread(_is_right, stored, password[: MAX_LENGTH + 1]):
        if stored is not None:
            async with db.transaction() as t:
                await audit.record(t, Event(EventKind.SIGN_IN_REFUSED, person, person, now))
        if is_late:
            await wait(LATE_SECONDS)
        raise SignInError("the name or password is not right")
    async with db.transaction() as t:
        # Set anew, or ended, while the old one was compared: what signs everyone out is not outrun.
        if await _stored(t, person) != stored:
            raise SignInError("the name or password is not right")
        await t.execute("DELETE FROM sign_in_try WHERE name = ?", _name_digest(person))
        if not is_late:
            await forget_from(t, address)
        opened = await sessions.open_signed_in(t, person, now, previous, duties)
        await audit.record(t, Event(EventKind.SIGNED_IN, person, person, now, {"how": "password"}))
    return opened


async def sign_out(db: Database, session: Session, now: datetime) -> None:
    """End a session by its owner's wish."""
    async with db.transaction() as t:
        await sessions.end(t, session)
        if session.person is not None and session.is_signed_in:
            await audit.record(t, Event(EventKind.SIGNED_OUT, session.person, session.person, now))


async def end(t: Transaction, person: str) -> None:
    """End a person's sessions and passwords, for the admin site and the proxy."""
    await sessions.end_all_of(t, person)
    await t.execute("DELETE FROM account WHERE person = ?", person)
    await t.execute("DELETE FROM sign_in_try WHERE name = ?", _name_digest(person))


async def proxy_passwords(db: Reader) -> dict[str, str]:
    """Return the argon2id hashes of proxy passwords by person."""
    rows = await db.fetch_all("SELECT person, password_hash FROM account WHERE kind = 'proxy'")
    return {row["person"]: row["password_hash"] for row in rows}


async def _stored(db: Reader, person: str) -> str | None:
    row = await db.fetch_one("SELECT password_hash FROM account WHERE person = ? AND kind = 'admin'", person)
    return row["password_hash"] if row else None


async def count_try(t: Transaction, name: str, now: datetime) -> None:
    """Count a try under a name that anybody may write.

    Raises TooManyTriesError for what is more than 5 within 15 minutes.
    """
    first = await _first_of(t, name, now, MAX_TRIES)
    if first is not None:
        raise TooManyTriesError(first + TRIES_WITHIN)
    await _put_try(t, name, now)


async def count_from(t: Transaction, address: str | None, now: datetime) -> bool:
    """Count a try from an address; return whether it is to be answered late, and is not counted.

    It is after 50 within 15 minutes. None is an address that everybody may have.
    """
    if address is None:
        return False
    if await _first_of(t, _from(address), now, MAX_TRIES_FROM_ADDRESS) is not None:
        return True
    await _put_try(t, _from(address), now)
    return False


async def forget_from(t: Transaction, address: str | None) -> None:
    """Forget the last try from an address: it was no wrong one."""
    if address is not None:
        await t.execute(
            "DELETE FROM sign_in_try WHERE id = (SELECT max(id) FROM sign_in_try WHERE name = ?)",
            _name_digest(_from(address)),
        )


async def _first_of(t: Transaction, name: str, now: datetime, most: int) -> datetime | None:
    """Return when the first of the last `most` tries was; None while there were fewer within 15 minutes."""
    over, ahead = to_ms(now - TRIES_WITHIN), to_ms(now + _AHEAD)
    await t.execute("DELETE FROM sign_in_try WHERE at <= ? OR at > ?", over, ahead)
    tries = await t.fetch_all("SELECT at FROM sign_in_try WHERE name = ? ORDER BY at", _name_digest(name))
    return from_ms(tries[-most]["at"]) if len(tries) >= most else None


async def _put_try(t: Transaction, name: str, now: datetime) -> None:
    await t.execute("INSERT INTO sign_in_try (name, at) VALUES (?, ?)", _name_digest(name), to_ms(now))


def _from(address: str) -> str:
    # With a space, which no person's id has.
    return f"from {address}"


def _name_digest(person: str) -> bytes:
    # People type their password into the wrong field: what nobody is called is not kept as typed.
    return hashlib.sha256(person.encode(errors="replace")).digest()


def _is_right(stored: str | None, password: str) -> bool:
    # The same work whether anyone has this name or not.
    nothing = _hash_of_nothing()
    try:
        return _HASHER.verify(stored or nothing, password) and stored is not None
    except VerificationError:
        return False


@functools.cache
def _hash_of_nothing() -> str:
    return _HASHER.hash(secrets.token_urlsafe(32))


async def _in_thread[*Args, R](function: Callable[[*Args], R], *args: *Args) -> R:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, function, *args)
