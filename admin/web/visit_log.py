"""The visit log for IT: filters in the address, names behind a reason, and why."""

import logging
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from admin import roles, why_words
from admin.asking import NotAllowedError
from admin.overview import Hour
from admin.replaying import explain
from admin.visit_log.counting import is_counted
from admin.visit_log.searching import Cursor, VisitFilter
from admin.visits import NamesHiddenError
from admin.web import visit_filters
from admin.web.long_questions import MOST_SECONDS, TooLongError
from admin.web.page import admin_of, has_duty, is_poll, lead_to, page, questions_of
from admin.web.session_cookie import signed_in
from admin.web.visit_filters import FILTERS, LEAVE_OUT, SPANS, address, export_address, local, without
from admin.web.words import Times, visit_status

logger = logging.getLogger(__name__)

_ROWS = 50


async def visits_page(http_request: Request) -> Response:
    """List visits, newest first. The address holds the filters, so that it can be kept and sent."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    filters = visit_filters.read(http_request.query_params, admin.now(), admin.zone)
    given, where = filters.given, filters.where
    before = _cursor(http_request.query_params.get("before", ""))
    last_id = await admin.visit_views.last_id()
    try:
        found = await questions_of(http_request).answer(
            http_request, lambda: admin.visit_views.query(session, where, before, _ROWS + 1)
        )
    except NamesHiddenError:
        return lead_to(http_request, f"/visits/names?{urlencode({'next': address(given)})}")
    except TooLongError as too_long:
        logger.warning("search given up: %s", too_long)
        found = None
    rows, more = (found or [])[:_ROWS], (found or [])[_ROWS:]
    hours = None
    if found is not None and not filters.wrong and before is None and not is_poll(http_request):
        hours = await _hours(http_request, where)
    return await page(
        http_request,
        "visits.html",
        503 if found is None else 422 if filters.wrong else 200,
        seconds=None if found is not None else round(MOST_SECONDS),
        rows=[(row, visit_status(row, admin.policy)) for row in rows],
        hours=hours,
        is_cut=_is_cut(hours, where),
        counted_address=None if hours is not None else f"{address(given, open_ended=True)}count=hours",
        typed=filters.typed,
        given=given,
        local={name: local(given.get(name, ""), admin.zone) for name in ("since", "until")},
        address=address(given),
        export_address=export_address(given),
        chips=visit_filters.chips(given, admin.policy, Times(admin.zone, admin.now())),
        only={name: f"{address(without(given, name), open_ended=True)}{name}=" for name in FILTERS},
        leave_out={name: visit_filters.and_not(given, name) for name in LEAVE_OUT},
        only_hour=address(without(given, "span", "since", "until"), open_ended=True),
        older=address({**given, "before": str(Cursor(rows[-1].started_at, rows[-1].id))}) if more else None,
        last_id=last_id,
        is_live=before is None and not filters.wrong and found is not None,
        behind=admin.visits_behind,
        can_correct=has_duty(http_request, roles.reviews),
        spans=SPANS,
        wrong=filters.wrong,
        unknown=visit_filters.unknown(given, admin.policy),
        shows_names=session.shows_names_at(admin.now()),
    )


async def _hours(http_request: Request, where: VisitFilter) -> tuple[Hour, ...] | None:
    """Return the visits by the hour; None where that takes long and was not asked for."""
    if not is_counted(where) and http_request.query_params.get("count") != "hours":
        return None
    admin, session = admin_of(http_request), signed_in(http_request)
    try:
        return await questions_of(http_request).answer(
            http_request, lambda: admin.visit_views.hours(session, where)
        )
    except TooLongError as too_long:
        logger.warning("count given up: %s", too_long)
        return None


async def arrived_after(http_request: Request) -> Response:
    """Say how many visits of a filter came after one: what waits while the page stands still."""
    admin, session = admin_of(http_request), signed_in(http_request)
    where = visit_filters.read(http_request.query_params, admin.now(), admin.zone).where
    id_ = http_request.path_params["id"]
    try:
        count, last_id = await questions_of(http_request).answer(
            http_request, lambda: admin.visit_views.count_arrived_after(session, id_, where)
        )
    except NamesHiddenError as error:
        raise NotAllowedError(str(error)) from error
    except LookupError as error:
        raise HTTPException(404) from error
    return JSONResponse({"count": count, "last_id": last_id})


def _is_cut(hours: tuple[Hour, ...] | None, where: VisitFilter) -> bool:
    """Whether the time that was asked for begins before what is counted by the hour."""
    first = hours[0] if hours else None
    return first is not None and where.since is not None and where.since < first.starts_at


async def own_page(http_request: Request) -> Response:
    """List what is recorded of whoever looks."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    before = _cursor(http_request.query_params.get("before", ""))
    try:
        found = await questions_of(http_request).answer(
            http_request, lambda: admin.visit_views.own(session, before, _ROWS + 1)
        )
    except TooLongError as too_long:
        logger.warning("own visits given up: %s", too_long)
        found = None
    rows, more = (found or [])[:_ROWS], (found or [])[_ROWS:]
    return await page(
        http_request,
        "own_visits.html",
        503 if found is None else 200,
        is_given_up=found is None,
        rows=[(row, visit_status(row, admin.policy)) for row in rows],
        older=f"/visits/own?before={Cursor(rows[-1].started_at, rows[-1].id)}" if more else None,
        is_newest=before is None,
        behind=admin.visits_behind,
    )


async def why_page(http_request: Request) -> Response:
    """Show each rule in order, and the one that decided."""
    admin = admin_of(http_request)
    try:
        row = await admin.visit_views.get(signed_in(http_request), http_request.path_params["id"])
        why = await explain(admin.db, admin.state, row)
    except LookupError as error:
        raise HTTPException(404) from error
    return await page(
        http_request,
        "why.html",
        row=row,
        why=why,
        status=visit_status(row, admin.policy),
        decided_by=why_words.decided_by(why, row, admin.zone, admin.now()),
        otherwise=why_words.otherwise(why, row),
        today=why_words.today(why, row),
    )


def _cursor(text: str) -> Cursor | None:
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        return None
