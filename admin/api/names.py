"""Names in the visit log: having them shown, and agreeing that somebody else is."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from admin import names
from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.api.request_model import Person
from admin.asking import InvalidRequestError
from admin.names import NamesState, NobodyAgreesError
from admin.sessions import NAMES_SHOWN_FOR
from admin.web.people import People


class ShowNames(Input):
    """Why names are needed, and for which case, if there is one."""

    model_config = example(reason="A complaint about this department.", case="2026-7")

    reason: str
    case: str = ""
    person: str | None = Field(None, description="To search for this person's visits.")


class NamesShown(BaseModel):
    """Until when this token is shown names; null while a second person has to agree."""

    until: datetime | None
    waits: str | None = Field(description="The number of what a second person has to agree to.")


class NamesRequest(BaseModel):
    """What somebody asked a second person to agree to."""

    id: int
    number: str = Field(description='The number people use, like "NAMES-3".')
    state: NamesState
    asked_by: Person
    person: Person | None = Field(description="Whose visits are searched for; null: names are shown only.")
    reason: str
    case: str
    asked_at: datetime
    ends_at: datetime = Field(description="Until then it can be answered.")
    answered_by: Person | None
    holds_until: datetime | None = Field(description="Agreed to, it holds until then.")
    may_answer: bool = Field(description="Whether you are one who may agree.")

    @classmethod
    def of(cls, call: Call[Any, Any], request: names.NamesRequest) -> Self:
        """Return it as the caller sees it."""
        people = People(call.admin.policy)

        def person(id_: str | None) -> Person | None:
            return Person(id=id_, name=people.name(id_)) if id_ is not None else None

        return cls(
            id=request.id,
            number=request.number,
            state=request.state_at(call.admin.now()),
            asked_by=Person(id=request.asked_by, name=people.name(request.asked_by)),
            person=person(request.person),
            reason=request.reason,
            case=request.case_number,
            asked_at=request.asked_at,
            ends_at=request.ends_at,
            answered_by=person(request.answered_by),
            holds_until=request.holds_until,
            may_answer=call.admin.names.may_answer(call.session, request),
        )


class AnswerNames(Input):
    """Whether you agree; it is recorded with your name."""

    model_config = example(agrees=True)

    agrees: bool


async def show_names(call: Call[Nothing, ShowNames]) -> NamesShown:
    """Show names to this token for 30 minutes, or ask a second person to agree; the reason is recorded."""
    body = call.body
    try:
        waiting = await call.admin.names.ask(call.session, body.reason, body.case, body.person)
    except NobodyAgreesError as error:
        raise InvalidRequestError("reason", "There is nobody who may agree to it") from error
    if waiting is not None:
        return NamesShown(until=None, waits=waiting.number)
    return NamesShown(until=call.admin.now() + NAMES_SHOWN_FOR, waits=None)


async def list_names_requests(call: Call[Nothing, Nothing]) -> Listed[NamesRequest]:
    """List what waits for you to agree, the oldest first."""
    found = await call.admin.names.to_answer(call.session)
    return Listed[NamesRequest](items=[NamesRequest.of(call, request) for request in found])


async def read_names_request(call: Call[Nothing, Nothing]) -> NamesRequest:
    """Show how a request stands: yours, or one that you may answer."""
    return NamesRequest.of(call, await call.admin.names.get(call.session, call.id))


async def answer_names_request(call: Call[Nothing, AnswerNames]) -> NamesRequest:
    """Agree that somebody else sees names, or not.

    The first answer counts: what is returned is how it stands, whoever gave it.
    """
    answered = await call.admin.names.answer(call.session, call.id, agrees=call.body.agrees)
    return NamesRequest.of(call, answered)
