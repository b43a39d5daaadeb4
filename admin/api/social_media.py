"""The social media register, proposing a person for it, and the terms that the person signs."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.api.request_model import AccessRequest, Person
from admin.asked import Authorisation, Level
from admin.asking import UnknownRequestError
from admin.web.people import People


class Registered(BaseModel):
    """A line of the register."""

    request: AccessRequest
    signed_at: datetime | None
    terms_version: str | None = Field(description="Of the terms that were signed.")


class Coordinator(BaseModel):
    """Who proposes people beside a department's head and delegates."""

    department: str
    person: Person


class Propose(Input):
    """Whom the department proposes, for which sites, until the end of which day."""

    model_config = example(
        person="clerk", sites=["social.example"], level="view", last="2026-12-31", reason="Answers questions."
    )

    person: str
    sites: list[str]
    level: Level
    authorisations: list[Authorisation] = Field([], description="Recorded; nothing enforces them.")
    last: date
    reason: str


class Terms(BaseModel):
    """The terms as they were signed or, while they are not, as they are now."""

    version: str
    text: str = Field(description="Its paragraphs are apart by an empty line.")
    signed_at: datetime | None
    is_to_sign: bool = Field(description="Whether they wait for your signature.")


class Sign(Input):
    """That you have read the terms, understand and will comply."""

    model_config = example(version="5f0c2a91d3b7")

    version: str = Field(description="Of the terms that you have read; of no others they are signed.")


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


async def list_coordinators(call: Call[Nothing, Nothing]) -> Listed[Coordinator]:
    """List the social media coordinators of the departments whose register you see."""
    people, found = People(call.admin.policy), call.admin.social_media.coordinators(call.session)
    items = [
        Coordinator(department=department, person=Person(id=id_, name=people.name(id_)))
        for department, id_ in found.items()
    ]
    return Listed[Coordinator](items=items)


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


async def read_terms(call: Call[Nothing, Nothing]) -> Terms:
    """Show the terms of social media use that a request is signed under."""
    request = await call.admin.request_views.get(call.session, call.id)
    terms = await call.admin.social_media.terms_of(call.session, request)
    if terms is None:
        raise UnknownRequestError(f"{request.number} has no terms to sign")
    return Terms(
        version=terms.version, text=terms.text, signed_at=terms.signed_at, is_to_sign=terms.is_to_sign
    )


async def sign_terms(call: Call[Nothing, Sign]) -> AccessRequest:
    """Sign the terms by name, where others approved social media use for you; its sites open after that."""
    signed = await call.admin.social_media.sign(call.session, call.id, call.body.version)
    return AccessRequest.of(call, signed)
