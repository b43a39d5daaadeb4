"""Asking for a standing permission, by a department for a case."""

from datetime import date

from pydantic import Field

from admin.api.operation import Call, Input, Nothing, example
from admin.api.request_model import SentRequest


class AskStandingPermission(Input):
    """One site, or categories, that a department holds for a case, until the end of which day."""

    model_config = example(
        department="police",
        categories=["gambling"],
        case_number="2026-104",
        last="2026-08-31",
        reason="Follows the money.",
    )

    department: str
    site: str = Field("", description="A site or an address of it; left out for categories.")
    categories: list[str] = Field([], description="Left out for a site.")
    case_number: str
    last: date
    reason: str


async def ask_for_standing_permission(call: Call[Nothing, AskStandingPermission]) -> SentRequest:
    """Ask that a department of yours holds access for a case."""
    body = call.body
    sent = await call.admin.standing_permissions.ask(
        call.session,
        department=body.department,
        site=body.site,
        categories=body.categories,
        case_number=body.case_number,
        last=body.last,
        reason=body.reason,
    )
    return await SentRequest.sent(call, sent)
