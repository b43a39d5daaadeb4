"""What is never decrypted because programs there do not trust the town's certificate."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.asking import InvalidRequestError
from admin.never_inspected import Answered, InspectionAnswer
from admin.web.people import People
from categories.host_name import HostNameError, canonical_host


class AnsweredHost(BaseModel):
    """What IT said of a host and its subdomains."""

    id: int
    host: str
    answer: InspectionAnswer
    why: str
    made_by: str
    made_at: datetime

    @classmethod
    def of(cls, one: Answered, people: People) -> Self:
        """Return it with the name of who said it."""
        return cls(
            id=one.id,
            host=one.host,
            answer=one.answer,
            why=one.why,
            made_by=people.name(one.made_by),
            made_at=one.made_at,
        )


class Untrusting(BaseModel):
    """A host where programs refused the town's certificate in the last 30 days."""

    host: str
    visits: int
    devices: int
    departments: list[str | None] = Field(description="Null for those without one.")
    last_at: datetime
    rules: list[str] = Field(description="The rules for which it is decrypted.")


class HostWithWhy(Input):
    """A host, and why."""

    model_config = example(host="api.example", why="Its program has a list of certificates of its own.")

    host: str
    why: str


class Host(Input):
    """A host."""

    model_config = example(host="api.example")

    host: str


async def list_never_inspected(call: Call[Nothing, Nothing]) -> Listed[AnsweredHost]:
    """List the hosts that are never decrypted for programs' sake, newest first."""
    people = People(call.admin.policy)
    found = await call.admin.review.never_inspected(call.session)
    return Listed[AnsweredHost](items=[AnsweredHost.of(one, people) for one in found])


async def list_untrusting(call: Call[Nothing, Nothing]) -> Listed[Untrusting]:
    """List the hosts on which programs did not trust the town's certificate, for IT to answer."""
    items = [
        Untrusting(
            host=one.host,
            visits=one.visits,
            devices=one.devices,
            departments=list(one.departments),
            last_at=one.last_at,
            rules=list(one.rules),
        )
        for one in await call.admin.review.untrusting(call.session)
    ]
    return Listed[Untrusting](items=items)


async def never_inspect(call: Call[Nothing, HostWithWhy]) -> AnsweredHost:
    """Have a host and its subdomains never decrypted, whatever a rule says."""
    host = await _host(call, call.body.host)
    answered = await call.admin.review.never_inspect(call.session, host, call.body.why)
    return AnsweredHost.of(answered, People(call.admin.policy))


async def inspect_again(call: Call[Nothing, HostWithWhy]) -> AnsweredHost:
    """Let rules have a host decrypted again."""
    host = await _host(call, call.body.host)
    answered = await call.admin.review.inspect_again(call.session, host, call.body.why)
    return AnsweredHost.of(answered, People(call.admin.policy))


async def leave_inspected(call: Call[Nothing, Host]) -> AnsweredHost:
    """Leave a host as it is; it is not listed again for 30 days."""
    host = await _host(call, call.body.host)
    answered = await call.admin.review.leave_inspected(call.session, host)
    return AnsweredHost.of(answered, People(call.admin.policy))


async def _host(call: Call[Nothing, HostWithWhy] | Call[Nothing, Host], text: str) -> str:
    """Return the host that is meant; who does not review is told that before anything about it."""
    try:
        return canonical_host(text)
    except HostNameError as error:
        await call.admin.review.never_inspected(call.session)
        raise InvalidRequestError("host", str(error)) from error
