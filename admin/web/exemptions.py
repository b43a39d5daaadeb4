"""Exemptions: what is open, for whom and until when, what it is used for; renewing and keeping it."""

from datetime import datetime, timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import exemption_use
from admin.asking import AccessRequest, AlreadyOpenError, InvalidRequestError
from admin.deciders import may_renew, may_stop
from admin.exemption_use import Use
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.session_cookie import person_of, signed_in

FILTERS = {"": "All", "ending": "Ends this week", "unused": "Unused 60 days", "review": "Still needed?"}
_THIS_WEEK = timedelta(days=7)


async def exemptions_page(http_request: Request) -> Response:
    """List access in force, ending soonest first. The address holds the filter."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    chosen = http_request.query_params.get("show", "")
    granted = await admin.request_views.granted(session)
    accounts = await admin.request_views.granted_accounts(session)
    uses = await exemption_use.of_all(admin.db, admin.db.visits, admin.now())
    rows = [
        (
            request,
            status_of(http_request, request),
            uses[request.id],
            may_stop(admin.policy, request, person_of(session)),
            may_renew(admin.policy, request, person_of(session)),
        )
        for request in granted
        if request.id in uses and _is_shown(chosen, request, uses[request.id], admin.now())
    ]
    return await page(
        http_request,
        "exemptions.html",
        rows=rows,
        total=len(granted) + len(accounts),
        filters=FILTERS,
        chosen=chosen if chosen in FILTERS else "",
        accounts=[
            (account, may_stop(admin.policy, account, person_of(session)))
            for account in accounts
            if _is_shown(chosen, account, None, admin.now())
        ],
    )


async def renew(http_request: Request, _form: FormData) -> Response:
    """Ask for the same again, through the same chain."""
    try:
        sent = await admin_of(http_request).renewals.renew(
            signed_in(http_request), http_request.path_params["id"]
        )
    except AlreadyOpenError as error:
        return go_to(f"/requests/{error.request.id}")
    except InvalidRequestError as error:
        return await page(
            http_request, "not_renewed.html", 422, error=error, request_id=http_request.path_params["id"]
        )
    return go_to(f"/requests/{sent.id}")


async def keep(http_request: Request, _form: FormData) -> Response:
    """Note that access is still needed."""
    id_ = http_request.path_params["id"]
    await admin_of(http_request).requests.keep(signed_in(http_request), id_)
    return go_to(f"/requests/{id_}")


def _is_shown(chosen: str, request: AccessRequest, use: Use | None, now: datetime) -> bool:
    """Whether the filter leaves access in; `use` is None of an internet account: it is not counted here."""
    match chosen:
        case "ending":
            return request.expires_at is not None and request.expires_at - now <= _THIS_WEEK
        case "unused":
            return use is not None and use.is_unused_at(now)
        case "review":
            return request.review_since is not None
        case _:
            return True
