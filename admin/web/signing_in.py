"""Signing in and out, and where a person starts."""

from datetime import timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.accounts import SignInError, TooManyTriesError
from admin.web.client_address import address_to_count
from admin.web.page import admin_of, go_to, has_duty, page
from admin.web.session_cookie import Cookies, field, session_of

# The hour is shown without its seconds: never one at which it is still refused.
_UP_TO_THE_MINUTE = timedelta(seconds=59, microseconds=999_999)


async def start(http_request: Request) -> Response:
    """Send everyone to what they most likely came for."""
    session = session_of(http_request)
    if session is None:
        return go_to("/sign-in")
    if has_duty(http_request, roles.sees_visits):
        return go_to("/today")
    waits = session.is_signed_in and await admin_of(http_request).request_views.to_decide(session)
    return go_to("/decide" if waits else "/requests")


async def sign_in_page(http_request: Request) -> Response:
    """Ask for the town account, or for name and password."""
    return await sign_in_form(http_request, next_path=own_path(http_request.query_params.get("next", "")))


async def sign_in(http_request: Request, form: FormData) -> Response:
    """Check name and password, and go on to the page that was wanted."""
    name, next_path = field(form, "name"), own_path(field(form, "next"))
    password = form.get("password")
    try:
        opened = await admin_of(http_request).sign_in(
            name.lower(),
            password if isinstance(password, str) else "",
            session_of(http_request),
            address=address_to_count(http_request),
        )
    except SignInError as error:
        status = 429 if isinstance(error, TooManyTriesError) else 422
        return await sign_in_form(http_request, status, next_path=next_path, name=name, error=error)
    response = go_to(next_path)
    cookies: Cookies = http_request.app.state.cookies
    cookies.open(response, opened)
    return response


async def sign_in_form(
    http_request: Request,
    status: int = 200,
    *,
    next_path: str = "/",
    name: str = "",
    error: SignInError | None = None,
    refusal: str | None = None,
) -> Response:
    """Return the page to sign in at, and what came of trying; `refusal` is of the town account."""
    return await page(
        http_request,
        "sign_in.html",
        status,
        next_path=next_path,
        name=name,
        error=error,
        until=error.until + _UP_TO_THE_MINUTE if isinstance(error, TooManyTriesError) else None,
        has_town_account=admin_of(http_request).town_account.is_set,
        refusal=refusal,
    )


async def sign_out(http_request: Request, _form: FormData) -> Response:
    """End the session."""
    session = session_of(http_request)
    if session is not None:
        await admin_of(http_request).sign_out(session)
    response = go_to("/sign-in")
    cookies: Cookies = http_request.app.state.cookies
    cookies.drop(response, cookies.session)
    return response


def own_path(path: str) -> str:
    """Return a path of this site, "/" for anything that a browser might read as another's."""
    is_own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_own else "/"
