"""The outbox: letters to people and to the help desk, put where what they tell of is decided.

A letter is put in the transaction of its cause: either both are so or neither. Sending comes later
in the background, as often as it takes; words are found only then. Putting the same letter twice puts
it once. One that is to come later is put for its time: until then it is not due, and not behind.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from admin.clock import from_ms, to_ms
from admin.database import Reader, Row, Transaction

_FAILED_WITHIN = timedelta(days=7)

HELP_DESK = "help_desk"
"""The recipient that is no person: the town's help desk, by mail and by the webhook where there is one."""


class Channel(StrEnum):
    """How a letter goes out."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class LetterKind(StrEnum):
    """What a letter tells. Those about a request ("REQ-12") are told from the request itself."""

    REQUEST_TO_DECIDE = "request_to_decide"
    """To each who may answer the present step."""
    REQUEST_REMINDER = "request_reminder"
    """To each who may answer the present step and has not for some hours."""
    REQUEST_PASSED_ON = "request_passed_on"
    """To the asker: nobody answered, those above are asked as well."""
    REQUEST_TO_SIGN = "request_to_sign"
    """To the person who was proposed: approved, and the terms are to be signed. Once more as a reminder."""
    REQUEST_TO_OPEN = "request_to_open"
    """To each of IT who may open what was approved and has not for some hours."""
    REQUEST_APPROVED = "request_approved"
    """To the asker: approved, IT has still to open it."""
    REQUEST_ALLOWED = "request_allowed"
    """To the asker: open."""
    REQUEST_HANDED_ON = "request_handed_on"
    """To the one who had joined first: the asker needs it no more, it is theirs now."""
    EMERGENCY_OPENED = "emergency_opened"
    """To the head, IT security and who reviews it: someone opened a site for themselves."""
    EMERGENCY_UNREVIEWED = "emergency_unreviewed"
    """To who reviews it and has not in time, then to those above: it waits for them."""
    EMERGENCY_REVIEWED = "emergency_reviewed"
    """To the one who opened it: whether it was right. `answer` is "right" or "not_right"."""
    REQUEST_DENIED = "request_denied"
    """To the asker."""
    REQUEST_STOPPED = "request_stopped"
    """To the asker and to those who approved."""
    TICKET = "ticket"
    """To the help desk: access is open, or to be opened by IT."""
    TICKET_OPENED = "ticket_opened"
    """To the help desk: IT opened it."""
    TICKET_STOPPED = "ticket_stopped"
    """To the help desk: what the ticket was about has ended early."""
    EXEMPTION_PAUSED = "exemption_paused"
    """To asker, approvers and IT: a host of the request is a security risk now."""
    EXEMPTION_REVIEW = "exemption_review"
    """To askers and approvers: access ends in a week, or is open for long; is it still needed?"""
    CATEGORY_REPORTED = "category_reported"
    """To IT: someone says that a site's category is wrong."""
    CATEGORY_ANSWERED = "category_answered"
    """To the one who said so. `answer` is "corrected" or "kept"."""
    ACCIDENT_REPORTED = "accident_reported"
    """To the head and IT: someone came to a prohibited site by accident."""
    ACCIDENT_ANSWERED = "accident_answered"
    """To the one who said so. `answer` is "blocked" or "no_problem"."""
    REPORT_REMINDER = "report_reminder"
    """To IT: what was said of a site has waited for an answer for some hours."""
    DOWNLOAD_REMINDER = "download_reminder"
    """To the one who asked for it: a download need not wait any more. It names the address, emptied once that
    was sent."""
    LIMIT_CLOSED = "limit_closed"
    """To the one whose connection a limit has ended without a page: once a day for each limit."""
    ATTEMPTS_REPEATED = "attempts_repeated"
    """To whom the policy names: a person was stopped too often. Categories are parted by spaces."""
    RISK_STOPPED = "risk_stopped"
    """To the same: a visit was stopped as a security risk. `device` is "" where its name is not known."""
    WEEKLY_REPORT = "weekly_report"
    """To who answers for a department, or IT: its week in numbers. `department` is "" for the town's."""
    NAMES_ASKED = "names_asked"
    """To who may agree: somebody needs a second person to see names in the visit log ("NAMES-3")."""
    NAMES_ANSWERED = "names_answered"
    """To who asked: whether a second person agreed."""
    DELEGATION_NAMED = "delegation_named"
    """To who stands in for a head: from when until when, and what that means."""
    DELEGATION_ENDED = "delegation_ended"
    """To the same: it was ended before its last day."""
    NOTICE_RECEIPT = "notice_receipt"
    """To the one who accepted the notice: a copy of it."""
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the word of a letter
    """To who forgot their password: a link. `reset` is its number."""
    TEST = "test"
    """To who tries the settings out. Never put: carried at once."""


_VALUES: Mapping[LetterKind, frozenset[str]] = {
    LetterKind.REQUEST_TO_DECIDE: frozenset({"step"}),
    LetterKind.REQUEST_REMINDER: frozenset({"step"}),
    LetterKind.EXEMPTION_PAUSED: frozenset({"host", "category"}),
    LetterKind.EMERGENCY_OPENED: frozenset({"host", "person", "department", "until", "reason"}),
    LetterKind.EMERGENCY_REVIEWED: frozenset({"host", "answer", "note"}),
    LetterKind.CATEGORY_REPORTED: frozenset({"host", "listed_as", "proposed", "note"}),
    LetterKind.CATEGORY_ANSWERED: frozenset({"host", "answer", "category", "note"}),
    LetterKind.ACCIDENT_REPORTED: frozenset({"host", "category", "department", "at"}),
    LetterKind.ACCIDENT_ANSWERED: frozenset({"host", "answer"}),
    LetterKind.REPORT_REMINDER: frozenset({"host", "at"}),
    LetterKind.DOWNLOAD_REMINDER: frozenset({"host", "address", "limit"}),
    LetterKind.LIMIT_CLOSED: frozenset({"host", "limit", "at"}),
    LetterKind.ATTEMPTS_REPEATED: frozenset(
        {"person", "department", "visits", "categories", "from", "until"}
    ),
    LetterKind.RISK_STOPPED: frozenset({"host", "category", "person", "department", "device", "at", "code"}),
    LetterKind.WEEKLY_REPORT: frozenset({"department", "monday"}),
    LetterKind.DELEGATION_NAMED: frozenset({"head", "department", "begins_at", "ends_at"}),
    LetterKind.DELEGATION_ENDED: frozenset({"head", "department", "begins_at", "ends_at", "by"}),
    LetterKind.PASSWORD_RESET: frozenset({"reset"}),
    LetterKind.NOTICE_RECEIPT: frozenset({"title", "text", "law", "version", "accepted_at"}),
}
"""What a letter of each kind must be given, as text: categories by id, times in ISO 8601, "" for none."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`to` is a person's id or HELP_DESK; `about` is what it belongs to, like "REQ-12": thread and tag.

    `again` tells it from an earlier one of the same kind to the same about the same.
    """

    kind: LetterKind
    to: str
    about: str
    values: Mapping[str, str] = field(default_factory=dict)
    again: str = ""


@dataclass(frozen=True, slots=True)
class PutLetter:
    """A letter as the outbox keeps it. `message_id` names it in the world, the same at every try."""

    id: int
    channel: Channel
    letter: Letter
    message_id: str
    put_at: datetime
    tries: int

    @property
    def thread(self) -> tuple[str, str]:
        """What letters share that come to the same about the same, in the order in which they were put."""
        return self.letter.to, self.letter.about


@dataclass(frozen=True, slots=True)
class FailedLetter:
    """A letter that was not delivered, and why."""

    id: int
    channel: Channel
    kind: LetterKind
    to: str
    about: str
    failed_at: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class Depth:
    """What is in the outbox of one channel. `oldest_at` is when the oldest that waits was put.

    What is for a time to come does not wait yet. `failed` are those of the last 7 days.
    """

    waiting: int
    failed: int
    oldest_at: datetime | None
    last_sent_at: datetime | None


async def put(t: Transaction, letter: Letter, at: datetime) -> None:
    """Put a letter, within the transaction of what it tells of; once, however often it is put.

    With an `at` to come it waits until then, and is one of that time.
    Raises ValueError when it lacks what its kind tells.
    """
    lacking = _VALUES.get(letter.kind, frozenset()) - letter.values.keys()
    if lacking:
        raise ValueError(f"a letter {letter.kind.value} without {', '.join(sorted(lacking))}")
    channels = tuple(Channel) if letter.to == HELP_DESK else (Channel.MAIL,)
    for channel in channels:
        await t.execute(
            "INSERT INTO letter (key, channel, kind, recipient, about, details, message_id, put_at,"
            " next_try_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            json.dumps([channel.value, letter.kind.value, letter.about, letter.to, letter.again]),
            channel.value,
            letter.kind.value,
            letter.to,
            letter.about,
            json.dumps({"again": letter.again, "values": dict(letter.values)}, ensure_ascii=False),
            secrets.token_hex(16),
            to_ms(at),
            to_ms(at),
        )


async def has_had(db: Reader, letter: Letter) -> bool:
    """Whether one of this kind about the same with the same values was put to the same, again or not."""
    row = await db.fetch_one(
        "SELECT 1 FROM letter WHERE about = ? AND recipient = ? AND kind = ?"
        " AND json_extract(details, '$.values') = json(?)",
        letter.about,
        letter.to,
        letter.kind.value,
        json.dumps(dict(letter.values)),
    )
    return row is not None


async def due(db: Reader, channel: Channel, at: datetime, limit: int = 50) -> list[PutLetter]:
    """Return letters that are to be tried at `at`, oldest first.

    None whose thread was put off: "allowed" must not come after "stopped".
    """
    rows = await db.fetch_all(
        "SELECT * FROM letter WHERE state = 'waiting' AND channel = ?1 AND next_try_at <= ?2"
        " AND NOT EXISTS (SELECT 1 FROM letter AS earlier WHERE earlier.about = letter.about"
        "  AND earlier.recipient = letter.recipient AND earlier.channel = letter.channel"
        "  AND earlier.id < letter.id AND earlier.state = 'waiting' AND earlier.next_try_at > ?2)"
        " ORDER BY id LIMIT ?3",
        channel.value,
        to_ms(at),
        limit,
    )
    return [_put_letter(row) for row in rows]


async def earlier_in_thread(db: Reader, letter: PutLetter) -> list[str]:
    """Return the message ids of what was sent to the same about the same before, oldest first."""
    rows = await db.fetch_all(
        "SELECT message_id FROM letter WHERE about = ? AND recipient = ? AND channel = ? AND id < ?"
        " AND state = 'sent' ORDER BY id",
        letter.letter.about,
        letter.letter.to,
        letter.channel.value,
        letter.id,
    )
    return [row["message_id"] for row in rows]


async def mark_sent(t: Transaction, letter: PutLetter, at: datetime) -> None:
    """Note that the letter is with its server."""
    await _end(t, letter, "sent", at, None)


async def mark_failed(t: Transaction, letter: PutLetter, at: datetime, problem: str) -> None:
    """Note that the letter was refused for good, or that nobody took it for too long."""
    await _end(t, letter, "failed", at, problem)


async def mark_dropped(t: Transaction, letter: PutLetter, at: datetime, why: str) -> None:
    """Note that the letter has no one to go to, or tells what is no longer so."""
    await _end(t, letter, "dropped", at, why)


async def put_off(t: Transaction, letter: PutLetter, until: datetime, problem: str) -> None:
    """Note a try that came to nothing, and when the next one is."""
    await t.execute(
        "UPDATE letter SET tries = tries + 1, next_try_at = ?, problem = ?"
        " WHERE id = ? AND state = 'waiting'",
        to_ms(until),
        problem,
        letter.id,
    )


async def failed(db: Reader, at: datetime) -> list[FailedLetter]:
    """Return what failed within 7 days, newest first, 50 at most."""
    rows = await db.fetch_all(
        "SELECT * FROM letter WHERE state = 'failed' AND done_at >= ?"
        " ORDER BY done_at DESC, id DESC LIMIT 50",
        to_ms(at - _FAILED_WITHIN),
    )
    return [
        FailedLetter(
            row["id"],
            Channel(row["channel"]),
            LetterKind(row["kind"]),
            row["recipient"],
            row["about"],
            from_ms(row["done_at"]),
            row["problem"] or "",
        )
        for row in rows
    ]


async def put_again(t: Transaction, id_: int, at: datetime) -> None:
    """Let a letter that failed wait again, under its old name; nothing for any other."""
    await t.execute(
        "UPDATE letter SET state = 'waiting', tries = 0, put_at = ?1, next_try_at = ?1, done_at = NULL"
        " WHERE id = ?2 AND state = 'failed'",
        to_ms(at),
        id_,
    )


async def depth(db: Reader, channel: Channel, at: datetime) -> Depth:
    """Say what waits, what failed, and when one was sent last."""
    row = await db.fetch_one(
        "SELECT (SELECT count(*) FROM letter WHERE state = 'waiting' AND channel = ?1 AND put_at <= ?3)"
        " AS waiting, (SELECT min(put_at) FROM letter WHERE state = 'waiting' AND channel = ?1"
        " AND put_at <= ?3) AS oldest_at,"
        " (SELECT count(*) FROM letter WHERE state = 'failed' AND channel = ?1 AND done_at >= ?2) AS failed,"
        " (SELECT max(done_at) FROM letter WHERE state = 'sent' AND channel = ?1) AS last_sent_at",
        channel.value,
        to_ms(at - _FAILED_WITHIN),
        to_ms(at),
    )
    if row is None:
        return Depth(0, 0, None, None)
    return Depth(
        waiting=row["waiting"],
        failed=row["failed"],
        oldest_at=from_ms(row["oldest_at"]) if row["oldest_at"] is not None else None,
        last_sent_at=from_ms(row["last_sent_at"]) if row["last_sent_at"] is not None else None,
    )


async def _end(t: Transaction, letter: PutLetter, state: str, at: datetime, problem: str | None) -> None:
    await t.execute(
        "UPDATE letter SET state = ?, tries = tries + 1, done_at = ?, problem = ?"
        " WHERE id = ? AND state = 'waiting'",
        state,
        to_ms(at),
        problem,
        letter.id,
    )
    if letter.letter.kind is LetterKind.DOWNLOAD_REMINDER and state != "failed":
        # What failed can be put again.
        await t.execute(
            "UPDATE letter SET details = json_set(details, '$.values.address', '') WHERE id = ?", letter.id
        )


def _put_letter(row: Row) -> PutLetter:
    details = json.loads(row["details"])
    return PutLetter(
        id=row["id"],
        channel=Channel(row["channel"]),
        letter=Letter(
            LetterKind(row["kind"]), row["recipient"], row["about"], details["values"], details["again"]
        ),
        message_id=row["message_id"],
        put_at=from_ms(row["put_at"]),
        tries=row["tries"],
    )
