"""The social media register, and proposing a person for it. The terms are signed on a page, in person."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing
from admin.api.request_model import AccessRequest
from admin.asked import Authorisation, Level


class Registered(BaseModel):
    """A line of the register."""

    request: AccessRequest
    signed_at: datetime | None
    terms_version: str | None = Field(description="Of the terms that were signed.")


class Propose(Input):
    """Whom the department proposes, for which sites, until the end of which day."""

    person: str
    sites: list[str]
    level: Level
    authorisations: list[Authorisation] = Field([], description="Recorded; nothing enforces them.")
    last: date
    reason: str


async def list_register(call: Call[Nothing, Nothing]) -> Listed[Registered]:
    """List who is authorised for social media and who was, by department and person."""
    items = [
        Registered(
            request=AccessRequest.of(call, one.request),
            signed_at=one.signature.signed_at if one.signature else None,
            terms_version=one.signature.version if one.signature else None,
        )
        for one in await call.admin.social_media.register(call.session)
    ]
    return Listed[Registered](items=items)


async def propose_person(call: Call[Nothing, Propose]) -> AccessRequest:
    """Propose somebody of your department for named sites."""
    body = call.body
    sent = await call.admin.social_media.propose(
        call.session,
        person=body.person,
        sites=body.sites,
        level=body.level,
        authorisations=body.authorisations,
        last=body.last,
        reason=body.reason,
    )
    return AccessRequest.of(call, sent)
