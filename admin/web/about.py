"""Pages for everyone: the rules in plain words, and what is recorded."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.pac import MEDIA_TYPE, pac_file
from admin.sessions import NAMES_SHOWN_FOR
from admin.web.page import admin_of, has_duty, page
from admin.web.session_cookie import session_of


async def policy_page(http_request: Request) -> Response:
    """Show the running policy's rules; to those who see visits also why a newer document is not in force."""
    admin = admin_of(http_request)
    person = admin.notice.signer(session_of(http_request))
    is_asked = admin.policy.notice is not None and person is not None
    return await page(
        http_request,
        "policy.html",
        problems=admin.policy_problems if has_duty(http_request, roles.sees_visits) else (),
        receipt=(await admin.notice.standing(person)).receipt if is_asked and person is not None else None,
        is_signer_known=person is not None,
    )


async def recorded_page(http_request: Request) -> Response:
    """Say what is recorded, who may look and whom to ask. Needs no sign-in."""
    policy = admin_of(http_request).policy
    return await page(
        http_request,
        "recorded.html",
        names_shown_for=NAMES_SHOWN_FOR,
        may_look=roles.seeing_visits(policy),
        may_show_names=roles.showing_names(policy),
    )


async def proxy_pac(http_request: Request) -> Response:
    """Give any workstation the file that tells its browser which proxy to use."""
    settings = admin_of(http_request).settings.settings.pac
    if settings is None:
        raise HTTPException(404)
    return Response(pac_file(settings), media_type=MEDIA_TYPE)
