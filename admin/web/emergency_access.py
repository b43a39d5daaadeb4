"""Emergency access: the form that opens a site at once, and the page on which another looks at it."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import MAX_REASON_LENGTH, InvalidRequestError
from admin.emergency_evidence import evidence
from admin.web import asking_form
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.session_cookie import field, signed_in

_ANSWERS = {"right": True, "not_right": False}


async def form_page(http_request: Request) -> Response:
    """Show the form, with the site that a block page's form names."""
    return await _form(http_request, {"site": http_request.query_params.get("site", ""), "reason": ""})


async def open_site(http_request: Request, form: FormData) -> Response:
    """Open it. A field that cannot be accepted brings the form back, filled in as it was."""
    filled_in = {name: field(form, name) for name in ("site", "reason")}
    sending = admin_of(http_request).emergency_access.open(
        signed_in(http_request), filled_in["site"], filled_in["reason"]
    )
    return await asking_form.lead_on(sending, lambda error: _form(http_request, filled_in, error), to="")


async def review_page(http_request: Request) -> Response:
    """Show what was opened, and ask whether it was right."""
    return await _review(http_request)


async def review(http_request: Request, form: FormData) -> Response:
    """Note the answer."""
    id_ = http_request.path_params["id"]
    answer, note = field(form, "was_right"), field(form, "note")
    try:
        await admin_of(http_request).emergency_access.review(
            signed_in(http_request), id_, _ANSWERS.get(answer), note
        )
    except InvalidRequestError as error:
        return await _review(http_request, answer, note, error)
    return go_to(f"/decide/{id_}/review")


async def _form(
    http_request: Request, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    emergency_access = admin_of(http_request).emergency_access
    session = signed_in(http_request)
    return await asking_form.form_page(
        http_request,
        "emergency_access.html",
        filled_in,
        error,
        terms=emergency_access.terms,
        is_named=emergency_access.is_named(session.person),
    )


async def _review(
    http_request: Request, answer: str = "", note: str = "", error: InvalidRequestError | None = None
) -> Response:
    admin, id_ = admin_of(http_request), http_request.path_params["id"]
    found = await evidence(
        admin.db, admin.request_views, admin.emergency_access, signed_in(http_request), id_, admin.now()
    )
    return await page(
        http_request,
        "emergency_review.html",
        422 if error else 200,
        request=found.request,
        status=status_of(http_request, found.request),
        review=found.review,
        use=found.use,
        earlier=found.earlier,
        answer=answer,
        note=note,
        max_reason_length=MAX_REASON_LENGTH,
        error=error,
    )
