"""Settings: whether mail, the webhook and town accounts work; a test of each. For IT security.

They are changed in settings.yaml; secrets are never shown.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import assert_never

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from admin.clock import from_ms
from admin.correspondence import Proof, waiting
from admin.outbox import Channel
from admin.town_account import TownAccount
from admin.web.page import admin_of, go_to, page
from admin.web.session_cookie import signed_in
from admin.web.words import Status


async def settings_page(http_request: Request) -> Response:
    """Show how each channel stands, what came of its last test, and what was not delivered."""
    admin = admin_of(http_request)
    correspondence = admin.correspondence
    failed = await correspondence.failed(signed_in(http_request))
    settings = admin.settings.settings
    mail, webhook = settings.mail, settings.webhook
    problem = {channel: correspondence.problem(channel) for channel in Channel}
    tested = {channel: correspondence.tested(channel) for channel in Channel}
    depths = {channel: await correspondence.depth(channel) for channel in Channel}
    return await page(
        http_request,
        "settings.html",
        problems=admin.settings.problems,
        document=admin.state.settings_document,
        mail=mail,
        webhook=webhook,
        Channel=Channel,
        depths=depths,
        waiting={channel: waiting(depths[channel], channel) for channel in Channel},
        status={channel: _status(await correspondence.proof(channel)) for channel in Channel},
        problem=problem,
        tested=tested,
        password_changed_at=await _changed_at(mail.password_file if mail else None),
        secret_changed_at=await _changed_at(webhook.secret_file if webhook else None),
        failed=failed,
        town_account=settings.openid_connect,
        redirect_uri=admin.town_account.redirect_uri,
        looked=admin.town_account.looked,
        town_account_status=_town_account_status(admin.town_account),
        client_secret_changed_at=await _changed_at(
            settings.openid_connect.client_secret_file if settings.openid_connect else None
        ),
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


def _status(proof: Proof) -> Status:
    match proof:
        case Proof.NOT_SET:
            return Status("off", "Not set")
        case Proof.FAILED:
            return Status("warn", "Does not work")
        case Proof.WORKED:
            return Status("ok", "Works")
        case Proof.UNTRIED:
            return Status("wait", "Nothing sent yet")
        case Proof.CHANGED:
            return Status("wait", "Not tested since it was changed")
        case _:
            assert_never(proof)


def _town_account_status(town_account: TownAccount) -> Status:
    looked = town_account.looked
    if not town_account.is_set:
        return Status("off", "Not set")
    if looked is None:
        return Status("wait", "Not tested")
    return Status("ok", "Works") if looked.problem is None else Status("warn", "Does not work")


async def _changed_at(path: Path | None) -> datetime | None:
    try:
        found = await asyncio.to_thread(path.stat) if path is not None else None
    except OSError:
        return None
    return from_ms(found.st_mtime_ns // 1_000_000) if found else None
