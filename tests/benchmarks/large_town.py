"""A town of many departments, each with a head and a delegate, whose people ask for sites by the thousand."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

from admin import access_requests, audit, waiting_requests
from admin.asking import ForWhom, NewAccessRequest, NotAllowedError, State, TransitionError
from admin.audit import EventKind
from admin.clock import Clock
from admin.database import Database
from admin.outbox import HELP_DESK, LetterKind
from policy.access_duration import Duration
from policy.town_policy import Approver, Policy
from tests.admin.small_town import listed

DEPARTMENTS = 10
HEADS = [name for number in range(DEPARTMENTS) for name in (f"head-{number}", f"delegate-{number}")]
"""Who decides: of each department the head and the delegate."""
_EMPLOYEES = 20
_ANSWERS = {EventKind.REQUEST_APPROVED: State.APPROVED, EventKind.REQUEST_DENIED: State.DENIED}


def document() -> str:
    """Return the town's policy document."""
    departments, people = [], []
    for number in range(DEPARTMENTS):
        departments.append(
            f"  d{number}: {{name: Department {number}, head: head-{number}, delegates: [delegate-{number}]}}"
        )
        for person in _people(number):
            people.append(
                f"  {person}: {{name: {person}, mail: {person}@town.example, department: d{number}}}"
            )
    return "\n".join(
        [
            "town:",
            "  name: Town of Exampleton",
            "  timezone: America/New_York",
            "  help_desk: {email: helpdesk@town.example, phone: 555-0100}",
            "departments:",
            *departments,
            "people:",
            *people,
            "  it: {name: IT, mail: it@town.example}",
            "  administrator: {name: Town administrator, mail: administrator@town.example}",
            "roles: {it_security: [it], town_administrator: [administrator]}",
            "unknown: {action: block}",
            "rules:",
            "  - {id: no-games, categories: [gambling], action: block, approval: [department_head],"
            " because: Prohibited Uses 18}",
            # Whoever sits at this machine; what nobody allowed is blocked.
            "devices: {127.0.0.1: {name: BENCH-1, person: clerk-0-0}}",
            "default: {action: block}",
            "asking: {per_day: 1000}",
            "",
        ]
    )


def _people(department: int) -> Iterator[str]:
    yield from (f"head-{department}", f"delegate-{department}")
    yield from (f"clerk-{department}-{number}" for number in range(_EMPLOYEES))


def asked(number: int) -> NewAccessRequest:
    """Return the so manieth request: departments and their people take turns, each for another site."""
    department, employee = number % DEPARTMENTS, number // DEPARTMENTS % _EMPLOYEES
    return NewAccessRequest(
        host=f"site-{number}.example",
        person=f"clerk-{department}-{employee}",
        department=f"d{department}",
        for_whom=ForWhom.PERSON,
        reason="It is needed for the grant file.",
        duration=Duration.WEEK,
        chain=(Approver.DEPARTMENT_HEAD,),
        code="K7M-4QP",
        policy_version="one",
        rule="no-games",
        category="gambling",
        browser="a browser",
    )


async def decide_all(
    db: Database, policy: Policy, head: str, clock: Clock, dice: random.Random, *, pause_seconds: float = 0.0
) -> int:
    """Answer what waits for `head`, in any order, until nothing does; return how often another was first.

    About `pause_seconds` pass before each answer.
    """
    lost = 0
    while waiting := await waiting_requests.to_decide(db, policy, head, clock()):
        dice.shuffle(waiting)
        for request in waiting:
            await asyncio.sleep(dice.uniform(0.0, 2 * pause_seconds))
            try:
                if dice.random() < 0.5:
                    await access_requests.approve(db, policy, listed, request.id, actor=head, at=clock())
                else:
                    await access_requests.deny(
                        db, policy, request.id, actor=head, at=clock(), reason="Not needed for work"
                    )
            except (TransitionError, NotAllowedError):
                lost += 1
    return lost


async def wrong_in(db: Database, requests: int) -> list[str]:
    """Return what does not fit together after all were decided; empty when all does.

    Each request has one answer, which is the one on record; access and one ticket, if and only if it was
    allowed; and the audit log is whole.
    """
    wrong = []
    verified = await audit.verify(db)
    if not verified.is_whole:
        wrong.append(f"the audit log is broken: {verified}")
    rows = await db.fetch_all("SELECT id, state, decided_by FROM access_request")
    if len(rows) != requests:
        wrong.append(f"{len(rows)} requests, not {requests}")
    answers: dict[str, list[tuple[str, str]]] = {}
    for event in await db.fetch_all(
        "SELECT kind, actor, subject FROM event WHERE kind IN (?, ?)", *(kind.value for kind in _ANSWERS)
    ):
        state = _ANSWERS[EventKind(event["kind"])]
        answers.setdefault(event["subject"], []).append((state.value, event["actor"]))
    granted = Counter(
        row["access_request"] for row in await db.fetch_all("SELECT access_request FROM exemption")
    )
    tickets = Counter(
        row["about"]
        for row in await db.fetch_all(
            "SELECT about FROM letter WHERE kind = ? AND recipient = ? AND channel = 'mail'",
            LetterKind.TICKET.value,
            HELP_DESK,
        )
    )
    for row in rows:
        number = f"REQ-{row['id']}"
        if answers.get(number) != [(row["state"], row["decided_by"])]:
            wrong.append(
                f"{number} is {row['state']} by {row['decided_by']}; on record: {answers.get(number)}"
            )
        expected = int(row["state"] == State.APPROVED)
        if (granted[row["id"]], tickets[number]) != (expected, expected):
            wrong.append(
                f"{number} is {row['state']}, with {granted[row['id']]} exemptions, {tickets[number]} tickets"
            )
    return wrong
