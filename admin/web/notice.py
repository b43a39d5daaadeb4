"""The notice: read before the web is used, signed by name, put off while that is allowed."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import notices
from admin.asking import InvalidRequestError
from admin.notices import OtherVersionError
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import Cookies, SignInNeededError, field, known, session_of


async def notice_page(http_request: Request) -> Response:
    """Show the notice in force, with a form for who has not accepted it; without one, that there is none.

    A block page's link is followed first: its token leaves the address before anything is shown.
    """
    token = http_request.query_params.get("token")
    if token is None:
        return await _notice(http_request, _code(http_request))
    opened, code = await admin_of(http_request).asks.follow(token, session_of(http_request))
    response = go_to(_address(code))
    cookies: Cookies = http_request.app.state.cookies
    cookies.open(response, opened)
    return response


async def sign(http_request: Request, form: FormData) -> Response:
    """Accept the notice by name, and go back to it: it says so, and leads on to the site."""
    signing, code = admin_of(http_request).notice, field(form, "code")
    session = known(http_request)
    if signing.signer(session) is None:
        raise SignInNeededError
    if field(form, "agree") != "yes":
        error = InvalidRequestError("agree", "Check the box to say that you have read it")
        return await _notice(http_request, code, error, status=422)
    try:
        await signing.sign(session, field(form, "version"))
    except OtherVersionError:
        return await _notice(http_request, code, is_another=True, status=409)
    return go_to(_address(code))


async def put_off(http_request: Request, form: FormData) -> Response:
    """Put the notice off until tomorrow."""
    signing, code = admin_of(http_request).notice, field(form, "code")
    session = known(http_request)
    if signing.signer(session) is None:
        raise SignInNeededError
    try:
        until = await signing.put_off(session, field(form, "version"))
    except OtherVersionError:
        return await _notice(http_request, code, is_another=True, status=409)
    except notices.NotToBePutOffError:
        return await _notice(http_request, code, is_required=True, status=409)
    return await page(http_request, "notice_put_off.html", until=until, host=await _host(http_request, code))


async def _notice(
    http_request: Request,
    code: str,
    error: InvalidRequestError | None = None,
    *,
    is_another: bool = False,
    is_required: bool = False,
    status: int = 200,
) -> Response:
    """Return the page of the notice.

    `is_another`: the one that was read is no longer in force; `is_required`: it is too late to put it off.
    """
    admin = admin_of(http_request)
    notice = admin.policy.notice
    if notice is None:
        return await page(http_request, "no_notice.html", status, host=await _host(http_request, code))
    person = admin.notice.signer(session_of(http_request))
    return await page(
        http_request,
        "notice.html",
        status,
        notice=notice,
        paragraphs=notices.paragraphs(notice.text),
        required_at=notices.required_at(admin.policy),
        person=person,
        standing=await admin.notice.standing(person) if person is not None else None,
        has_mail=admin.correspondence.reaches(person),
        host=await _host(http_request, code),
        code=code,
        sign_in_next=quote(_address(code)),
        error=error,
        is_another=is_another,
        is_required=is_required,
    )


async def _host(http_request: Request, code: str) -> str | None:
    """Return the site that was asked for when the notice came up, None when that is not known here."""
    session = session_of(http_request)
    if session is None or not code:
        return None
    ask = await admin_of(http_request).asks.followed(session, code)
    return ask.host if ask is not None else None


def _code(http_request: Request) -> str:
    return http_request.query_params.get("from", "")


def _address(code: str) -> str:
    return f"/notice?from={quote(code)}" if code else "/notice"
