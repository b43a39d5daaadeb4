"""Opening a site for oneself at once, and saying of another's whether it was right."""

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Nothing, example
from admin.api.request_model import AccessRequest, Earlier, Review, Usage
from admin.emergency_evidence import evidence


class OpenAtOnce(Input):
    """What is needed now, and what for."""

    model_config = example(site="library.example", reason="A threat was posted there.")

    site: str = Field(description="A site or an address of it.")
    reason: str


class SayWhetherRight(Input):
    """What the person reads."""

    model_config = example(was_right=True, note="It was needed.")

    was_right: bool
    note: str


class Reviewed(BaseModel):
    """What was opened, what it was used for, and what was said of it."""

    request: AccessRequest
    use: Usage | None
    review: Review
    earlier: list[Earlier] = Field(description="What was decided of the site before, newest first.")


async def open_at_once(call: Call[Nothing, OpenAtOnce]) -> AccessRequest:
    """Open a site for yourself at once, where the policy names you; others hear of it, and review it."""
    opened = await call.admin.emergency_access.open(call.session, call.body.site, call.body.reason)
    return AccessRequest.of(call, await call.admin.request_views.get(call.session, opened.id))


async def read_review(call: Call[Nothing, Nothing]) -> Reviewed:
    """Show emergency access that is yours to review."""
    return await _shown(call)


async def review_emergency_access(call: Call[Nothing, SayWhetherRight]) -> Reviewed:
    """Say whether emergency access was right; the person hears of it."""
    await call.admin.emergency_access.review(call.session, call.id, call.body.was_right, call.body.note)
    return await _shown(call)


async def _shown(call: Call[Nothing, Nothing] | Call[Nothing, SayWhetherRight]) -> Reviewed:
    admin, now = call.admin, call.admin.now()
    found = await evidence(admin.db, admin.request_views, admin.emergency_access, call.session, call.id, now)
    return Reviewed(
        request=AccessRequest.of(call, found.request),
        use=Usage.of(found.use, now) if found.use else None,
        review=Review.of(call, found.request, found.review),
        earlier=[Earlier.of(call, one) for one in found.earlier],
    )
