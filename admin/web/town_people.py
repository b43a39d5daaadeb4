"""People: who is in the town's service, and closing who left. For IT security."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import MAX_REASON_LENGTH, InvalidRequestError
from admin.closed_people import AlreadyClosedError, LastOfItError, UnknownPersonError
from admin.web.page import admin_of, go_to, page
from admin.web.people import People
from admin.web.record_words import what_of
from admin.web.session_cookie import field, signed_in

_SHOWN = 100


async def people_page(http_request: Request) -> Response:
    """List people by name, those whom the address looks for."""
    admin = admin_of(http_request)
    words = http_request.query_params.get("q", "").strip()[:100]
    found = await admin.people.find(signed_in(http_request), words)
    names = People(admin.policy)
    return await page(
        http_request,
        "people.html",
        rows=[(listed, what_of(listed, names)) for listed in found[:_SHOWN]],
        accounts=await admin.accounts.register() if admin.policy.asking.internet_account else None,
        found=len(found),
        shown=_SHOWN,
        q=words,
    )


async def person_page(http_request: Request) -> Response:
    """Show a person, and what closing them ends."""
    return await _person(http_request)


async def close(http_request: Request, form: FormData) -> Response:
    """Close a person; the page says that it is done."""
    id_, why = http_request.path_params["person"], field(form, "why")
    try:
        await admin_of(http_request).people.close(signed_in(http_request), id_, why)
    except InvalidRequestError as error:
        return await _person(http_request, 422, error=error, why=why)
    except LastOfItError as refused:
        return await _person(http_request, 422, error=InvalidRequestError("why", _sentence(refused)), why=why)
    except AlreadyClosedError:
        return await _person(http_request, 409)
    except UnknownPersonError as error:
        raise HTTPException(404) from error
    return go_to(f"/people/{id_}")


async def reopen(http_request: Request, form: FormData) -> Response:
    """Let a person who was closed be of the town again."""
    id_, why = http_request.path_params["person"], field(form, "why")
    try:
        await admin_of(http_request).people.reopen(signed_in(http_request), id_, why)
    except InvalidRequestError as error:
        return await _person(http_request, 422, error=error, why=why)
    except UnknownPersonError:
        return await _person(http_request, 409)
    return go_to(f"/people/{id_}")


async def _person(
    http_request: Request, status: int = 200, *, error: InvalidRequestError | None = None, why: str = ""
) -> Response:
    admin = admin_of(http_request)
    try:
        listed = await admin.people.get(signed_in(http_request), http_request.path_params["person"])
    except UnknownPersonError as unknown:
        raise HTTPException(404) from unknown
    return await page(
        http_request,
        "person.html",
        status,
        listed=listed,
        who=what_of(listed, People(admin.policy)),
        is_too_late=status == 409,
        error=error,
        why=why,
        failure=admin.people.failure,
        max_reason_length=MAX_REASON_LENGTH,
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
