"""Exemptions: what is open, for whom and until when."""

from starlette.requests import Request
from starlette.responses import Response

from admin.web.page import admin_of, page
from admin.web.session_cookie import signed_in


async def exemptions_page(http_request: Request) -> Response:
    """List access in force, ending soonest first."""
    granted = await admin_of(http_request).granted(signed_in(http_request))
    return await page(http_request, "exemptions.html", granted=granted)
