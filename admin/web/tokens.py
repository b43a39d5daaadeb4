"""Your tokens: what a person's programs may do in the API, made and revoked by that person."""

from datetime import date, timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.api_tokens import LONGEST, MAX_NAME_LENGTH, SCOPES
from admin.asking import InvalidRequestError
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import field, signed_in

_USUAL = timedelta(days=90)


async def tokens_page(http_request: Request) -> Response:
    """Show a person's tokens, and the form for another."""
    return await _page(http_request)


async def create(http_request: Request, form: FormData) -> Response:
    """Make a token and show its text, here and never again."""
    filled_in = {"name": field(form, "name"), "last_day": field(form, "last_day")}
    chosen = [value for value in form.getlist("scopes") if isinstance(value, str)]
    try:
        token, text = await admin_of(http_request).api_tokens.create(
            signed_in(http_request), filled_in["name"], chosen, _day(filled_in["last_day"])
        )
    except InvalidRequestError as error:
        return await _page(http_request, filled_in, chosen, error)
    return await page(http_request, "token_made.html", 201, token=token, text=text, scopes=SCOPES)


async def revoke(http_request: Request, _form: FormData) -> Response:
    """End a token at once."""
    await admin_of(http_request).api_tokens.revoke(signed_in(http_request), http_request.path_params["id"])
    return go_to("/tokens")


async def _page(
    http_request: Request,
    filled_in: dict[str, str] | None = None,
    chosen: list[str] | None = None,
    error: InvalidRequestError | None = None,
) -> Response:
    admin, session = admin_of(http_request), signed_in(http_request)
    today = admin.now().astimezone(admin.zone).date()
    return await page(
        http_request,
        "tokens.html",
        422 if error else 200,
        tokens=await admin.api_tokens.mine(session),
        offered={scope: SCOPES[scope] for scope in admin.api_tokens.offered(session)},
        scopes=SCOPES,
        filled_in=filled_in or {"name": "", "last_day": (today + _USUAL).isoformat()},
        chosen=chosen or [],
        first_day=today.isoformat(),
        farthest_day=(today + LONGEST).isoformat(),
        max_name_length=MAX_NAME_LENGTH,
        error=error,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
