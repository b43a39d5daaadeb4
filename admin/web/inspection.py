"""IT's answers about hosts on which programs do not trust the town's certificate: forms of the board."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import InvalidRequestError
from admin.web.page import admin_of, go_to
from admin.web.review import INSPECTION_DONE, show_board
from admin.web.session_cookie import field, signed_in
from categories.host_name import HostNameError, canonical_host


async def never_inspect(http_request: Request, form: FormData) -> Response:
    """Put a host on the list of what is never opened."""
    return await _answered(http_request, form, "never")


async def inspect_again(http_request: Request, form: FormData) -> Response:
    """Take a host off that list."""
    return await _answered(http_request, form, "again")


async def leave(http_request: Request, form: FormData) -> Response:
    """Leave a host as it is."""
    return await _answered(http_request, form, "left")


async def _answered(http_request: Request, form: FormData, answer: str) -> Response:
    review, session = admin_of(http_request).review, signed_in(http_request)
    written, why = field(form, "host"), field(form, "why")
    try:
        host = _host(written)
        match answer:
            case "never":
                answered = await review.never_inspect(session, host, why)
            case "again":
                answered = await review.inspect_again(session, host, why)
            case _:
                answered = await review.leave_inspected(session, host)
    except InvalidRequestError as error:
        # The form is found again by its host, whichever of its fields is meant.
        return await show_board(http_request, InvalidRequestError(f"{answer}-{written}", str(error)))
    return go_to(f"/review?{INSPECTION_DONE}={answered.id}")


def _host(text: str) -> str:
    try:
        return canonical_host(text)
    except HostNameError as error:
        raise InvalidRequestError("host", str(error)) from error
