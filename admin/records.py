"""Looking at the audit log, and having it verified, from the admin site.

Who did something is told as a role and a department, never by name: names are for the visit log, where a
reason is given first. It is the role in which they did it, where the event has it (`acting_roles`).
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from admin import acting_roles, audit, roles
from admin.acting_roles import COMMAND_LINE, NOT_KNOWN, Who, who_acted, who_is
from admin.audit import AT_THE_COMMAND_LINE, EventKind, Verification
from admin.audit_heads import AuditHeads, HeadsError, read_heads
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Value
from admin.sessions import Session
from policy.town_policy import Policy

KINDS: Mapping[str, tuple[str, ...]] = {
    "asking": ("request", "exemption", "delegation"),
    "sites": ("report", "site", "limit", "visit", "security_risk"),
    "people": ("person", "people", "password", "token", "names", "visits", "notice", "attempts"),
    "emergencies": ("lockdown", "device", "filter", "emergency"),
    "running": ("policy", "lists", "backup", "weekly_report"),
}
"""What events can be filtered by, with the beginnings of their kinds; each kind is in one."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event, as it is shown. `about` is a person's role where the subject is a person.

    In `details` people are a Who each; why a move was refused is a list of texts, and a Who where one was
    named.
    """

    id: int
    at: datetime
    kind: EventKind
    who: Who
    subject: str
    about: Who | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """What must hold of events; what is None need not. `kinds` is a key of KINDS, `role` one of ROLES."""

    since: datetime | None = None
    role: str | None = None
    kinds: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """What the last verification found. `without_heads` says why it was compared with none."""

    at: datetime
    found: Verification
    without_heads: str | None = None


class Records:
    """The audit log, for those with that duty (`roles.sees_records`)."""

    def __init__(
        self,
        db: Database,
        policy: Callable[[], Policy],
        document: Callable[[], Policy],
        heads: AuditHeads,
        clock: Clock,
    ) -> None:
        """Tell by `policy` who somebody is, and by `document`, of those whom IT closed, who they were.

        So are told who acted where the event does not say it, and whom it is about.
        """
        self._db = db
        self._policy = policy
        self._document = document
        self._heads = heads
        self._clock = clock
        self._verifying = asyncio.Lock()
        self._verified: Verified | None = None

    async def find(
        self, session: Session, where: RecordFilter, before: int | None = None, limit: int = 50
    ) -> list[Record]:
        """Return events, newest first, older than the one with id `before`. Raises NotAllowedError."""
        self._check(session)
        conditions, values = ["1"], list[Value]()
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        if where.since is not None:
            conditions.append("at >= ?")
            values.append(to_ms(where.since))
        if where.kinds is not None:
            subjects = KINDS[where.kinds]
            conditions.append(f"({' OR '.join('kind GLOB ?' for _ in subjects)})")
            values += [f"{subject}.*" for subject in subjects]
        if where.role == COMMAND_LINE:
            conditions.append("actor LIKE ?")
            values.append(f"%{AT_THE_COMMAND_LINE}")
        elif where.role is not None:
            people = self._policy().people.keys() | self._document().people.keys()
            actors = [person for person in people if self._who(person).role == where.role]
            conditions.append(
                "coalesce(json_extract(details, ?) = ?, actor IN (SELECT value FROM json_each(?)))"
            )
            values += [f"$.{acting_roles.ROLE}", where.role, json.dumps(actors)]
        rows = await self._db.fetch_all(
            f"SELECT * FROM event WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",  # noqa: S608 - own words
            *values,
            limit,
        )
        return [
            self._record(
                row["id"], from_ms(row["at"]), row["kind"], row["actor"], row["subject"], row["details"]
            )
            for row in rows
        ]

    def verified(self, session: Session) -> Verified | None:
        """Return what the last verification since the start found. Raises NotAllowedError."""
        self._check(session)
        return self._verified

    async def verify(self, session: Session) -> None:
        """Verify the whole log, against the heads that were exported; see `verified`.

        Raises NotAllowedError. Of several at once the later wait.
        """
        self._check(session)
        async with self._verifying:
            file, without_heads = self._heads.file, None
            try:
                heads = await asyncio.to_thread(read_heads, file)
            except HeadsError as error:
                heads, without_heads = [], str(error)
            found = await audit.verify(self._db, heads)
            self._verified = Verified(self._clock(), found, without_heads)

    def whom_to_call(self, session: Session) -> str:
        """Return the role to call when records were changed: another one than the viewer's own."""
        policy = self._policy()
        others = (
            role
            for role in ("auditor", "town_administrator", "it_security")
            if policy.roles.get(role) and session.person not in policy.roles[role]
        )
        return next(others, "town_administrator")

    def _record(self, id_: int, at: datetime, kind: str, actor: str, subject: str, details: str) -> Record:
        found = json.loads(details)
        acted = who_acted(found)

        def who(person: str) -> Who:
            return acted if acted is not None and person == actor else self._who(person)

        about = who(subject) if _is_of_a_person(kind) else None
        told = {
            name: _without_ids(who, value) if name in _of_people(kind) else value
            for name, value in found.items()
        }
        if kind.endswith("refused") and isinstance(told.get("why"), str):
            told["why"] = _refusal(who, told["why"], (actor, subject) if about else (actor,))
        return Record(id_, at, EventKind(kind), who(actor), subject, about, told)

    def _who(self, actor: str) -> Who:
        who = who_is(self._policy(), actor)
        return who_is(self._document(), actor) if who.role == NOT_KNOWN else who

    def _check(self, session: Session) -> None:
        otherwise = "Records: only people with that duty see them."
        roles.person_with(roles.sees_records, self._policy(), session, otherwise)


def _is_of_a_person(kind: str) -> bool:
    """Whether the subject is a person: not the log's visits, the list of all people, nor all receipts."""
    beginning = kind.partition(".")[0]
    return (
        beginning in KINDS["people"]
        and beginning not in ("names", "people", "visits")
        and kind != EventKind.NOTICE_EXPORTED
    )


def _of_people(kind: str) -> frozenset[str]:
    """Return which details hold people's ids: one, or a list; a number says only how many they were."""
    # Of every other event, where it stood before.
    whose = {"before"} if kind == EventKind.REQUEST_HANDED_ON else set[str]()
    return frozenset({"person", "delegate", "sponsor", "people", "removed"} | whose)


def _without_ids(who: Callable[[str], Who], value: Any) -> Any:
    if isinstance(value, list):
        return [who(person) for person in value]
    return who(value) if isinstance(value, str) and value else value


def _refusal(who: Callable[[str], Who], why: str, ids: tuple[str, ...]) -> list[str | Who]:
    """Return why something was refused, in pieces: "REQ-1 does not wait for ", who, "".

    Refusals name who acted, or is acted on, at their beginning or after "for"; ids can be words as well.
    """
    known = "|".join(re.escape(id_) for id_ in ids if id_)
    return [
        who(piece) if number % 2 else piece
        for number, piece in enumerate(re.split(rf"((?:^|(?<= for ))(?:{known})(?= |$))", why))
    ]
