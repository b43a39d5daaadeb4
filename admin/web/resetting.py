"""A forgotten password: asking for a link, and setting a new one with it."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.accounts import MIN_LENGTH, PasswordError
from admin.asking import InvalidRequestError
from admin.outbox import Channel
from admin.password_resets import ResetLinkError
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import field


async def forgot_page(http_request: Request) -> Response:
    """Ask for the name."""
    return await _forgot(http_request)


async def forgot(http_request: Request, form: FormData) -> Response:
    """Send a link, if there is somebody to send it to; the next page is the same for every name."""
    name = field(form, "name").lower()
    if not name:
        return await _forgot(http_request, InvalidRequestError("name", "Enter your name"))
    await admin_of(http_request).ask_for_new_password(name[:100])
    return go_to("/password/sent")


async def sent_page(http_request: Request) -> Response:
    """Say what happens now, whether there is an account or not."""
    return await page(http_request, "password_sent.html")


async def new_page(http_request: Request) -> Response:
    """Ask for the new password; looking at it uses no link up."""
    token = http_request.query_params.get("token", "")
    try:
        await admin_of(http_request).person_of_link(token)
    except ResetLinkError:
        return await _old(http_request)
    return await _new(http_request, token)


async def new(http_request: Request, form: FormData) -> Response:
    """Set the password, and lead to signing in with it."""
    token, password = field(form, "token"), form.get("password")
    try:
        await admin_of(http_request).set_new_password(token, password if isinstance(password, str) else "")
    except PasswordError as error:
        text = str(error)
        return await _new(http_request, token, InvalidRequestError("password", text[:1].upper() + text[1:]))
    except ResetLinkError:
        return await _old(http_request)
    return go_to("/sign-in")


async def _forgot(http_request: Request, error: InvalidRequestError | None = None) -> Response:
    is_set = admin_of(http_request).correspondence.is_set(Channel.MAIL)
    return await page(
        http_request, "password_forgot.html", 422 if error else 200, error=error, has_mail=is_set
    )


async def _new(http_request: Request, token: str, error: InvalidRequestError | None = None) -> Response:
    return await page(
        http_request,
        "password_new.html",
        422 if error else 200,
        token=token,
        error=error,
        min_length=MIN_LENGTH,
    )


async def _old(http_request: Request) -> Response:
    return await page(http_request, "password_old_link.html", 410)
