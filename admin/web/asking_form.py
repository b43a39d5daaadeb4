"""A form that asks for something: where it leads once sent, and back to it with what cannot be accepted."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from admin.asked import Kind
from admin.asking import (
    MAX_REASON_LENGTH,
    AccessRequest,
    AlreadyOpenError,
    InvalidRequestError,
    UnknownRequestError,
)
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.session_cookie import known

type ShowAgain = Callable[[InvalidRequestError], Awaitable[Response]]
"""Brings the form back, filled in as it was, with what is wrong."""


async def lead_on(sending: Awaitable[AccessRequest], show_again: ShowAgain, to: str = "/sent") -> Response:
    """Send it, and go to the request's page `to`; to the request itself where one is open already."""
    try:
        sent = await sending
    except InvalidRequestError as error:
        return await show_again(error)
    except AlreadyOpenError as error:
        return go_to(f"/requests/{error.request.id}")
    return go_to(f"/requests/{sent.id}{to}")


async def form_page(
    http_request: Request,
    template: str,
    filled_in: Mapping[str, str],
    error: InvalidRequestError | None,
    /,
    **values: object,
) -> Response:
    """Show a form; 422 with what cannot be accepted."""
    return await page(
        http_request,
        template,
        422 if error else 200,
        filled_in=filled_in,
        max_reason_length=MAX_REASON_LENGTH,
        error=error,
        **values,
    )


async def answered_lately(
    http_request: Request, kind: Kind, host: str = "", path: str = ""
) -> dict[str, object]:
    """Return what a form says first: the answer of lately, where that was not to allow it."""
    views, session = admin_of(http_request).request_views, known(http_request)
    earlier = await views.answered_before(session, kind, host, path)
    return {
        "earlier": earlier,
        "sees_earlier": earlier is not None and await may_see(http_request, earlier),
        "earlier_status": status_of(http_request, earlier) if earlier else None,
    }


async def may_see(http_request: Request, request: AccessRequest) -> bool:
    """Whether the session may look at the page of a request."""
    try:
        await admin_of(http_request).request_views.get(known(http_request), request.id)
    except UnknownRequestError:
        return False
    return True
