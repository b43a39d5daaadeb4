"""The visit log for IT: filters in the address, names behind a reason, and why."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import roles, why_words
from admin.overview import Hour
from admin.replaying import explain
from admin.visit_log.counting import is_counted
from admin.visit_log.searching import MOST_LEFT_OUT, Cursor, LeftOut, VisitFilter
from admin.visits import NamesHiddenError
from admin.web.long_questions import MOST_SECONDS, TooLongError
from admin.web.page import admin_of, go_to, has_duty, page, questions_of
from admin.web.people import People
from admin.web.session_cookie import signed_in
from admin.web.words import DECISIONS, Times, host, visit_status
from categories.host_name import HostNameError, canonical_host
from categories.taxonomy import taxonomy
from policy.decision import Lane, Verdict

logger = logging.getLogger(__name__)

_ROWS = 50
_FIRST_YEAR, _LAST_YEAR = 2000, 2099
# In an address, values that are left out are separated by commas: not_host=a.example,b.example
_LEAVE_OUT = ("host", "department", "category", "rule")
_FILTERS = (
    *("span", "since", "until", "department", "host", "category", "verdict", "rule", "code", "person"),
    *(f"not_{name}" for name in _LEAVE_OUT),
)
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
    hours = None
    if found is not None and error is None and before is None and "hx-request" not in http_request.headers:
        hours = await _hours(http_request, where)
    return await page(
        http_request,
        "visits.html",
        503 if found is None else 422 if error else 200,
        seconds=None if found is not None else round(MOST_SECONDS),
        rows=[(row, visit_status(row, admin.policy)) for row in rows],
        hours=hours,
        counted_address=None if hours is not None else f"{_address(given, open_ended=True)}count=hours",
        given=given,
        local={name: _local(given.get(name, ""), admin.zone) for name in ("since", "until")},
        address=_address(given),
        chips=_chips(given, http_request),
        only={name: f"{_address(_without(given, name), open_ended=True)}{name}=" for name in _FILTERS},
        leave_out={name: _and_not(given, name) for name in _LEAVE_OUT},
        only_hour=_address(_without(given, "span", "since", "until"), open_ended=True),
        older=_address({**given, "before": str(Cursor(rows[-1].started_at, rows[-1].id))}) if more else None,
        is_live=before is None and error is None and found is not None,
        behind=admin.visits_behind,
        can_correct=has_duty(http_request, roles.reviews),
        spans=SPANS,
        error=error,
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
    kinds = {name: _values(given, name) for name in _LEAVE_OUT}
    if any(len(values) > MOST_LEFT_OUT for values in kinds.values()):
        return where, f"Leave out {MOST_LEFT_OUT} at most; choose what to show instead"
    try:
        hosts = tuple(canonical_host(one) for one in kinds["host"])
    except HostNameError:
        return where, "What is left out is not a site's name. Remove it, and enter one like library.example"
    left_out = LeftOut(hosts, kinds["department"], kinds["category"], kinds["rule"])
    where = replace(where, left_out=left_out)
    try:
        if "since" in given:
            since = _instant(given["since"], zone)
            where = replace(where, since=since if where.since is None else max(since, where.since))
        if "until" in given:
            where = replace(where, until=_instant(given["until"], zone))
    except ValueError:
        return where, "A time is written like 2026-03-02 10:00"
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


def _values(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the values of a kind that an address leaves out."""
    parts = given.get(f"not_{name}", "").split(",")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _and_not(given: Mapping[str, str], name: str) -> str:
    """Return the page's address with room at its end for one more value to leave out."""
    left_out = "".join(f"{value}," for value in _values(given, name))
    return f"{_address(_without(given, f'not_{name}'), open_ended=True)}not_{name}={quote(left_out)}"


def _chips(given: Mapping[str, str], http_request: Request) -> list[tuple[str, str]]:
    """Return each filter in words, and the address without it."""
    chips = []
    for name, value in given.items():
        kind = name.removeprefix("not_")
        if kind == name:
            chips.append((_said(name, value, http_request), _address(_without(given, name))))
            continue
        values = _values(given, kind)
        for one in values:
            others = ",".join(other for other in values if other != one)
            rest = {**given, name: others} if others else _without(given, name)
            chips.append((f"Not {_said(kind, one, http_request)}", _address(rest)))
    return chips


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


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """Read a time of an address: the town's, unless it says which zone. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueError(f"{text!r} is no time of the visit log")
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)


def _local(text: str, zone: ZoneInfo) -> str:
    """Return a time of an address as a form has it, by the town's clock; "" for what is none."""
    try:
        return f"{_instant(text, zone).astimezone(zone):%Y-%m-%dT%H:%M}"
    except ValueError:
        return ""


def _cursor(text: str) -> Cursor | None:
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        return None


def _said(name: str, value: str, http_request: Request) -> str:
    """Return a filter in words."""
    admin = admin_of(http_request)
    people = People(admin.policy)
    match name:
        case "since" | "until" if _local(value, admin.zone):
            moment = Times(admin.zone, admin.now()).moment(_instant(value, admin.zone))
            return ("From " if name == "since" else "Until ") + moment
        case "span" | "verdict":
            return {**SPANS, **DECISIONS}.get(value, host(value))
        case "department":
            return people.department(value)
        case "person":
            return people.name(value)
        case "category":
            category = taxonomy().categories.get(value)
            return category.label if category else value
        case _:
            return host(value)


def _without(given: Mapping[str, str], *names: str) -> dict[str, str]:
    return {other: value for other, value in given.items() if other not in names}


def _address(given: Mapping[str, str], *, open_ended: bool = False) -> str:
    """Return the page's address; `open_ended` leaves room for one more filter at its end."""
    query = urlencode(given)
    if open_ended:
        return f"/visits?{query}{'&' if query else ''}"
    return f"/visits?{query}" if query else "/visits"
