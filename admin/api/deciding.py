"""Answering what waits for a person; opening and stopping access."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.api.request_model import AccessRequest
from admin.deciding_several import MOST, Outcome, Seen
from admin.web.request_words import said_why_not
from admin.web.words import Times, plain


class Approve(Input):
    """What was seen when it was decided: an answer is for that, and for nothing that changed since."""

    model_config = example(step=0, expires_at="2026-03-06T22:00:00Z")

    step: int = Field(description="The request's `step`: an answer sent twice never answers two steps.")
    hosts: list[str] = Field([], description="The request's `hosts`.")
    joined: list[str] = Field([], description="The ids of who `joined`.")
    expires_at: AwareDatetime | None = Field(None, description="Until when; null: as it was asked for.")


class Deny(Input):
    """Why it is not allowed; the asker reads it."""

    model_config = example(step=0, reason="Not needed for work")

    step: int
    reason: str


class SeenRequest(Approve):
    """One of several requests, as it was seen."""

    model_config = example(id=123, step=0)

    id: int = Field(ge=1, le=2**53)


class DecideSeveral(Input):
    """One answer to several requests, each as it was seen. IT has no say in any of them."""

    model_config = example(answer="allow", requests=[{"id": 123, "step": 0}, {"id": 124, "step": 0}])

    answer: Literal["allow", "deny"]
    reason: str = Field("", description="Why they are not allowed; the askers read it.")
    requests: list[SeenRequest] = Field(description=f"{MOST} at most.")


class Answered(BaseModel):
    """What came of one of several requests."""

    id: int
    is_decided: bool
    why_not: str | None = Field(description="Why it is not decided, as the page says it.")
    request: AccessRequest | None = Field(description="As it stands; null for what you may not see.")


class Stop(Input):
    """Why it ends; the asker reads it."""

    model_config = example(reason="The report is there.")

    reason: str


async def approve_request(call: Call[Nothing, Approve]) -> AccessRequest:
    """Agree for the present step; the last one opens access, or leaves that to IT."""
    body = call.body
    request = await call.admin.requests.approve(
        call.session,
        call.id,
        seen_step=body.step,
        seen_hosts=body.hosts,
        seen_joined=body.joined,
        expires_at=body.expires_at,
    )
    return AccessRequest.of(call, request)


async def deny_request(call: Call[Nothing, Deny]) -> AccessRequest:
    """Do not allow."""
    body = call.body
    request = await call.admin.requests.deny(call.session, call.id, body.reason, seen_step=body.step)
    return AccessRequest.of(call, request)


async def decide_several(call: Call[Nothing, DecideSeveral]) -> Listed[Answered]:
    """Answer several requests at once, each as it would be alone, with an outcome of its own."""
    body, several = call.body, call.admin.several_decisions
    seen = [Seen(one.id, one.step, one.hosts, one.joined, one.expires_at) for one in body.requests]
    if body.answer == "allow":
        outcomes = await several.allow(call.session, seen)
    else:
        outcomes = await several.deny(call.session, seen, body.reason)
    return Listed[Answered](items=[_answered(call, outcome) for outcome in outcomes])


async def open_access(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Open what was approved and waits for IT."""
    return AccessRequest.of(call, await call.admin.requests.open_access(call.session, call.id))


async def stop_access(call: Call[Nothing, Stop]) -> AccessRequest:
    """End access that was granted or approved, now."""
    return AccessRequest.of(call, await call.admin.requests.stop(call.session, call.id, call.body.reason))


def _answered(call: Call[Nothing, DecideSeveral], outcome: Outcome) -> Answered:
    admin, request = call.admin, outcome.request
    times = Times(admin.zone, admin.now())
    why_not = said_why_not(outcome, admin.policy, call.session, times) if outcome.why_not else None
    return Answered(
        id=outcome.id,
        is_decided=outcome.why_not is None,
        why_not=plain(why_not) if why_not else None,
        request=AccessRequest.of(call, request) if request else None,
    )
