"""Asking for access for a person whom a visit of the log stopped."""

from pydantic import Field
from starlette.exceptions import HTTPException

from admin.api.operation import Call, Input, Nothing, example
from admin.api.request_model import AccessRequest
from policy.access_duration import Duration


class AskForVisitor(Input):
    """What it is needed for, and how long."""

    model_config = example(reason="For the grant file.", duration="week")

    reason: str = Field(description="Whoever decides reads it with “Asked for by IT” before it.")
    duration: Duration


async def ask_for_visitor(call: Call[Nothing, AskForVisitor]) -> AccessRequest:
    """Ask for the site of a visit that was stopped, for its person alone. Needs names to be shown."""
    requests, body = call.admin.requests, call.body
    try:
        sent = await requests.ask_for_visitor(call.session, call.id, body.reason, body.duration)
    except LookupError as error:
        raise HTTPException(404) from error
    return AccessRequest.of(call, sent)
