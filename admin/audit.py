"""The audit log: what people decided and did, append-only and hash-chained.

An event's digest is SHA-256 over the digest of the event before and its own fields. `verify` shows an
edit, a deletion or a reordering by whoever did not compute the later digests anew. The chain has no
key: whoever can write to the database can also compute it anew, or cut off its tail; that shows against
the heads that `audit_heads` keeps elsewhere. Triggers refuse what is no appending, to everyone who does
not remove them first. Refused moves are recorded like others, with their actor.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from admin.clock import from_ms, to_ms
from admin.database import Reader, Row, Transaction
from admin.sqlite_file import scripts_of

type Detail = str | int | bool | list[str] | None

AT_THE_COMMAND_LINE = " at the command line"
"""How an actor ends who is known to the machine and not to the policy; no person's id does."""
AT_A_SHARED_DEVICE = "someone at a shared device"
"""The actor where nobody knows who sits there; no person's id has a space."""

CLOCK = "the clock"
"""Who acted where the time for something had come."""

_START = bytes(32)
# Whatever somebody with the file's rights may have put before the first.
_BEFORE_THE_FIRST = -(2**63)
_GUARDS = (
    "event_is_never_changed",
    "event_is_never_deleted",
    "event_is_never_replaced",
    "event_goes_to_the_end",
)


class EventKind(StrEnum):
    """What happened; `<subject>.<past participle>`."""

    REQUEST_SUBMITTED = "request.submitted"
    REQUEST_ENDORSED = "request.endorsed"
    """Approved by one of several approvers; the next one is asked."""
    REQUEST_APPROVED = "request.approved"
    """Approved by the last approver: access is open, or IT's to open."""
    REQUEST_OPENED_AT_ONCE = "request.opened_at_once"
    """Emergency access: the person opened it for themselves; another reviews it."""
    REQUEST_REVIEWED = "request.reviewed"
    """Another looked at emergency access, and said whether it was right."""
    REQUEST_SIGNED = "request.signed"
    """The person signed the terms: access is open, or IT's to open."""
    REQUEST_OPENED = "request.opened"
    """Opened by IT, where the policy waits for that."""
    REQUEST_DENIED = "request.denied"
    REQUEST_WITHDRAWN = "request.withdrawn"
    REQUEST_STOPPED = "request.stopped"
    REQUEST_MOVE_REFUSED = "request.move_refused"
    REQUEST_HOST_ADDED = "request.host_added"
    """What the site's pages need is part of the request, and of access where that is open."""
    REQUEST_JOINED = "request.joined"
    """A colleague needs the same."""
    REQUEST_HANDED_ON = "request.handed_on"
    """The asker left: the request is the colleague's who had joined first."""
    EXEMPTION_REVIEW_DUE = "exemption.review_due"
    """Access that is open for long: is it still needed?"""
    EXEMPTION_KEPT = "exemption.kept"
    """It is."""
    REQUEST_REMINDED = "request.reminded"
    """Nobody had answered: those who are asked were reminded."""
    REQUEST_PASSED_ON = "request.passed_on"
    """Nobody had answered: those above may answer as well."""
    DELEGATION_NAMED = "delegation.named"
    """Somebody stands in for a department's head, from a day to a day."""
    DELEGATION_ENDED = "delegation.ended"
    """By the head, before its last day."""
    DELEGATION_REFUSED = "delegation.refused"
    EXEMPTION_PAUSED = "exemption.paused"
    """A host of the request is listed as a risk that nobody accepted, or as what nobody can allow."""
    EXEMPTION_RESUMED = "exemption.resumed"
    """It is not any more: the exemption counts again."""
    EXEMPTION_USED_UP = "exemption.used_up"
    """Access to one download has let it through."""
    EXEMPTION_LEFT_OPEN = "exemption.left_open"
    """IT looked at access that was granted, and left it open."""
    SIGNED_IN = "person.signed_in"
    SIGN_IN_REFUSED = "person.sign_in_refused"
    SIGNED_OUT = "person.signed_out"
    PERSON_CLOSED = "person.closed"
    """They left: what they had ended with it."""
    PERSON_REOPENED = "person.reopened"
    PERSON_MOVE_REFUSED = "person.move_refused"
    PEOPLE_IMPORTED = "people.imported"
    """Another list of people is in force."""
    PEOPLE_IMPORT_REFUSED = "people.import_refused"
    """By who may not, over a fifth of the people, or not as it had been looked at."""
    PEOPLE_REMOVAL_FORCED = "people.removal_forced"
    """A version of the policy may leave out over a fifth of the people."""
    PASSWORD_LINK_SENT = "password.link_sent"  # noqa: S105 - the word of an event
    """Somebody said that they forgot the person's password."""
    PASSWORD_SET = "password.set"  # noqa: S105 - the word of an event
    TOKEN_CREATED = "token.created"  # noqa: S105 - the word of an event
    """A person's programs may use the API with it."""
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the word of an event
    TOKEN_REFUSED = "token.refused"  # noqa: S105 - the word of an event
    """It was used when it was over, or for what it is not for."""
    NAMES_SHOWN = "names.shown"
    NAMES_ASKED = "names.asked"
    """A second person is asked to agree that somebody sees names, or searches by one."""
    NAMES_AGREED = "names.agreed"
    NAMES_NOT_AGREED = "names.not_agreed"
    NAMES_REFUSED = "names.refused"
    """Somebody tried to answer who may not."""
    VISITS_EXPORTED = "visits.exported"
    """Somebody took visits away as a table; names were in it where they were shown to them."""
    POLICY_PUBLISHED = "policy.published"
    REPORT_SENT = "report.sent"
    """Someone said that a site's category is wrong, or that they came by accident."""
    REPORT_REMINDED = "report.reminded"
    REPORT_ANSWERED = "report.answered"
    REPORT_MOVE_REFUSED = "report.move_refused"
    SITE_CORRECTED = "site.corrected"
    """The town lists the site itself; its former correction, if there was one, is undone."""
    SITE_CORRECTION_UNDONE = "site.correction_undone"
    SITE_CORRECTION_REFUSED = "site.correction_refused"
    """Someone else had corrected the site since they looked."""
    SITE_NEVER_INSPECTED = "site.never_inspected"
    """Programs there do not trust the town's certificate: no rule has the host opened any more."""
    SITE_INSPECTED_AGAIN = "site.inspected_again"
    SITE_LEFT_INSPECTED = "site.left_inspected"
    """IT looked at such a host, and rules have it opened as before."""
    SITE_INSPECTION_REFUSED = "site.inspection_refused"
    LIMIT_PASSED = "limit.passed"
    """Somebody went on past a limit that warns, after it had closed a tunnel."""
    REMINDER_ASKED = "limit.reminder_asked"
    """Somebody asked for a mail when a download is no longer over a limit."""
    VISIT_ENDED = "visit.ended"
    """IT ended a visit that was heavy on the town's line."""
    ATTEMPTS_TOLD = "attempts.told"
    """Others were told of a person who was stopped too often; `people` are those who were."""
    SECURITY_RISK_TOLD = "security_risk.told"
    """They were told of a visit that was stopped as a security risk."""
    WEEKLY_REPORT_SENT = "weekly_report.sent"
    """The report on the week that began on this Monday was put into the outbox; `people` are to get it."""
    LOCKDOWN_BEGUN = "lockdown.begun"
    LOCKDOWN_NEWS_GIVEN = "lockdown.news_given"
    LOCKDOWN_ENDED = "lockdown.ended"
    DEVICE_TAKEN_OFF = "device.taken_off"
    DEVICE_LET_BACK = "device.let_back"
    FILTER_SWITCHED_OFF = "filter.switched_off"
    """For a while; that it comes on again by itself is no event."""
    FILTER_SWITCHED_ON = "filter.switched_on"
    EMERGENCY_REFUSED = "emergency.refused"
    NOTICE_ACCEPTED = "notice.accepted"
    NOTICE_PUT_OFF = "notice.put_off"
    NOTICE_MOVE_REFUSED = "notice.move_refused"
    NOTICE_EXPORTED = "notice.exported"
    """Who accepted which version was written out, with names."""
    LISTS_FORCED = "lists.forced"
    """An edition of a list was put into force in spite of what the gate doubts of it."""
    LISTS_ROLLED_BACK = "lists.rolled_back"
    """Lists of before are in force again, and updates do not replace them."""
    LISTS_RELEASED = "lists.released"
    """Updates put new lists into force again."""
    BACKUP_STARTED = "backup.started"
    """All that the town remembers was copied to a folder."""
    BACKUP_RESTORED = "backup.restored"


@dataclass(frozen=True, slots=True)
class Event:
    """`actor` did it to `subject` ("REQ-123", a person's id, a policy version) at `at` (aware UTC).

    `details` hold what a reader needs beyond that: never a password, a token or a query string. The
    `department` whose matter it is, and the role that was asked (`asked_as`), say in which of their roles the
    actor did it.
    """

    kind: EventKind
    actor: str
    subject: str
    at: datetime
    details: Mapping[str, Detail] = field(default_factory=dict)
    department: str | None = None
    asked_as: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's end at `at` (aware UTC): the newest event's id and digest, and how many there were."""

    events: int
    last_id: int
    digest: bytes
    at: datetime


class Damage(StrEnum):
    """What `verify` can find."""

    BROKEN = "broken"
    """An event does not fit the one before it: it, or what was before it, was changed or removed."""
    REWRITTEN = "rewritten"
    """The chain fits, but is another one than it was: it was computed anew."""
    CUT_OFF = "cut_off"
    """Events that there were at the chain's end are missing."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    `broken_at` is the first event that does not fit, or is missing, None when all do. `against` counts
    the heads that the chain was compared with. `guards_missing` names the triggers that should refuse
    every change and are not there as the migrations made them.
    """

    events: int
    broken_at: int | None
    damage: Damage | None = None
    against: int = 0
    guards_missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every event fits the one before it, and none is missing that a head knows."""
        return self.broken_at is None


async def record(t: Transaction, event: Event) -> None:
    """Append an event, within the transaction of what it tells of; in what role its actor acts is of it."""
    last = await t.fetch_one("SELECT digest FROM event ORDER BY id DESC LIMIT 1")
    told = {**event.details, **t.acts_as(event.actor, event.department, event.asked_as)}
    details = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    fields = (to_ms(event.at), event.kind.value, event.actor, event.subject, details)
    await t.execute(
        "INSERT INTO event (at, kind, actor, subject, details, digest) VALUES (?, ?, ?, ?, ?, ?)",
        *fields,
        _digest(last["digest"] if last else _START, fields),
    )


async def events_of(db: Reader, subject: str) -> list[Event]:
    """Return the events about a subject, oldest first."""
    rows = await db.fetch_all("SELECT * FROM event WHERE subject = ? ORDER BY id", subject)
    return [
        Event(
            EventKind(row["kind"]),
            row["actor"],
            row["subject"],
            from_ms(row["at"]),
            json.loads(row["details"]),
        )
        for row in rows
    ]


async def head(db: Reader, at: datetime) -> Head | None:
    """Return the chain's end as it is now; None while nothing was ever recorded."""
    row = await db.fetch_one(
        "SELECT id, digest, (SELECT count(*) FROM event) AS events FROM event ORDER BY id DESC LIMIT 1"
    )
    return Head(row["events"], row["id"], row["digest"], at) if row else None


async def holds(db: Reader, kept: Head) -> bool:
    """Whether the event that was the newest then is still there, with the digest that it had."""
    row = await db.fetch_one("SELECT digest FROM event WHERE id = ?", kept.last_id)
    return row is not None and row["digest"] == kept.digest


async def verify(db: Reader, heads: Iterable[Head] = ()) -> Verification:
    """Check the chain from its first event to its last, and against heads that were kept elsewhere.

    Events after the newest head are known by the chain alone.
    """
    known: dict[int, list[Head]] = {}
    for kept in heads:
        known.setdefault(kept.last_id, []).append(kept)
    against = sum(len(same) for same in known.values())
    guards_missing = await _guards_missing(db)
    digest, last, count = _START, _BEFORE_THE_FIRST, 0

    def found(broken_at: int | None = None, damage: Damage | None = None) -> Verification:
        return Verification(count, broken_at, damage, against, guards_missing)

    while rows := await db.fetch_all("SELECT * FROM event WHERE id > ? ORDER BY id LIMIT 1000", last):
        for row in rows:
            digest, last, count = _digest(digest, _fields(row)), row["id"], count + 1
            if digest != row["digest"]:
                return found(last, Damage.BROKEN)
            if any((kept.digest, kept.events) != (digest, count) for kept in known.pop(last, ())):
                return found(last, Damage.REWRITTEN)
    if not known:
        return found()
    missing = min(known)
    return found(missing, Damage.CUT_OFF if missing > last else Damage.REWRITTEN)


async def _guards_missing(db: Reader) -> tuple[str, ...]:
    rows = await db.fetch_all(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'"
    )
    there = {row["name"]: row["sql"] for row in rows}
    # SQLite keeps the very text that made one, but for the semicolon.
    made = "\n".join(scripts_of("admin").values())
    return tuple(guard for guard in _GUARDS if f"{there.get(guard, guard)};" not in made)


def _fields(row: Row) -> tuple[int, str, str, str, str]:
    return row["at"], row["kind"], row["actor"], row["subject"], row["details"]


def _digest(before: bytes, fields: tuple[int, str, str, str, str]) -> bytes:
    # As JSON the border between two fields cannot be moved unnoticed.
    return hashlib.sha256(before + json.dumps(fields, ensure_ascii=False).encode()).digest()
