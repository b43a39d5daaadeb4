"""Categories: what a site is listed as, and how the lists stand. For IT."""

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.list_updates import Freshness, SourceStanding
from admin.list_views import lists_standing, look_up
from admin.web.page import admin_of, has_duty, page
from admin.web.session_cookie import signed_in
from admin.web.words import Status, Times
from categories.match import CategoryMatch
from policy.web_address import WebAddress, parse_web_address


async def categories_page(http_request: Request) -> Response:
    """Look a site up, and list the sources, those with trouble first."""
    admin, session = admin_of(http_request), signed_in(http_request)
    lists = await lists_standing(admin, session)
    # The query of an address is nobody's to see, and says nothing.
    asked = http_request.query_params.get("site", "").strip().partition("?")[0]
    address, error = _parsed(asked)
    matches: tuple[CategoryMatch, ...] = ()
    if address is not None and lists.in_force is not None:
        matches = await look_up(admin, session, address)
    times = Times(admin.zone, admin.now())
    return await page(
        http_request,
        "categories.html",
        asked=asked,
        looked_up=address.host if address else "",
        error=error,
        matches=matches,
        dates={source.name: source.good_at for source in lists.sources},
        sources=[(source, source_status(source, times)) for source in lists.sources],
        lists=lists.in_force,
        is_running=lists.is_running,
        is_held=lists.is_held,
        can_correct=has_duty(http_request, roles.reviews),
        sees_why=has_duty(http_request, roles.runs_towngate),
    )


def source_status(source: SourceStanding, times: Times) -> Status:
    """Return how a source stands, as a tag."""
    match source.freshness:
        case Freshness.FRESH:
            return Status("ok", "Fresh")
        case Freshness.OLD:
            return Status("warn", Markup("Old since {}").format(times.day(source.old_since or times.now)))
        case Freshness.REFUSED:
            return _refused(source)
        case Freshness.NEVER:
            return _refused(source) if source.refused else Status("wait", "On its way")


def _refused(source: SourceStanding) -> Status:
    return Status("warn", "Refused" if source.was_fetched else "Not fetched")


def _parsed(asked: str) -> tuple[WebAddress | None, str]:
    """Return the address that was asked for, and what is wrong with it."""
    if not asked:
        return None, ""
    try:
        return parse_web_address(asked), ""
    except ValueError:
        return None, "Enter a site, like cardroom.example"
