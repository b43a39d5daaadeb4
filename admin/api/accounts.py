"""Asking for an internet account, by the department for a person of it."""

from datetime import date

from pydantic import Field

from admin.api.operation import Call, Input, Nothing, example
from admin.api.request_model import AccessRequest


class AskInternetAccount(Input):
    """Whom the department needs on the web, until the end of which day."""

    model_config = example(person="helper", last="2026-04-30", reason="Reads to children.")

    person: str
    employer: str = Field("", description="Of a contractor: whom they work for.")
    sponsor: str = Field("", description="Of a contractor: which employee of the town answers for them.")
    last: date | None = Field(None, description="May be left out for an employee: as long as can be.")
    reason: str


async def ask_for_internet_account(call: Call[Nothing, AskInternetAccount]) -> AccessRequest:
    """Ask for the internet account of somebody of your department."""
    body = call.body
    sent = await call.admin.accounts.ask(
        call.session,
        person=body.person,
        employer=body.employer,
        sponsor=body.sponsor,
        last=body.last,
        reason=body.reason,
    )
    return AccessRequest.of(call, sent)
