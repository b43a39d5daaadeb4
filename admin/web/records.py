"""Records: the audit log by time, role and kind; whether it is whole."""

from datetime import datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.acting_roles import ROLES
from admin.records import KINDS, RecordFilter
from admin.web.page import admin_of, go_to, page
from admin.web.people import People
from admin.web.record_facts import facts
from admin.web.record_words import KIND_LABELS, ROLE_LABELS, WHAT, about, said
from admin.web.session_cookie import signed_in
from admin.web.words import Times

_ROWS = 50
_SPANS = {"today": "Today", "week": "Last 7 days", "month": "Last 30 days", "year": "Last 12 months"}
_DAYS = {"week": 7, "month": 30, "year": 365}


async def records_page(http_request: Request) -> Response:
    """List events, newest first; filters are in the address, what no filter knows is passed over."""
    admin, session = admin_of(http_request), signed_in(http_request)
    query = http_request.query_params
    valid = {"span": _SPANS, "role": ROLES, "kinds": KINDS}
    given = {name: query[name] for name, values in valid.items() if query.get(name) in values}
    where = RecordFilter(
        _since(given.get("span"), admin.now(), admin.zone), given.get("role"), given.get("kinds")
    )
    older_than = query.get("before", "")
    before = (
        int(older_than) if older_than.isascii() and older_than.isdecimal() and len(older_than) < 16 else None
    )
    found = await admin.records.find(session, where, before, _ROWS + 1)
    rows, more = found[:_ROWS], found[_ROWS:]
    people, times = People(admin.policy), Times(admin.zone, admin.now())
    return await page(
        http_request,
        "records.html",
        rows=[
            (
                row,
                WHAT[row.kind],
                said(row.who, people),
                about(row, people),
                facts(row.details, people, times),
            )
            for row in rows
        ],
        given=given,
        spans=_SPANS,
        role_labels={role: ROLE_LABELS[role] for role in ROLES},
        kind_labels=KIND_LABELS,
        older=f"/records?{urlencode({**given, 'before': rows[-1].id})}" if more else None,
        verified=admin.records.verified(session),
        call=ROLE_LABELS[admin.records.whom_to_call(session)],
    )


async def verify(http_request: Request, _form: FormData) -> Response:
    """Verify the log; the page says what came of it."""
    await admin_of(http_request).records.verify(signed_in(http_request))
    return go_to("/records#verified")


def _since(span: str | None, now: datetime, zone: ZoneInfo) -> datetime | None:
    if span == "today":
        return datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
    return now - timedelta(days=_DAYS[span]) if span in _DAYS else None
