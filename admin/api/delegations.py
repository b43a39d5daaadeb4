"""Who stands in for a department's head."""

from datetime import date, datetime

from pydantic import BaseModel

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.api.request_model import Person
from admin.web.people import People


class Delegation(BaseModel):
    """`delegate` decides beside `head` for the department, from a time to another."""

    id: int
    department: str
    head: Person
    delegate: Person
    begins_at: datetime
    ends_at: datetime


class NameDelegate(Input):
    """Who stands in, from the first to the last day, both included."""

    model_config = example(department="finance", delegate="clerk", first="2026-03-09", last="2026-03-13")

    department: str
    delegate: str
    first: date
    last: date


async def list_delegations(call: Call[Nothing, Nothing]) -> Listed[Delegation]:
    """List those not over that you named, or stand in by."""
    return _shown(call)


async def name_delegate(call: Call[Nothing, NameDelegate]) -> Listed[Delegation]:
    """Let somebody stand in for you as a head; it ends by itself."""
    body = call.body
    await call.admin.delegations.name(call.session, body.department, body.delegate, body.first, body.last)
    return _shown(call)


async def end_delegation(call: Call[Nothing, Nothing]) -> Listed[Delegation]:
    """End one of yours before its last day."""
    await call.admin.delegations.end(call.session, call.id)
    return _shown(call)


def _shown(call: Call[Nothing, Nothing] | Call[Nothing, NameDelegate]) -> Listed[Delegation]:
    people = People(call.admin.policy)
    items = [
        Delegation(
            id=one.id,
            department=one.department,
            head=Person(id=one.head, name=people.name(one.head)),
            delegate=Person(id=one.delegate, name=people.name(one.delegate)),
            begins_at=one.begins_at,
            ends_at=one.ends_at,
        )
        for one in call.admin.delegations.shown(call.session)
    ]
    return Listed[Delegation](items=items)
