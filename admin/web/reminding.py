"""The form behind a large download's page: a mail once its limit's hours are over."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.download_reminders import MOST_A_DAY
from admin.web.asking import follow_to
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import known


async def follow(http_request: Request) -> Response:
    """Follow a block page's link "Remind me"."""
    return await follow_to(http_request, "/remind")


async def reminder_page(http_request: Request) -> Response:
    """Offer the mail, or say that it will come, or what to do instead."""
    admin, session = admin_of(http_request), known(http_request)
    reminder = await admin.download_reminders.of(session, http_request.path_params["code"])
    person = admin.policy.people.get(session.person or "")
    return await page(http_request, "remind.html", reminder=reminder, person=person, most_a_day=MOST_A_DAY)


async def ask(http_request: Request, _form: FormData) -> Response:
    """Have the mail be sent then."""
    code = http_request.path_params["code"]
    await admin_of(http_request).download_reminders.ask(known(http_request), code)
    return go_to(f"/remind/{quote(code)}")
