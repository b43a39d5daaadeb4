"""Today: is all well, and what happened since midnight. For IT."""

from starlette.requests import Request
from starlette.responses import Response

from admin.today import today
from admin.web.page import admin_of, page
from admin.web.session_cookie import signed_in


async def today_page(http_request: Request) -> Response:
    """Show problems first, then numbers that lead to what they count."""
    found = await today(admin_of(http_request), signed_in(http_request))
    return await page(
        http_request,
        "today.html",
        is_well=found.is_well,
        troubles=found.troubles,
        lacks_mail=found.lacks_mail,
        behind=found.behind,
        problems=found.problems,
        numbers=found.numbers,
        lists=found.lists,
        sources=found.sources,
        authority=found.authority,
        line_in_use=found.line_in_use,
        log_size=found.log_size,
        kept_size=found.kept_size,
    )
