"""Names in the visit log: why they are needed, and where a second person must agree, asking and answering."""

from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.asking import InvalidRequestError, UnknownRequestError
from admin.names import NobodyAgreesError, needs_second_person
from admin.sessions import NAMES_SHOWN_FOR
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import field, person_of, signed_in

_ANSWERS = {"agree": True, "refuse": False}


async def names_page(http_request: Request) -> Response:
    """Ask why names are to be shown."""
    signed_in(http_request)
    return await _form(http_request, http_request.query_params.get("next", ""), "", "")


async def show_names(http_request: Request, form: FormData) -> Response:
    """Show names for a while, or ask a second person; the reason is logged."""
    reason, case, next_path = (field(form, name) for name in ("reason", "case", "next"))
    names, next_path = admin_of(http_request).names, _place(next_path)
    try:
        waiting = await names.ask(signed_in(http_request), reason, case, _person(next_path))
    except InvalidRequestError as error:
        return await _form(http_request, next_path, reason, case, error)
    except NobodyAgreesError:
        nobody = InvalidRequestError("reason", "There is nobody who may agree to it; nothing was asked")
        return await _form(http_request, next_path, reason, case, nobody)
    if waiting is None:
        return go_to(next_path)
    return go_to(f"/visits/names/{waiting.id}?{urlencode({'next': next_path})}")


async def request_page(http_request: Request) -> Response:
    """Show how a request stands: to who asked, and to who may answer it."""
    admin, session = admin_of(http_request), signed_in(http_request)
    try:
        request = await admin.names.get(session, http_request.path_params["id"])
    except UnknownRequestError as error:
        raise HTTPException(404) from error
    search = f"/visits?{urlencode({'person': request.person})}" if request.person else ""
    given = http_request.query_params.get("next", "")
    return await page(
        http_request,
        "names_request.html",
        request=request,
        state=request.state_at(admin.now()),
        may_answer=admin.names.may_answer(session, request),
        agree=sorted(admin.names.may_agree(request)),
        have_mail=all(map(admin.correspondence.reaches, admin.names.may_agree(request))),
        next_path=_place(given) if given else search or "/visits",
        shown_for=NAMES_SHOWN_FOR,
    )


async def answer(http_request: Request, form: FormData) -> Response:
    """Agree that names are shown, or not; the page says what came of it, or asks again."""
    id_, agrees = http_request.path_params["id"], _ANSWERS.get(field(form, "answer"))
    if agrees is None:
        return go_to(f"/visits/names/{id_}")
    try:
        await admin_of(http_request).names.answer(signed_in(http_request), id_, agrees=agrees)
    except UnknownRequestError as error:
        raise HTTPException(404) from error
    return go_to(f"/visits/names/{id_}")


async def _form(
    http_request: Request, next_path: str, reason: str, case: str, error: InvalidRequestError | None = None
) -> Response:
    policy, person = admin_of(http_request).policy, _person(_place(next_path))
    asker = person_of(signed_in(http_request))
    return await page(
        http_request,
        "names.html",
        422 if error else 200,
        next_path=next_path,
        person=person,
        second=needs_second_person(policy.second_person, person),
        can_be_agreed=bool(roles.agree_to_names(policy, asker, person)),
        reason=reason,
        case=case,
        error=error,
        shown_for=NAMES_SHOWN_FOR,
    )


def _place(next_path: str) -> str:
    """Return where it goes on: a page of the log, no other."""
    return next_path if next_path.startswith("/visits?") or next_path == "/heavy" else "/visits"


def _person(next_path: str) -> str | None:
    """Return whose visits are looked for there."""
    found = parse_qs(urlsplit(next_path).query).get("person", [""])
    return found[0].strip() or None
