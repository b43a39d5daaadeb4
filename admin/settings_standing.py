"""How the settings stand: mail, the webhook, town accounts, and what was not delivered. For IT security."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from admin.admin_process import AdminProcess
from admin.clock import from_ms
from admin.correspondence import Proof, Tested
from admin.outbox import Channel, Depth, FailedLetter
from admin.sessions import Session
from admin.settings import Settings
from admin.town_account import Looked, TownAccount


@dataclass(frozen=True, slots=True)
class ChannelStanding:
    """A channel as it is set now: `problem` is why it takes nothing, None while it does or is not set.

    `tested` is what came of the last test, `secret_changed_at` (aware UTC) when the file of its password or
    secret was written; None where there is none.
    """

    proof: Proof
    problem: str | None
    tested: Tested | None
    depth: Depth
    secret_changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TownAccountStanding:
    """The same of signing in by the town's provider; `looked` is what came of the last look at it."""

    proof: Proof
    looked: Looked | None
    secret_changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class SettingsStanding:
    """What is in force, how each part of it stands, and what is wrong with settings.yaml as it is now.

    `failed` was not delivered in the last 7 days, newest first.
    """

    settings: Settings
    problems: Sequence[str]
    channels: Mapping[Channel, ChannelStanding]
    town_account: TownAccountStanding
    failed: Sequence[FailedLetter]


async def settings_standing(admin: AdminProcess, session: Session) -> SettingsStanding:
    """Say how everything stands. Raises NotAllowedError but for IT security."""
    failed = await admin.correspondence.failed(session)
    settings = admin.settings.settings
    mail, webhook, provider = settings.mail, settings.webhook, settings.openid_connect
    secrets = {
        Channel.MAIL: mail.password_file if mail else None,
        Channel.WEBHOOK: webhook.secret_file if webhook else None,
    }
    return SettingsStanding(
        settings,
        admin.settings.problems,
        {channel: await _channel(admin, channel, secrets[channel]) for channel in Channel},
        TownAccountStanding(
            _town_account_proof(admin.town_account),
            admin.town_account.looked,
            await _changed_at(provider.client_secret_file if provider else None),
        ),
        failed,
    )


async def _channel(admin: AdminProcess, channel: Channel, secret: Path | None) -> ChannelStanding:
    correspondence = admin.correspondence
    return ChannelStanding(
        await correspondence.proof(channel),
        correspondence.problem(channel),
        correspondence.tested(channel),
        await correspondence.depth(channel),
        await _changed_at(secret),
    )


def _town_account_proof(town_account: TownAccount) -> Proof:
    looked = town_account.looked
    if not town_account.is_set:
        return Proof.NOT_SET
    if looked is None:
        return Proof.UNTRIED
    return Proof.WORKED if looked.problem is None else Proof.FAILED


async def _changed_at(path: Path | None) -> datetime | None:
    try:
        found = await asyncio.to_thread(path.stat) if path is not None else None
    except OSError:
        return None
    return from_ms(found.st_mtime_ns // 1_000_000) if found else None
