"""The weekly report as a page: what the mail says, in full, of this week so far or of one before."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.web import report_words
from admin.web.page import admin_of, page
from admin.web.people import People
from admin.web.session_cookie import signed_in
from admin.week import Week


async def weekly_page(http_request: Request) -> Response:
    """Show the report on a department (`of`; empty: the town) and the week of a Monday (`week`)."""
    admin, query = admin_of(http_request), http_request.query_params
    session = signed_in(http_request)
    try:
        week = Week.parse(query["week"]) if "week" in query else None
        shown = await admin.weekly_reports.shown(session, query.get("of"), week)
    except (ValueError, LookupError) as error:
        raise HTTPException(404) from error
    people = People(admin.policy)
    return await page(
        http_request,
        "weekly.html",
        shown=shown,
        report=shown.report,
        title=report_words.title(shown.report, people, admin.now().astimezone(admin.zone).date()),
        lists=report_words.lists(shown.report, people),
        report_words=report_words,
    )
