"""The notice: every version that was in force, who accepted it, and who put it off.

A receipt says that a person accepted one version, when, and how it was known who that was. It is never
changed. What was put off ends by itself, at the next midnight of the town, and for good on the day from
which the notice is required. Every move is an event of the audit log, refused ones too.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from admin import audit, outbox
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.outbox import Letter, LetterKind
from policy.town_policy import Notice, Policy
from policy.town_time import zone_of


class NoticeMoveError(Exception):
    """A notice was not accepted or put off; nothing changed."""


class OtherVersionError(NoticeMoveError):
    """The notice in force is not the one that the person read."""


class NotToBePutOffError(NoticeMoveError):
    """The notice is required by now."""


class KnownBy(StrEnum):
    """How it was known who accepts."""

    SIGNED_IN = "signed_in"
    """By a password, at the admin site."""
    OWN_DEVICE = "own_device"
    """By the device, which the policy has as this person's."""
    PROXY_SIGN_IN = "proxy_sign_in"
    """By a password, at the proxy."""


@dataclass(frozen=True, slots=True)
class NoticeVersion:
    """A text that was in force, as people read it. `text` is plain, its paragraphs parted by empty lines."""

    version: str
    title: str
    text: str
    law: str
    first_in_force_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """A person's acceptance of one version."""

    person: str
    version: str
    accepted_at: datetime
    known_by: KnownBy


class Change(StrEnum):
    """What became of a paragraph."""

    ADDED = "added"
    REMOVED = "removed"


# Between paragraphs: an empty line, or the end of a line before an item of a list ("- ", "1. ", "(a) ").
_BREAK = re.compile(r"\n{2,}|\n(?=(?:[-*•]|\d+[.)]|\(\w+\)) )")


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a notice's text, each in one line: where its lines ended means nothing."""
    return [" ".join(paragraph.split()) for paragraph in _BREAK.split(text)]


def changes(before: str, after: str) -> list[tuple[Change, str]]:
    """Return the paragraphs that one text has and the other has not, in the order of reading."""
    old, new = paragraphs(before), paragraphs(after)
    found = []
    for what, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            found += [(Change.REMOVED, paragraph) for paragraph in old[i:j]]
            found += [(Change.ADDED, paragraph) for paragraph in new[k:m]]
    return found


def required_at(policy: Policy) -> datetime | None:
    """Return from when on the notice in force must be accepted; None when that is so from the start."""
    day = policy.notice.required_from if policy.notice is not None else None
    return datetime.combine(day, time(), zone_of(policy)) if day is not None else None


def put_off_until(policy: Policy, at: datetime) -> datetime | None:
    """Return until when the notice in force may be put off at `at`; None when it may not."""
    required = required_at(policy)
    if required is None or at >= required:
        return None
    tomorrow = at.astimezone(zone_of(policy)).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone_of(policy))


async def accept(
    db: Database, policy: Policy, person: str, version: str, known_by: KnownBy, at: datetime
) -> Receipt:
    """Write a person's acceptance of the version that they read, and put a copy of it in the mail.

    Who accepted it before keeps the receipt they have. Raises OtherVersionError (recorded) when
    another version is in force, or none.
    """
    notice = policy.notice
    if notice is None or notice.version != version:
        why = "Another version is in force by now."
        await _refuse(db, person, version, at, why)
        raise OtherVersionError(why)
    async with db.transaction() as t:
        before = await receipt_of(t, person, version)
        if before is not None:
            return before
        receipt = Receipt(person, version, at, known_by)
        await keep(t, notice, at)
        await t.execute(
            "INSERT INTO notice_receipt (person, version, accepted_at, known_by) VALUES (?, ?, ?, ?)",
            person,
            version,
            to_ms(at),
            known_by.value,
        )
        await _record(t, EventKind.NOTICE_ACCEPTED, person, version, at, known_by=known_by.value)
        await outbox.put(t, _copy(notice, receipt), at)
    return receipt


async def put_off(db: Database, policy: Policy, person: str, version: str, at: datetime) -> datetime:
    """Let a person go on without the notice until the town's next midnight; return when that is.

    Raises OtherVersionError, NotToBePutOffError (both recorded).
    """
    notice, until = policy.notice, put_off_until(policy, at)
    if notice is None or notice.version != version:
        why = "Another version is in force by now."
        await _refuse(db, person, version, at, why)
        raise OtherVersionError(why)
    if until is None:
        why = "It is required by now."
        await _refuse(db, person, version, at, why)
        raise NotToBePutOffError(why)
    async with db.transaction() as t:
        await keep(t, notice, at)
        await t.execute(
            "INSERT INTO notice_put_off (person, version, put_off_until) VALUES (?, ?, ?)"
            " ON CONFLICT (person, version) DO UPDATE SET put_off_until = excluded.put_off_until",
            person,
            version,
            to_ms(until),
        )
        await _record(t, EventKind.NOTICE_PUT_OFF, person, version, at, until=until.isoformat())
    return until


async def keep(t: Transaction, notice: Notice, at: datetime) -> None:
    """Keep the text of a version that is in force, from the first time on."""
    await t.execute(
        "INSERT INTO notice_version (version, title, text, law, first_in_force_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (version) DO NOTHING",
        notice.version,
        notice.title,
        notice.text,
        notice.law,
        to_ms(at),
    )


async def live(db: Reader, policy: Policy) -> dict[str, datetime | None]:
    """Return who accepted the notice in force (None), or put it off until when."""
    notice = policy.notice
    if notice is None:
        return {}
    put_off = await db.fetch_all(
        "SELECT person, put_off_until FROM notice_put_off WHERE version = ?", notice.version
    )
    accepted = await db.fetch_all("SELECT person FROM notice_receipt WHERE version = ?", notice.version)
    # The policy may have become stricter since something was put off.
    required = required_at(policy)
    found: dict[str, datetime | None] = {
        row["person"]: min(from_ms(row["put_off_until"]), required) for row in put_off if required is not None
    }
    return found | {row["person"]: None for row in accepted}


async def receipt_of(db: Reader, person: str, version: str) -> Receipt | None:
    """Return a person's receipt for a version, None while there is none."""
    row = await db.fetch_one("SELECT * FROM notice_receipt WHERE person = ? AND version = ?", person, version)
    return _receipt(row) if row else None


async def accepted_last(db: Reader, person: str) -> tuple[Receipt, NoticeVersion] | None:
    """Return a person's newest receipt and what it is for, None when they never accepted any."""
    row = await db.fetch_one(
        "SELECT * FROM notice_receipt WHERE person = ? ORDER BY accepted_at DESC, id DESC LIMIT 1", person
    )
    if row is None:
        return None
    version = await db.fetch_one("SELECT * FROM notice_version WHERE version = ?", row["version"])
    return (_receipt(row), _version(version)) if version else None


async def all_receipts(db: Reader) -> list[Receipt]:
    """Return every receipt, oldest first."""
    return [_receipt(row) for row in await db.fetch_all("SELECT * FROM notice_receipt ORDER BY id")]


async def all_versions(db: Reader) -> list[NoticeVersion]:
    """Return every version that was in force, oldest first."""
    rows = await db.fetch_all("SELECT * FROM notice_version ORDER BY first_in_force_at, version")
    return [_version(row) for row in rows]


async def _refuse(db: Database, person: str, version: str, at: datetime, why: str) -> None:
    async with db.transaction() as t:
        await _record(t, EventKind.NOTICE_MOVE_REFUSED, person, version, at, why=why)


async def _record(
    t: Transaction, kind: EventKind, person: str, version: str, at: datetime, **details: Detail
) -> None:
    await audit.record(t, Event(kind, person, f"notice {version}", at, details))


def _copy(notice: Notice, receipt: Receipt) -> Letter:
    values: Mapping[str, str] = {
        "title": notice.title,
        "text": notice.text,
        "law": notice.law,
        "version": notice.version,
        "accepted_at": receipt.accepted_at.isoformat(),
    }
    return Letter(LetterKind.NOTICE_RECEIPT, receipt.person, f"notice {notice.version}", values)


def _receipt(row: Row) -> Receipt:
    return Receipt(row["person"], row["version"], from_ms(row["accepted_at"]), KnownBy(row["known_by"]))


def _version(row: Row) -> NoticeVersion:
    return NoticeVersion(
        row["version"], row["title"], row["text"], row["law"], from_ms(row["first_in_force_at"])
    )
