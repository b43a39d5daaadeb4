"""The form that asks for a device of one's own."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asked import Kind
from admin.asking import InvalidRequestError
from admin.device_requests import MAX_NAME_LENGTH
from admin.web import asking_form
from admin.web.delegation import read_day
from admin.web.page import admin_of
from admin.web.session_cookie import field, signed_in

_FIELDS = ("name", "address", "last", "reason")


async def form_page(http_request: Request) -> Response:
    """Show the form, empty."""
    return await _form(http_request, dict.fromkeys(_FIELDS, ""))


async def ask(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    filled_in = {name: field(form, name) for name in _FIELDS}
    sending = admin_of(http_request).device_requests.ask(
        signed_in(http_request),
        name=filled_in["name"],
        address=filled_in["address"],
        last=read_day(filled_in["last"]),
        reason=filled_in["reason"],
    )
    return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, error))


async def _form(
    http_request: Request, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    session = signed_in(http_request)
    return await asking_form.form_page(
        http_request,
        "device.html",
        filled_in,
        error,
        terms=admin_of(http_request).policy.asking.own_device,
        person=session.person,
        max_name_length=MAX_NAME_LENGTH,
        **await asking_form.answered_lately(http_request, Kind.DEVICE),
    )
