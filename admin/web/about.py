"""Pages for everyone: the rules in plain words, what is recorded, and what was stopped here."""

from collections.abc import Iterable
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.asked import Kind
from admin.asking import AccessRequest, stops_downloads
from admin.limit_lifts import may_go_on
from admin.pac import MEDIA_TYPE, pac_file
from admin.visits import NAMES_SHOWN_FOR, VisitRow
from admin.web.page import admin_of, go_to, has_duty, page, status_of
from admin.web.session_cookie import known, session_of
from admin.web.words import visit_status
from policy.decision import Cause
from policy.rule_matching import asking_roles
from policy.town_policy import Policy


async def policy_page(http_request: Request) -> Response:
    """Show the running policy's rules; to those who see visits also why a newer document is not in force."""
    admin = admin_of(http_request)
    person = admin.notice.signer(session_of(http_request))
    is_asked = admin.policy.notice is not None and person is not None
    return await page(
        http_request,
        "policy.html",
        problems=admin.policy_problems if has_duty(http_request, roles.sees_visits) else (),
        receipt=(await admin.notice.standing(person)).receipt if is_asked and person is not None else None,
        is_signer_known=person is not None,
    )


async def recorded_page(http_request: Request) -> Response:
    """Say what is recorded, who may look and whom to ask. Needs no sign-in."""
    policy = admin_of(http_request).policy
    return await page(
        http_request,
        "recorded.html",
        names_shown_for=NAMES_SHOWN_FOR,
        may_look=roles.seeing_visits(policy),
        may_show_names=roles.showing_names(policy),
    )


async def stopped_page(http_request: Request) -> Response:
    """List what was stopped for this person or device lately, each with a way to ask."""
    admin = admin_of(http_request)
    session, policy = known(http_request), admin.policy
    standing = await admin.request_views.standing(session)
    lifted = await admin.limit_lifts.of(session)
    rows = []
    for row, count in _last_of_each(await admin.visit_views.stopped_here(session), policy):
        request = next((request for request in standing if _is_about(request, row, policy)), None)
        rows.append(
            (
                row,
                count,
                visit_status(row, policy),
                request,
                status_of(http_request, request) if request else None,
                bool(asking_roles(row.cause, row.rule, policy, {row.category or ""})),
                may_go_on(row, policy) and not any(lift.host == row.host for lift in lifted),
            )
        )
    return await page(http_request, "stopped.html", rows=rows, lifted=lifted)


def _is_about(request: AccessRequest, row: VisitRow, policy: Policy) -> bool:
    """Whether the request asks for what was stopped: access opens no download that is.

    What is used up answers for nothing that is stopped now. Which page was visited no record says: of a
    request for one it is the visit from which that was sent.
    """
    is_download = row.cause == Cause.LIMIT or stops_downloads(policy, row.rule)
    if (request.path and request.code != row.code) or request.used_at is not None:
        return False
    return request.covers(row.host) and (request.kind is Kind.DOWNLOAD) == is_download


def _last_of_each(rows: Iterable[VisitRow], policy: Policy) -> list[tuple[VisitRow, int]]:
    """Return of the visits that were stopped alike the last, and how many: a browser tries again by itself.

    Those that a used-up quota stops at a host are alike, whether a tunnel was closed or a page was shown.
    """
    quotas = {limit.id for limit in policy.limits if limit.quota is not None}
    alike: dict[tuple[str | None, ...], list[VisitRow]] = {}
    for row in rows:
        is_of_quota = row.cause is Cause.LIMIT and row.rule in quotas
        differs = () if is_of_quota else (row.category, row.refusal)
        alike.setdefault((row.host, row.cause, row.rule, *differs), []).append(row)
    return [(max(of_one, key=lambda row: row.ended_at), len(of_one)) for of_one in alike.values()]


async def download_stopped(http_request: Request, _form: FormData) -> Response:
    """Go on past the limit that ended one of them, as the page before a download would have let."""
    await admin_of(http_request).limit_lifts.go_on(known(http_request), http_request.path_params["id"])
    return go_to("/stopped")


async def ask_about_stopped(http_request: Request, _form: FormData) -> Response:
    """Ask for one of them, as its block page would have let."""
    return await _follow_stopped(http_request, "/ask")


async def stopped_wrongly(http_request: Request, _form: FormData) -> Response:
    """Say that one of them is listed wrongly, as its block page would have let."""
    return await _follow_stopped(http_request, "/wrong-category")


async def stopped_by_accident(http_request: Request, _form: FormData) -> Response:
    """Say that one of them was an accident, as its block page would have let."""
    return await _follow_stopped(http_request, "/accident")


async def _follow_stopped(http_request: Request, place: str) -> Response:
    code = await admin_of(http_request).requests.ask_about(
        known(http_request), http_request.path_params["id"]
    )
    return go_to(f"{place}/{quote(code)}")


async def proxy_pac(http_request: Request) -> Response:
    """Give any workstation the file that tells its browser which proxy to use."""
    settings = admin_of(http_request).settings.settings.pac
    if settings is None:
        raise HTTPException(404)
    return Response(pac_file(settings), media_type=MEDIA_TYPE)
