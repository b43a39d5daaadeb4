"""The form that asks for a standing permission, by a department for a case."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asked import Kind
from admin.asking import InvalidRequestError
from admin.standing_permissions import MAX_CASE_NUMBER_LENGTH
from admin.web import asking_form
from admin.web.delegation import read_day
from admin.web.page import admin_of
from admin.web.session_cookie import field, signed_in

_FIELDS = ("department", "site", "case_number", "last", "reason")


async def form_page(http_request: Request) -> Response:
    """Show the form, empty."""
    return await _form(http_request, dict.fromkeys(_FIELDS, ""), [])


async def ask(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    filled_in = {name: field(form, name) for name in _FIELDS}
    chosen = [value for value in form.getlist("categories") if isinstance(value, str)]
    sending = admin_of(http_request).standing_permissions.ask(
        signed_in(http_request),
        department=filled_in["department"],
        site=filled_in["site"],
        categories=chosen,
        case_number=filled_in["case_number"],
        last=read_day(filled_in["last"]),
        reason=filled_in["reason"],
    )
    return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, chosen, error))


async def _form(
    http_request: Request,
    filled_in: dict[str, str],
    chosen: list[str],
    error: InvalidRequestError | None = None,
) -> Response:
    standing_permissions = admin_of(http_request).standing_permissions
    return await asking_form.form_page(
        http_request,
        "standing_permission.html",
        filled_in,
        error,
        terms=standing_permissions.terms,
        own=standing_permissions.departments_of(signed_in(http_request)),
        chosen=chosen,
        shut=standing_permissions.shut,
        max_case_number_length=MAX_CASE_NUMBER_LENGTH,
        **await asking_form.answered_lately(http_request, Kind.STANDING),
    )
