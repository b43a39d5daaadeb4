"""Exemptions: what is open, for whom and until when."""

from starlette.requests import Request
from starlette.responses import Response

from admin.asking import may_stop
from admin.web.page import admin_of, page, status_of
from admin.web.session_cookie import person_of, signed_in


async def exemptions_page(http_request: Request) -> Response:
    """List access in force, ending soonest first."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    rows = [
        (request, status_of(http_request, request), may_stop(admin.policy, request, person_of(session)))
        for request in await admin.granted(session)
    ]
    return await page(http_request, "exemptions.html", rows=rows)
