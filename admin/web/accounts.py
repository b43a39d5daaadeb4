"""The form that asks for an internet account, by the department for a person of it."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import MAX_REASON_LENGTH, AlreadyOpenError, InvalidRequestError
from admin.web.delegation import read_day
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import field, signed_in
from policy.town_policy import PersonKind

_FIELDS = ("person", "employer", "sponsor", "last", "reason")


async def ask_page(http_request: Request) -> Response:
    """Show the form, empty but for the person whom the address names."""
    filled_in = {**dict.fromkeys(_FIELDS, ""), "person": http_request.query_params.get("person", "")}
    return await _form(http_request, filled_in)


async def ask(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    filled_in = {name: field(form, name) for name in _FIELDS}
    try:
        sent = await admin_of(http_request).accounts.ask(
            signed_in(http_request),
            person=filled_in["person"],
            employer=filled_in["employer"],
            sponsor=filled_in["sponsor"],
            last=read_day(filled_in["last"]),
            reason=filled_in["reason"],
        )
    except InvalidRequestError as error:
        return await _form(http_request, filled_in, error)
    except AlreadyOpenError as error:
        return go_to(f"/requests/{error.request.id}")
    return go_to(f"/requests/{sent.id}/sent")


async def _form(
    http_request: Request, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    admin, session = admin_of(http_request), signed_in(http_request)
    terms = admin.policy.asking.internet_account
    return await page(
        http_request,
        "account_ask.html",
        422 if error else 200,
        terms=terms,
        asks=bool(admin.accounts.proposes_for(session)),
        whom=admin.accounts.people_of(session),
        sponsors=admin.accounts.sponsors(),
        has_contractors=terms is not None and PersonKind.CONTRACTOR in terms.required_for,
        filled_in=filled_in,
        max_reason_length=MAX_REASON_LENGTH,
        error=error,
    )
