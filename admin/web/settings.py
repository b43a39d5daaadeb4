"""Settings: whether mail, the webhook and town accounts work; a test of each. For IT security.

They are changed in settings.yaml; secrets are never shown.
"""

from typing import assert_never

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.correspondence import Proof, waiting
from admin.outbox import Channel
from admin.settings_standing import settings_standing
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import signed_in
from admin.web.words import Status


async def settings_page(http_request: Request) -> Response:
    """Show how each channel stands, what came of its last test, and what was not delivered."""
    admin = admin_of(http_request)
    found = await settings_standing(admin, signed_in(http_request))
    channels, town_account = found.channels, found.town_account
    return await page(
        http_request,
        "settings.html",
        problems=found.problems,
        document=admin.state.settings_document,
        mail=found.settings.mail,
        webhook=found.settings.webhook,
        Channel=Channel,
        depths={channel: one.depth for channel, one in channels.items()},
        waiting={channel: waiting(one.depth, channel) for channel, one in channels.items()},
        status={channel: _status(one.proof) for channel, one in channels.items()},
        problem={channel: one.problem for channel, one in channels.items()},
        tested={channel: one.tested for channel, one in channels.items()},
        password_changed_at=channels[Channel.MAIL].secret_changed_at,
        secret_changed_at=channels[Channel.WEBHOOK].secret_changed_at,
        failed=found.failed,
        town_account=found.settings.openid_connect,
        redirect_uri=admin.town_account.redirect_uri,
        looked=town_account.looked,
        town_account_status=_status(town_account.proof, untried="Not tested"),
        client_secret_changed_at=town_account.secret_changed_at,
    )


async def test(http_request: Request, _form: FormData) -> Response:
    """Try a channel out; the page says what came of it."""
    try:
        channel = Channel(http_request.path_params["channel"])
    except ValueError as error:
        raise HTTPException(404) from error
    await admin_of(http_request).correspondence.test(signed_in(http_request), channel)
    return go_to(f"/settings#{channel.value}")


async def test_town_account(http_request: Request, _form: FormData) -> Response:
    """Ask the provider what it says of itself; the page says what came of it."""
    await admin_of(http_request).town_account.look(signed_in(http_request))
    return go_to("/settings#town-account")


async def send_again(http_request: Request, _form: FormData) -> Response:
    """Let a letter that was not delivered wait for its turn again."""
    correspondence = admin_of(http_request).correspondence
    await correspondence.send_again(signed_in(http_request), http_request.path_params["id"])
    return go_to("/settings")


def _status(proof: Proof, *, untried: str = "Nothing sent yet") -> Status:
    match proof:
        case Proof.NOT_SET:
            return Status("off", "Not set")
        case Proof.FAILED:
            return Status("warn", "Does not work")
        case Proof.WORKED:
            return Status("ok", "Works")
        case Proof.UNTRIED:
            return Status("wait", untried)
        case Proof.CHANGED:
            return Status("wait", "Not tested since it was changed")
        case _:
            assert_never(proof)
