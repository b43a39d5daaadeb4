"""Delegation: who stands in for a head, from when until when."""

from datetime import date

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import InvalidRequestError
from admin.roles import only_reads
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import field, signed_in

_FIELDS = ("department", "delegate", "first", "last")


async def delegation_page(http_request: Request) -> Response:
    """Show who stands in, and the form of a head."""
    return await _page(http_request, dict.fromkeys(_FIELDS, ""))


async def name(http_request: Request, form: FormData) -> Response:
    """Name somebody, from a day to a day."""
    filled_in = {name: field(form, name) for name in _FIELDS}
    try:
        await admin_of(http_request).delegations.name(
            signed_in(http_request),
            filled_in["department"],
            filled_in["delegate"],
            read_day(filled_in["first"]),
            read_day(filled_in["last"]),
        )
    except InvalidRequestError as error:
        return await _page(http_request, filled_in, error)
    return go_to("/delegation")


async def end(http_request: Request, _form: FormData) -> Response:
    """End one before its last day."""
    await admin_of(http_request).delegations.end(signed_in(http_request), http_request.path_params["id"])
    return go_to("/delegation")


async def _page(
    http_request: Request, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    admin, session = admin_of(http_request), signed_in(http_request)
    return await page(
        http_request,
        "delegation.html",
        422 if error else 200,
        delegations=admin.delegations.shown(session),
        own=admin.delegations.departments_of(session),
        others={
            id_: person
            for id_, person in admin.policy.people.items()
            if id_ != session.person and not only_reads(admin.policy, id_)
        },
        filled_in=filled_in,
        error=error,
    )


def read_day(text: str) -> date | None:
    """Return the day of a form's field, None where it holds none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
