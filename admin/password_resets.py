"""Forgotten passwords: a link by mail, good for one new password within 30 minutes.

Nothing that is answered, and nothing in how long it takes, says whether a name has an account. The link is
signed when the mail is made and kept nowhere; the database knows that one was asked for.
"""

from datetime import datetime, timedelta

from admin import accounts, audit, outbox
from admin.accounts import TooManyTriesError
from admin.audit import Event, EventKind
from admin.clock import to_ms
from admin.database import Database, Reader, Row
from admin.outbox import Letter, LetterKind
from admin.request_moves import left
from policy.signed_text import SignedTextError, sign, signed_body
from policy.town_policy import Policy

LINK_LIFETIME = timedelta(minutes=30)

_PURPOSE = b"password reset"


class ResetLinkError(Exception):
    """A link is over, was used, or is none; no password was set."""


async def ask(db: Database, policy: Policy, name: str, now: datetime) -> None:
    """Send the person a link, if the name has an account and a mail address; say nothing of it.

    Names are asked for 5 times within 15 minutes; what is more is passed over.
    """
    try:
        async with db.transaction() as t:
            await accounts.count_try(t, f"reset {name}", now)
            record = policy.people.get(name)
            account = await t.fetch_one("SELECT 1 FROM account WHERE person = ? AND kind = 'admin'", name)
            if record is None or not record.mail or account is None:
                return
            id_ = await t.insert(
                "INSERT INTO password_reset (person, asked_at) VALUES (?, ?)", name, to_ms(now)
            )
            values = {"reset": str(id_)}
            letter = Letter(LetterKind.PASSWORD_RESET, name, "PASSWORD", values, again=str(id_))
            await outbox.put(t, letter, now)
            await audit.record(t, Event(EventKind.PASSWORD_LINK_SENT, name, name, now))
    except TooManyTriesError:
        return


def token(reset: str, person: str, asked_at: datetime, key: bytes) -> str:
    """Return what the link of a reset carries.

    Its number is not enough: a database that was restored gives numbers again that went out in links.
    """
    return sign(f"{reset}:{to_ms(asked_at)}:{person}".encode(), key, _PURPOSE)


async def person_of(db: Reader, policy: Policy, token: str, key: bytes, now: datetime) -> str:
    """Return whose password a link sets. Raises ResetLinkError; nothing is used up."""
    row = await _row(db, token, key, now)
    if row["person"] not in policy.people:
        raise ResetLinkError("the person has left")
    return str(row["person"])


async def use(db: Database, policy: Policy, token: str, key: bytes, password: str, now: datetime) -> str:
    """Set the password for the admin site of whoever the link was sent to; return their id.

    Their sessions end, a lock-out too, and every other link of theirs. Raises ResetLinkError, and
    PasswordError, which leaves the link as it is.
    """
    person = await person_of(db, policy, token, key, now)
    password_hash = await accounts.hashed(password)
    async with db.transaction() as t:
        await _row(t, token, key, now)
        if await left(t, person):
            raise ResetLinkError("the person has left")
        await t.execute(
            "UPDATE password_reset SET used_at = ? WHERE person = ? AND used_at IS NULL",
            to_ms(now),
            person,
        )
        await accounts.store(t, person, password_hash, "admin", actor=person, now=now)
    return person


async def _row(db: Reader, token: str, key: bytes, now: datetime) -> Row:
    try:
        reset, asked_at, person = signed_body(token, key, _PURPOSE).decode().split(":", 2)
        asked = (int(reset), int(asked_at), person)
    except (SignedTextError, ValueError) as error:
        raise ResetLinkError("this is no link to set a password") from error
    row = await db.fetch_one(
        "SELECT * FROM password_reset WHERE id = ? AND asked_at = ? AND person = ?"
        " AND used_at IS NULL AND asked_at > ?",
        *asked,
        to_ms(now - LINK_LIFETIME),
    )
    if row is None:
        raise ResetLinkError("the link was used, or is over 30 minutes old")
    return row
