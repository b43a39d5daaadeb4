"""Categories: what a site is listed as, and how the lists stand. For IT."""

import asyncio

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from admin import corrections, roles
from admin.asking import NotAllowedError
from admin.list_updates import Freshness, SourceStanding
from admin.web.page import admin_of, has_duty, page
from admin.web.session_cookie import signed_in
from admin.web.words import Status, Times
from categories.match import CategoryMatch
from policy.correction import Corrections
from policy.web_address import parse_web_address


async def categories_page(http_request: Request) -> Response:
    """Look a site up, and list the sources, those with trouble first."""
    admin = admin_of(http_request)
    signed_in(http_request)
    if not has_duty(http_request, roles.sees_visits):
        raise NotAllowedError("the lists are for those who see visits")
    lists = await admin.site_lists.in_force()
    # The query of an address is nobody's to see, and says nothing.
    asked = http_request.query_params.get("site", "").strip().partition("?")[0]
    host, path, error = _parsed(asked)
    matches: tuple[CategoryMatch, ...] = ()
    if host and lists is not None:
        made = Corrections(await corrections.live(admin.db))
        matches = made.apply(host, lists.lookup(host, path))
    standing = await asyncio.to_thread(admin.lists.standing, lists)
    times = Times(admin.zone, admin.now())
    return await page(
        http_request,
        "categories.html",
        asked=asked,
        looked_up=host,
        error=error,
        matches=matches,
        dates={source.name: source.good_at for source in standing},
        sources=[(source, source_status(source, times)) for source in standing],
        lists=lists,
        is_running=await asyncio.to_thread(admin.lists.is_running),
        is_held=await asyncio.to_thread(admin.lists.is_held),
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


def _parsed(asked: str) -> tuple[str, str | None, str]:
    """Return host, path and what is wrong with what was asked for."""
    if not asked:
        return "", None, ""
    try:
        address = parse_web_address(asked)
    except ValueError:
        return "", None, "Enter a site, like cardroom.example"
    return address.host, address.path, ""
