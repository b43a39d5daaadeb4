"""A small town's policy as a value, and what people in it ask for."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from admin import submitting
from admin.asking import AccessRequest, ForWhom, NewAccessRequest
from admin.database import Database
from policy.access_duration import Duration
from policy.decision import Cause, Lane, Verdict
from policy.town_policy import Approver, Department, Person, Policy, Rule, Town
from policy.visit_record import VisitRecord
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT, PARKS_HEAD

DELEGATE = "finance-delegate"
COLLEAGUE = "colleague"
"""Works in Finance, as the clerk does."""
PARKS_CLERK = "parks-clerk"
SECOND_IT = "it-2"
AUDITOR = "auditor"

TOWN = Policy(
    version="one",
    town=Town("Town of Exampleton", "America/New_York"),
    departments={
        "finance": Department("Finance", head=HEAD, delegates=(DELEGATE,)),
        "parks": Department("Parks", head=PARKS_HEAD),
    },
    people={
        CLERK: Person("Clerk", department="finance"),
        HEAD: Person("Head of Finance", department="finance"),
        DELEGATE: Person("Delegate of Finance", department="finance"),
        COLLEAGUE: Person("Colleague in Finance", department="finance"),
        PARKS_CLERK: Person("Parks clerk", department="parks"),
        PARKS_HEAD: Person("Head of Parks", department="parks"),
        IT: Person("IT"),
        SECOND_IT: Person("More IT"),
        AUDITOR: Person("Auditor"),
        ADMINISTRATOR: Person("Town administrator"),
    },
    roles={
        "it_security": (IT, SECOND_IT),
        "town_administrator": (ADMINISTRATOR,),
        "auditor": (AUDITOR,),
    },
    security_categories=frozenset({"malware", "phishing"}),
    rules=(
        Rule(
            "not-town-business", Verdict.BLOCK, frozenset({"gambling"}), approval=(Approver.DEPARTMENT_HEAD,)
        ),
    ),
)

MONDAY = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday morning at 10 by the town's clock."""


def standing_at(at: datetime) -> Callable[[], datetime]:
    """Return a clock that stands still."""
    return lambda: at


def ask(person: str = CLERK, **changed: Any) -> NewAccessRequest:
    """Return a form: the clerk of Finance asks for a gambling site for a week."""
    values: dict[str, Any] = {
        "host": "cardroom.example",
        "person": person,
        "department": TOWN.people[person].department,
        "for_whom": ForWhom.PERSON,
        "reason": "I need their charity report for the grant file.",
        "duration": Duration.WEEK,
        "chain": (Approver.DEPARTMENT_HEAD,),
        "code": "K7M-4QP",
        "policy_version": "one",
        "rule": "not-town-business",
        "category": "gambling",
        "entry": "cardroom.example",
        "source": "starter",
        "browser": "a browser",
    }
    return NewAccessRequest(**{**values, **changed})


async def listed(host: str) -> frozenset[str]:
    """Say what the town's lists have: one gambling site."""
    return frozenset({"gambling"}) if host == "cardroom.example" else frozenset()


async def submitted(
    db: Database, person: str = CLERK, at: datetime = MONDAY, **changed: Any
) -> AccessRequest:
    """Return a request that was just sent."""
    return await submitting.submit(db, TOWN, listed, ask(person, **changed), at)


async def unchangeable(db: Database, table: str, where: str) -> None:
    """Have the database refuse each change to a row: one among many of which something is wrong."""
    async with db.transaction() as t:
        await t.execute(
            f"CREATE TRIGGER unchangeable BEFORE UPDATE ON {table} WHEN {where}"
            " BEGIN SELECT RAISE(ABORT, 'it is damaged'); END"
        )


def visit_record(**changed: Any) -> VisitRecord:
    """Return what came of a visit: the clerk was kept from a gambling site."""
    values: dict[str, Any] = {
        "code": "K7M-4QP",
        "started_at": MONDAY,
        "ended_at": MONDAY,
        "address": "10.10.20.15",
        "person": CLERK,
        "device": "FIN-PC-15",
        "department": "finance",
        "scheme": "https",
        "host": "cardroom.example",
        "port": 443,
        "verdict": Verdict.BLOCK,
        "lane": Lane.BLOCK,
        "cause": Cause.RULE,
        "rule": "not-town-business",
        "exemption": None,
        "category": "gambling",
        "entry": "cardroom.example",
        "source": "starter",
        "refusal": None,
        "bytes_up": 0,
        "bytes_down": 0,
        "policy_sequence": 1,
        "policy_version": "one",
        "category_version": "lists",
        "is_shown": True,
    }
    return VisitRecord(**{**values, **changed})
