"""What becomes of requests that nobody answers, signs or opens: a reminder, then those above answer as well.

When is stored with each request, so that nothing is lost while admin is down: what became due meanwhile
is done by the first look. Each is done once, however many look.
"""

import json
from collections.abc import Callable
from datetime import datetime

from admin import answering_reports, audit, request_letters, stored_requests, waiting_requests
from admin.asking import AccessRequest, State
from admin.asking_terms import answer_times
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Transaction
from admin.deciders import deciders, next_above
from admin.one_by_one import OneByOne
from admin.opening import openers
from policy.town_policy import Policy

# What waited before there were reminders of it, for which the database has 0, and having it reminded of. As
# the indexes of what is reminded of have it: three times a minute nothing else is read.
_WAITED_BEFORE = {
    "SELECT id, decided_at AS since FROM access_request WHERE remind_at = 0": (
        "UPDATE access_request SET remind_at = ? WHERE id = ?"
    ),
    "SELECT id, sent_at AS since FROM site_report WHERE answer IS NULL AND remind_at = 0": (
        "UPDATE site_report SET remind_at = ? WHERE id = ?"
    ),
}


class Unanswered:
    """Looks for requests whose time has come. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def look(self) -> None:
        """Remind of, or pass on, what is due; what is due for both is passed on. Reports are reminded of.

        Raises RoundError where that failed for some.
        """
        at = self._clock()
        async with self._db.transaction() as t:
            await _time_what_waited_before(t, self._policy())
            # Nobody is reminded of what is over by itself, and no look reads it again.
            await t.execute(
                "UPDATE access_request SET remind_at = NULL WHERE remind_at <= ?1 AND open_until <= ?1",
                to_ms(at),
            )
        with OneByOne() as each:
            with each.about("reports"):
                async with self._db.transaction() as t:
                    await answering_reports.remind(t, self._policy(), at)
            for request in await waiting_requests.unanswered(self._db, at):
                policy = self._policy()
                with each.about(request.number):
                    async with self._db.transaction() as t:
                        if at >= request.due_at and await pass_on(t, policy, request, at):
                            continue
                        if request.remind_at is not None and at >= request.remind_at:
                            await remind(t, policy, request, at)


async def _time_what_waited_before(t: Transaction, policy: Policy) -> None:
    for waited, timed in _WAITED_BEFORE.items():
        for row in await t.fetch_all(waited):
            remind_at, _ = answer_times(policy, from_ms(row["since"]))
            await t.execute(timed, to_ms(remind_at), row["id"])


async def remind(t: Transaction, policy: Policy, seen: AccessRequest, at: datetime) -> bool:
    """Remind those who are asked; False where nobody is, or the request has moved since it was seen."""
    people = sorted(_asked(policy, seen))
    if not people:
        return False
    reminded = await t.execute(
        "UPDATE access_request SET remind_at = NULL"
        " WHERE id = ? AND state = ? AND step = ? AND passed_on = ? AND remind_at = ?",
        *(seen.id, seen.state.value, seen.step, json.dumps(seen.passed_on)),
        to_ms(seen.remind_at) if seen.remind_at is not None else None,
    )
    if reminded:
        details: dict[str, Detail] = {"people": people, "step": seen.step}
        await audit.record(t, Event(EventKind.REQUEST_REMINDED, audit.CLOCK, seen.number, at, details))
        await request_letters.put_reminders(t, people, seen, at)
    return bool(reminded)


def _asked(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return whose answer, signature or opening the request waits for."""
    match request.state:
        case State.AWAITS_SIGNATURE:
            return frozenset({request.person})
        case State.AWAITS_OPENING:
            return openers(policy, request)
        case _:
            return deciders(policy, request)


async def pass_on(t: Transaction, policy: Policy, seen: AccessRequest, at: datetime) -> bool:
    """Let those above answer the present step as well, and give them as long as those before had.

    False when nobody is above, or the request has moved since it was seen.
    """
    above = sorted(next_above(policy, seen))
    if not above:
        return False
    counts = [seen.passed_on_at(step) for step in range(seen.step)] + [seen.passed_on_at(seen.step) + 1]
    passed_on = await t.execute(
        "UPDATE access_request SET passed_on = ?, remind_at = ?, due_at = ?"
        " WHERE id = ? AND state = ? AND step = ? AND passed_on = ?",
        json.dumps(counts),
        *map(to_ms, answer_times(policy, at)),
        *(seen.id, State.SUBMITTED.value, seen.step, json.dumps(seen.passed_on)),
    )
    if passed_on:
        details: dict[str, Detail] = {"people": above, "step": seen.step}
        await audit.record(t, Event(EventKind.REQUEST_PASSED_ON, audit.CLOCK, seen.number, at, details))
        moved = await stored_requests.get(t, seen.id)
        await request_letters.put_passed_on(t, policy, moved, at)
    return bool(passed_on)
