"""The form by which IT asks for access for a person who was stopped, from a row of the visit log."""

from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import InvalidRequestError
from admin.session_requests import ASKED_BY_IT
from admin.visits import NamesHiddenError
from admin.web import asking_form
from admin.web.asking import offered
from admin.web.page import admin_of, go_to
from admin.web.session_cookie import field, signed_in
from policy.access_duration import Duration


async def form_page(http_request: Request) -> Response:
    """Show the form, empty; names first, as it names somebody."""
    usual = admin_of(http_request).policy.asking.usual
    return await _form(http_request, {"reason": "", "duration": usual.value if usual else ""})


async def ask(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    filled_in = {name: field(form, name) for name in ("reason", "duration")}
    session, id_ = signed_in(http_request), http_request.path_params["id"]
    try:
        duration = Duration(filled_in["duration"])
    except ValueError:
        error = InvalidRequestError("duration", "Choose for how long it is needed")
        return await _form(http_request, filled_in, error)
    sending = admin_of(http_request).requests.ask_for_visitor(session, id_, filled_in["reason"], duration)
    try:
        return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, error), to="")
    except NamesHiddenError:
        return _to_names(http_request)
    except LookupError as error:
        raise HTTPException(404) from error


def _to_names(http_request: Request) -> Response:
    return go_to(f"/visits/names?{urlencode({'next': http_request.url.path})}")


async def _form(
    http_request: Request, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    admin, session = admin_of(http_request), signed_in(http_request)
    try:
        asked = await admin.requests.for_visitor(session, http_request.path_params["id"])
    except NamesHiddenError:
        return _to_names(http_request)
    except LookupError as not_found:
        raise HTTPException(404) from not_found
    return await asking_form.form_page(
        http_request,
        "ask_for_visitor.html",
        filled_in,
        error,
        asked=asked,
        person=asked.person,
        durations=offered(admin, admin.requests.kind_of(asked), asked.rule),
        begins=ASKED_BY_IT,
    )
