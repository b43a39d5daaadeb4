"""Answering what waits for a person; opening and stopping access."""

from pydantic import AwareDatetime, Field

from admin.api.operation import Call, Input, Nothing
from admin.api.request_model import AccessRequest
from admin.asking import InvalidRequestError


class Approve(Input):
    """What was seen when it was decided: an answer is for that, and for nothing that changed since."""

    step: int = Field(description="The request's `step`: an answer sent twice never answers two steps.")
    hosts: list[str] = Field([], description="The request's `hosts`.")
    joined: list[str] = Field([], description="The ids of who `joined`.")
    expires_at: AwareDatetime | None = Field(None, description="Until when; null: as it was asked for.")


class Deny(Input):
    """Why it is not allowed; the asker reads it."""

    step: int
    reason: str


class Stop(Input):
    """Why it ends; the asker reads it."""

    reason: str


async def approve_request(call: Call[Nothing, Approve]) -> AccessRequest:
    """Agree for the present step; the last one opens access, or leaves that to IT."""
    body = call.body
    try:
        request = await call.admin.requests.approve(
            call.session,
            call.id,
            seen_step=body.step,
            seen_hosts=body.hosts,
            seen_joined=body.joined,
            expires_at=body.expires_at,
        )
    except InvalidRequestError:
        raise
    except (ValueError, OverflowError) as error:
        late = "That time is over, or too far away. Choose another"
        raise InvalidRequestError("expires_at", late) from error
    return AccessRequest.of(call, request)


async def deny_request(call: Call[Nothing, Deny]) -> AccessRequest:
    """Do not allow."""
    body = call.body
    request = await call.admin.requests.deny(call.session, call.id, body.reason, seen_step=body.step)
    return AccessRequest.of(call, request)


async def open_access(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Open what was approved and waits for IT."""
    return AccessRequest.of(call, await call.admin.requests.open_access(call.session, call.id))


async def stop_access(call: Call[Nothing, Stop]) -> AccessRequest:
    """End access that was granted or approved, now."""
    return AccessRequest.of(call, await call.admin.requests.stop(call.session, call.id, call.body.reason))
