"""The form that asks for an internet account, by the department for a person of it."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import InvalidRequestError
from admin.web import asking_form
from admin.web.delegation import read_day
from admin.web.page import admin_of
from admin.web.session_cookie import field, signed_in
from policy.town_policy import PersonKind

_FIELDS = ("person", "employer", "sponsor", "last", "reason")


async def ask_page(http_request: Request) -> Response:
    """Show the form, empty."""
    return await _form(http_request, dict.fromkeys(_FIELDS, ""))


async def ask(http_request: Request, form: FormData) -> Response:
    """Send it. A field that cannot be accepted brings it back, filled in as it was."""
    filled_in = {name: field(form, name) for name in _FIELDS}
    sending = admin_of(http_request).accounts.ask(
        signed_in(http_request),
        person=filled_in["person"],
        employer=filled_in["employer"],
        sponsor=filled_in["sponsor"],
        last=read_day(filled_in["last"]),
        reason=filled_in["reason"],
    )
    return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, error))


async def _form(
    http_request: Request, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    admin, session = admin_of(http_request), signed_in(http_request)
    terms = admin.policy.asking.internet_account
    return await asking_form.form_page(
        http_request,
        "account_ask.html",
        filled_in,
        error,
        terms=terms,
        asks=bool(admin.accounts.proposes_for(session)),
        whom=admin.accounts.people_of(session),
        sponsors=admin.accounts.sponsors(),
        has_contractors=terms is not None and PersonKind.CONTRACTOR in terms.required_for,
    )
