"""Saying that a site is listed wrongly, or that one came to it by accident; and what IT made of it."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import MAX_REASON_LENGTH, InvalidRequestError, UnknownRequestError
from admin.web.asking import follow_to
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import field, known
from admin.web.words import report_status
from policy.ask_token import AskToken


async def follow_wrong_category(http_request: Request) -> Response:
    """Follow a block page's link "This is the wrong category"."""
    return await follow_to(http_request, "/wrong-category")


async def follow_accident(http_request: Request) -> Response:
    """Follow a block page's link "I came here by accident"."""
    return await follow_to(http_request, "/accident")


async def wrong_category_page(http_request: Request) -> Response:
    """Ask what the site should be listed as."""
    return await _form(http_request, await _ask_of(http_request), {"proposed": "", "remark": ""})


async def wrong_category(http_request: Request, form: FormData) -> Response:
    """Tell IT that the site is listed wrongly."""
    ask = await _ask_of(http_request)
    filled_in = {name: field(form, name) for name in ("proposed", "remark")}
    try:
        report = await admin_of(http_request).reports.wrong_category(
            known(http_request), ask.code, filled_in["proposed"] or None, filled_in["remark"]
        )
    except InvalidRequestError as error:
        return await _form(http_request, ask, filled_in, error)
    return go_to(f"/reports/{report.id}")


async def accident_page(http_request: Request) -> Response:
    """Offer to tell head and IT."""
    return await page(http_request, "accident.html", ask=await _ask_of(http_request), error=None)


async def accident(http_request: Request, _form: FormData) -> Response:
    """Tell them, and mark the visit."""
    ask = await _ask_of(http_request)
    try:
        report = await admin_of(http_request).reports.accident(known(http_request), ask.code)
    except InvalidRequestError as error:
        return await page(http_request, "accident.html", 422, ask=ask, error=error)
    return go_to(f"/reports/{report.id}")


async def report_page(http_request: Request) -> Response:
    """Say where a report stands."""
    admin = admin_of(http_request)
    report = await admin.reports.get(known(http_request), http_request.path_params["id"])
    return await page(
        http_request,
        "report.html",
        report=report,
        status=report_status(report),
        has_mail=admin.correspondence.reaches(report.person),
    )


async def report_request(http_request: Request, _form: FormData) -> Response:
    """Go on to saying that the site of a request is listed wrongly."""
    admin, session = admin_of(http_request), known(http_request)
    request = await admin.request_views.get(session, http_request.path_params["id"])
    code = await admin.reports.remember_request(session, request)
    return go_to(f"/wrong-category/{quote(code)}")


async def _ask_of(http_request: Request) -> AskToken:
    """Return what the followed link said.

    Raises UnknownRequestError when this browser did not follow it.
    """
    code = http_request.path_params["code"]
    ask = await admin_of(http_request).asks.followed(known(http_request), code)
    if ask is None:
        raise UnknownRequestError("this browser has not opened that link")
    return ask


async def _form(
    http_request: Request, ask: AskToken, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    return await page(
        http_request,
        "wrong_category.html",
        422 if error else 200,
        ask=ask,
        max_reason_length=MAX_REASON_LENGTH,
        filled_in=filled_in,
        error=error,
    )
