"""Signing in with a town account: away to the provider, and back. Nothing is asked of it before."""

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.accounts import TooManyTriesError
from admin.town_account import Refusal, TownAccountError
from admin.web.client_address import address_to_count
from admin.web.page import admin_of, go_to
from admin.web.session_cookie import Cookies, csrf_token, session_of
from admin.web.signing_in import own_path, sign_in_form

_STATUS = {
    Refusal.TROUBLE: 503,
    Refusal.STALE: 400,
    Refusal.NOT_COMPLETED: 403,
    Refusal.UNKNOWN: 403,
    Refusal.CLOSED: 403,
}


async def begin(http_request: Request) -> Response:
    """Send the browser to the provider; led here by another site it sees the page to sign in at first."""
    next_path = own_path(http_request.query_params.get("next", ""))
    if not _is_asked_for_here(http_request):
        return go_to(f"/sign-in?next={quote(next_path)}")
    try:
        url = await admin_of(http_request).town_account.begin(
            csrf_token(http_request), next_path, address=address_to_count(http_request)
        )
    except TownAccountError as error:
        return await _refused(http_request, error, next_path)
    response = go_to(url)
    if session_of(http_request) is None:
        # What comes back is for this browser alone, also where it has seen no page before.
        cookies: Cookies = http_request.app.state.cookies
        cookies.set(response, cookies.visitor, http_request.state.visitor)
    return response


async def done(http_request: Request) -> Response:
    """Sign in whoever the provider says it is, and go on to the page that was wanted."""
    town_account = admin_of(http_request).town_account
    browser, answer = csrf_token(http_request), http_request.query_params
    next_path = town_account.wanted_path(browser, answer)
    try:
        opened = await town_account.finish(browser, answer, session_of(http_request))
    except TownAccountError as error:
        return await _refused(http_request, error, next_path)
    except TooManyTriesError as error:
        return await sign_in_form(http_request, 429, next_path=next_path, error=error)
    response = go_to(next_path)
    cookies: Cookies = http_request.app.state.cookies
    cookies.open(response, opened)
    return response


def _is_asked_for_here(http_request: Request) -> bool:
    """Whether a link of ours, or the person themselves, led here. No form does, which a token would prove:
    browsers hold where it leads against form-action, and the provider is another site.
    """
    led_by = http_request.headers.get("sec-fetch-site")
    if led_by is not None:
        return led_by in ("same-origin", "none")
    cookies: Cookies = http_request.app.state.cookies
    page = http_request.headers.get("origin") or http_request.headers.get("referer", "")
    return f"{page}/".startswith(f"{cookies.origin}/")


async def _refused(http_request: Request, error: TownAccountError, next_path: str) -> Response:
    if error.refusal is Refusal.NOT_SET:
        raise HTTPException(404) from error
    return await sign_in_form(
        http_request, _STATUS[error.refusal], next_path=next_path, refusal=error.refusal.value
    )
