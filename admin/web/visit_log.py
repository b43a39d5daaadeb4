"""The visit log for IT: filters in the address, names behind a reason, and why."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.replaying import explain
from admin.visit_log.searching import Cursor, VisitFilter
from admin.visits import NamesHiddenError
from admin.web.long_questions import MOST_SECONDS, TooLongError
from admin.web.page import admin_of, go_to, has_duty, page, questions_of
from admin.web.people import People
from admin.web.session_cookie import signed_in
from admin.web.words import DECISIONS, host, visit_status
from categories.host_name import HostNameError, canonical_host
from categories.taxonomy import taxonomy
from policy.decision import Lane, Verdict

logger = logging.getLogger(__name__)

_ROWS = 50
_FILTERS = ("span", "department", "host", "category", "verdict", "rule", "code", "person")
SPANS = {"hour": "Last hour", "today": "Today", "week": "Last 7 days", "month": "Last 30 days"}


async def visits_page(http_request: Request) -> Response:
    """List visits, newest first. The address holds the filters, so that it can be kept and sent."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    query = http_request.query_params
    given = {name: query[name].strip() for name in _FILTERS if query.get(name, "").strip()}
    where, error = _filter(given, admin.now(), admin.zone)
    before = _cursor(query.get("before", ""))
    try:
        found = await questions_of(http_request).answer(
            http_request, lambda: admin.visit_views.query(session, where, before, _ROWS + 1)
        )
    except NamesHiddenError:
        return go_to(f"/visits/names?{urlencode({'next': _address(given)})}")
    except TooLongError as too_long:
        logger.warning("search given up: %s", too_long)
        found = None
    rows, more = (found or [])[:_ROWS], (found or [])[_ROWS:]
    return await page(
        http_request,
        "visits.html",
        503 if found is None else 422 if error else 200,
        seconds=None if found is not None else round(MOST_SECONDS),
        rows=[(row, visit_status(row, admin.policy)) for row in rows],
        given=given,
        address=_address(given),
        chips=[
            (_said(name, value, http_request), _address(_without(given, name)))
            for name, value in given.items()
        ],
        only={name: f"{_address(_without(given, name), open_ended=True)}{name}=" for name in _FILTERS},
        older=_address({**given, "before": str(Cursor(rows[-1].started_at, rows[-1].id))}) if more else None,
        is_live=before is None and error is None and found is not None,
        behind=admin.visits_behind,
        can_correct=has_duty(http_request, roles.reviews),
        spans=SPANS,
        error=error,
        shows_names=session.shows_names_at(admin.now()),
    )


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
    status = visit_status(row, admin.policy)
    return await page(http_request, "why.html", row=row, why=why, status=status)


def _filter(given: Mapping[str, str], now: datetime, zone: ZoneInfo) -> tuple[VisitFilter, str | None]:
    """Return the filter that an address means, and what is wrong with it, if something is."""
    where = VisitFilter(
        person=given.get("person"),
        department=given.get("department"),
        category=given.get("category"),
        rule=given.get("rule"),
        code=given.get("code", "").upper() or None,
        since=_since(given.get("span", ""), now, zone),
    )
    try:
        if given.get("verdict") == Lane.INSPECT:
            where = replace(where, verdict=Verdict.ALLOW, lane=Lane.INSPECT)
        elif "verdict" in given:
            where = replace(where, verdict=Verdict(given["verdict"]))
        if "host" in given:
            where = replace(where, host=canonical_host(given["host"]))
    except HostNameError:
        return where, f"{host(given['host'])!r} is not a site's name. Enter it like library.example"
    except ValueError:
        return (
            where,
            "Choose a decision from the list; nothing else can be looked for",
        )
    return where, None


def _since(span: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    match span:
        case "hour":
            return now - timedelta(hours=1)
        case "today":
            return datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
        case "week":
            return now - timedelta(days=7)
        case "month":
            return now - timedelta(days=30)
        case _:
            return None


def _cursor(text: str) -> Cursor | None:
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        return None


def _said(name: str, value: str, http_request: Request) -> str:
    """Return a filter in words."""
    people = People(admin_of(http_request).policy)
    match name:
        case "span":
            return SPANS.get(value, value)
        case "department":
            return people.department(value)
        case "person":
            return people.name(value)
        case "category":
            category = taxonomy().categories.get(value)
            return category.label if category else value
        case "verdict":
            return DECISIONS.get(value, value)
        case _:
            return host(value)


def _without(given: Mapping[str, str], name: str) -> dict[str, str]:
    return {other: value for other, value in given.items() if other != name}


def _address(given: Mapping[str, str], *, open_ended: bool = False) -> str:
    """Return the page's address; `open_ended` leaves room for one more filter at its end."""
    query = urlencode(given)
    if open_ended:
        return f"/visits?{query}{'&' if query else ''}"
    return f"/visits?{query}" if query else "/visits"
