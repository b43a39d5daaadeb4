"""The form for personal use: which categories, on which day, from when until when."""

from collections.abc import Callable
from datetime import date, time

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import personal_use
from admin.asked import Kind
from admin.asking import InvalidRequestError
from admin.web import asking_form
from admin.web.page import admin_of
from admin.web.session_cookie import field, signed_in

_FIELDS = ("day", "begins", "ends", "reason")


async def form_page(http_request: Request) -> Response:
    """Show the form, empty, for today."""
    admin = admin_of(http_request)
    signed_in(http_request)
    today = admin.now().astimezone(admin.zone).date()
    return await _form(http_request, {**dict.fromkeys(_FIELDS, ""), "day": today.isoformat()}, [])


async def ask(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    admin = admin_of(http_request)
    filled_in = {name: field(form, name) for name in _FIELDS}
    chosen = [value for value in form.getlist("categories") if isinstance(value, str)]
    sending = personal_use.ask(
        admin.db,
        admin.policy,
        admin.site_lists.categories,
        signed_in(http_request),
        admin.now,
        categories=chosen,
        day=_read(date.fromisoformat, filled_in["day"]),
        begins=_read(time.fromisoformat, filled_in["begins"]),
        ends=_read(time.fromisoformat, filled_in["ends"]),
        reason=filled_in["reason"],
    )
    return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, chosen, error))


async def _form(
    http_request: Request,
    filled_in: dict[str, str],
    chosen: list[str],
    error: InvalidRequestError | None = None,
) -> Response:
    return await asking_form.form_page(
        http_request,
        "personal_use.html",
        filled_in,
        error,
        terms=admin_of(http_request).policy.asking.personal_use,
        chosen=chosen,
        **await asking_form.answered_lately(http_request, Kind.PERSONAL_USE),
    )


def _read[T](parse: Callable[[str], T], text: str) -> T | None:
    try:
        return parse(text)
    except ValueError:
        return None
