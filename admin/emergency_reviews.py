"""Another looks at emergency access, from the next business day on; who has not is reminded, then it goes up.

When is stored with each, as `unanswered` does for requests: the first look does what became due meanwhile.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from admin import audit, outbox, stored_requests
from admin.acting_roles import Who, who_acted
from admin.asked import Kind
from admin.asking import AccessRequest
from admin.asking_terms import answer_times
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Reader, Transaction
from admin.deciders import deciders_of
from admin.one_by_one import OneByOne
from admin.outbox import Letter, LetterKind
from policy.town_policy import Policy
from policy.town_time import zone_of

_A_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class EmergencyReview:
    """That another looks at emergency access from `due_at` on, and what they said; None while nothing.

    They are reminded at `remind_at`, None once they were; at `pass_on_at` those above may look as well.
    `reviewed_as` is in what role `reviewed_by` did it, None where that was not kept.
    """

    due_at: datetime
    remind_at: datetime | None = None
    pass_on_at: datetime | None = None
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    was_right: bool | None = None
    note: str | None = None
    reviewed_as: Who | None = None


def reviewers(policy: Policy, request: AccessRequest, more: int = 0) -> frozenset[str]:
    """Return who looks at emergency access; never the person themselves. Empty for other kinds.

    Those above do as well, as often as it was passed on; `more`: if it were so often more.
    """
    if request.kind is not Kind.EMERGENCY:
        return frozenset()
    times = request.passed_on_at(0) + more
    return deciders_of(policy, request.chain[0], request.person, request.department, passed_on=times)


def next_business_day(policy: Policy, at: datetime) -> datetime:
    """Return when business hours begin on the first day after today that has any (UTC)."""
    zone = zone_of(policy)
    tomorrow = datetime.combine(at.astimezone(zone).date() + timedelta(days=1), time(), tzinfo=zone)
    return policy.asking.time.after(tomorrow, _A_MOMENT, zone) - _A_MOMENT


async def begin(t: Transaction, policy: Policy, request: AccessRequest, at: datetime) -> None:
    """Have emergency access that was opened at an instant looked at."""
    due_at = next_business_day(policy, at)
    await t.execute(
        "INSERT INTO emergency_review (access_request, due_at, remind_at, pass_on_at) VALUES (?, ?, ?, ?)",
        request.id,
        to_ms(due_at),
        *map(to_ms, answer_times(policy, due_at)),
    )


async def review_of(db: Reader, id_: int) -> EmergencyReview | None:
    """Return how the review of a request stands, None for one that has none."""
    row = await db.fetch_one("SELECT * FROM emergency_review WHERE access_request = ?", id_)
    if row is None:
        return None
    remind_at, pass_on_at, reviewed_at = (
        from_ms(row[name]) if row[name] is not None else None
        for name in ("remind_at", "pass_on_at", "reviewed_at")
    )
    events = await audit.events_of(db, f"REQ-{id_}") if reviewed_at is not None else []
    reviewed = next((event for event in events if event.kind is EventKind.REQUEST_REVIEWED), None)
    return EmergencyReview(
        due_at=from_ms(row["due_at"]),
        remind_at=remind_at,
        pass_on_at=pass_on_at,
        reviewed_at=reviewed_at,
        reviewed_by=row["reviewed_by"],
        was_right=bool(row["was_right"]) if row["was_right"] is not None else None,
        note=row["note"],
        reviewed_as=who_acted(reviewed.details) if reviewed is not None else None,
    )


async def opened_at_once(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return emergency access whose review is due at `at` and that nobody has looked at, oldest first."""
    return await stored_requests.find(
        db,
        "access_request.id IN ("
        "SELECT access_request FROM emergency_review WHERE reviewed_at IS NULL AND due_at <= ?)"
        " ORDER BY access_request.id",
        to_ms(at),
    )


async def set_reviewed(
    t: Transaction, id_: int, actor: str, was_right: bool, note: str, at: datetime
) -> bool:
    """Note what was said, if nobody has said it before and it is due."""
    return bool(
        await t.execute(
            "UPDATE emergency_review SET reviewed_at = ?1, reviewed_by = ?2, was_right = ?3, note = ?4"
            " WHERE access_request = ?5 AND reviewed_at IS NULL AND due_at <= ?1",
            to_ms(at),
            actor,
            was_right,
            note,
            id_,
        )
    )


class EmergencyReviews:
    """Looks for reviews that nobody has made in time. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def look(self) -> None:
        """Remind of, or pass on, what is due; what is due for both is passed on.

        Raises RoundError where that failed for some.
        """
        at = self._clock()
        rows = await self._db.fetch_all(
            "SELECT access_request FROM emergency_review WHERE reviewed_at IS NULL"
            " AND due_at <= ?1 AND (remind_at <= ?1 OR pass_on_at <= ?1) ORDER BY access_request",
            to_ms(at),
        )
        with OneByOne() as each:
            for row in rows:
                with each.about(f"REQ-{row['access_request']}"):
                    async with self._db.transaction() as t:
                        request = await stored_requests.get(t, row["access_request"])
                        review = await review_of(t, request.id)
                        if review is not None and review.reviewed_at is None:
                            await self._tell(t, request, review, at)

    async def _tell(
        self, t: Transaction, request: AccessRequest, review: EmergencyReview, at: datetime
    ) -> None:
        policy = self._policy()
        above = reviewers(policy, request, more=1) - reviewers(policy, request)
        if review.pass_on_at is not None and at >= review.pass_on_at and above:
            kind, people = EventKind.REQUEST_PASSED_ON, above
            remind_at, pass_on_at = answer_times(policy, at)
            await t.execute(
                "UPDATE emergency_review SET remind_at = ?, pass_on_at = ? WHERE access_request = ?",
                *(to_ms(remind_at), to_ms(pass_on_at), request.id),
            )
            await t.execute(
                "UPDATE access_request SET passed_on = ? WHERE id = ?",
                *(json.dumps([request.passed_on_at(0) + 1]), request.id),
            )
        elif review.remind_at is not None and at >= review.remind_at:
            kind, people = EventKind.REQUEST_REMINDED, reviewers(policy, request)
            await t.execute(
                "UPDATE emergency_review SET remind_at = NULL WHERE access_request = ?", request.id
            )
        else:
            return
        details: dict[str, Detail] = {"people": sorted(people), "review": True}
        await audit.record(t, Event(kind, audit.CLOCK, request.number, at, details))
        for person in sorted(people):
            letter = Letter(LetterKind.EMERGENCY_UNREVIEWED, person, request.number, again=at.isoformat())
            await outbox.put(t, letter, at)
