"""Heavy now: who loads much, from where, what it takes of the line, and a draft of a limit. For IT."""

import contextlib
import functools

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.heavy import DAYS
from admin.web.page import admin_of, go_to, has_duty, page, questions_of
from admin.web.session_cookie import field, signed_in
from categories.host_name import HostNameError, canonical_host


async def heavy_page(http_request: Request) -> Response:
    """Show what is heavy now; or what was today, or this week."""
    admin, session = admin_of(http_request), signed_in(http_request)
    span = http_request.query_params.get("span", "")
    days = DAYS.get(span, 0)
    ask = functools.partial(admin.heavy.since, session, days)
    since = await questions_of(http_request).answer(http_request, ask) if days else None
    return await page(
        http_request,
        "heavy.html",
        span=span if days else "",
        heavy=await admin.heavy.now(session),
        since=since,
        can_end=has_duty(http_request, roles.runs_towngate),
        shows_names=session.shows_names_at(admin.now()),
    )


async def end(http_request: Request, form: FormData) -> Response:
    """End an open visit."""
    # What has ended by itself meanwhile is on the page no more.
    with contextlib.suppress(LookupError):
        await admin_of(http_request).heavy.end(signed_in(http_request), field(form, "code"))
    return go_to("/heavy")


async def draft_page(http_request: Request) -> Response:
    """Show a limit for a host, as text for the policy."""
    admin, session = admin_of(http_request), signed_in(http_request)
    await admin.heavy.now(session)
    try:
        host = canonical_host(http_request.query_params.get("host", ""))
    except HostNameError as error:
        raise HTTPException(404) from error
    taken = {rule.id for rule in admin.policy.rules} | {limit.id for limit in admin.policy.limits}
    name = f"large-from-{host.strip('[]').replace(':', '-')}"[:58]
    id_ = next(one for one in (name, *(f"{name}-{n}" for n in range(2, 1000))) if one not in taken)
    schedules = admin.policy.schedules.items()
    when = next((name for name, schedule in schedules if schedule.holds_at(admin.now(), admin.zone)), None)
    return await page(http_request, "heavy_draft.html", host=host, id=id_, when=when)
