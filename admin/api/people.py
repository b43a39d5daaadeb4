"""Who is in the town's service, and closing who left. For IT security."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, Query, example
from admin.asking import InvalidRequestError
from admin.closed_people import AlreadyClosedError, UnknownPersonError
from admin.internet_accounts import Registered
from admin.people_register import Listed as ListedPerson
from admin.web.people import People
from admin.web.record_words import what_of
from policy.town_policy import PersonKind


class Closed(BaseModel):
    """Why, by whom and when somebody was closed."""

    why: str
    closed_by: str
    closed_at: datetime


class Account(BaseModel):
    """That somebody may reach the web at all, until a time; by which request."""

    request: int
    employer: str | None = Field(description="Of a contractor.")
    sponsor: str | None = Field(description="The id of who answers for a contractor.")
    until: datetime

    @classmethod
    def of(cls, account: Registered) -> Self:
        """Return an account of the register."""
        return cls(
            request=account.request,
            employer=account.use.employer or None,
            sponsor=account.use.sponsor or None,
            until=account.expires_at,
        )


class TownPerson(BaseModel):
    """Somebody of the policy's people."""

    id: str
    name: str
    mail: str
    department: str | None
    role: str = Field(description='What they are in the town: "Department head, Finance".')
    kind: PersonKind
    account: Account | None = Field(description="Their internet account in force, where one is needed.")
    closed: Closed | None


class WhichPeople(Query):
    """Those whose id, name, mail or department has every word of `q`, by name."""

    q: str = Field("", max_length=100)
    after: str | None = Field(None, description="From the `next` of the page before.")
    limit: int = Field(100, ge=1, le=500)


class Why(Input):
    """Why, for the records."""

    model_config = example(why="Left the town's service.")

    why: str


async def list_people(call: Call[WhichPeople, Nothing]) -> Listed[TownPerson]:
    """List people by name."""
    query = call.query
    found = await call.admin.people.find(call.session, query.q)
    if query.after is not None:
        place = next((n for n, one in enumerate(found, 1) if one.id == query.after), None)
        if place is None:
            raise InvalidRequestError("after", "Take it from the `next` of the page before")
        found = found[place:]
    shown, more = found[: query.limit], found[query.limit :]
    following = None
    if more:
        given = query.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        following = f"/api/v1/people?{urlencode({**given, 'after': shown[-1].id})}"
    accounts = await call.admin.accounts.register()
    return Listed[TownPerson](items=[_seen(call, one, accounts) for one in shown], next=following)


async def read_person(call: Call[Nothing, Nothing]) -> TownPerson:
    """Show a person."""
    return await _person(call)


async def close_person(call: Call[Nothing, Why]) -> TownPerson:
    """Close who leaves: sign-ins, passwords, tokens, access and open requests of theirs end."""
    await call.admin.people.close(call.session, call.path["person"], call.body.why)
    return await _person(call)


async def reopen_person(call: Call[Nothing, Why]) -> TownPerson:
    """Let a person who was closed be of the town again; what ended stays ended."""
    listed = await call.admin.people.get(call.session, call.path["person"])
    try:
        await call.admin.people.reopen(call.session, listed.id, call.body.why)
    except UnknownPersonError as error:
        raise AlreadyClosedError(f"{listed.person.name} is not closed") from error
    return await _person(call)


async def _person(call: Call[Nothing, Any]) -> TownPerson:
    listed = await call.admin.people.get(call.session, call.path["person"])
    return _seen(call, listed, await call.admin.accounts.register())


def _seen(call: Call[Any, Any], listed: ListedPerson, accounts: Mapping[str, Registered]) -> TownPerson:
    people, closed, account = People(call.admin.policy), listed.closed, accounts.get(listed.id)
    return TownPerson(
        id=listed.id,
        name=listed.person.name,
        mail=listed.person.mail,
        department=listed.person.department,
        role=what_of(listed, people),
        kind=listed.person.kind,
        account=Account.of(account) if account else None,
        closed=Closed(why=closed.why, closed_by=people.name(closed.closed_by), closed_at=closed.closed_at)
        if closed
        else None,
    )
