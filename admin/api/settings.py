"""Whether mail, the webhook and town accounts work, and a test of each. For IT security."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from admin.api.operation import Call, Listed, Nothing
from admin.correspondence import Proof
from admin.outbox import Channel, FailedLetter, LetterKind
from admin.settings_standing import ChannelStanding, SettingsStanding, settings_standing


class Mail(BaseModel):
    """The server that takes the town's mail. Its password is told to nobody."""

    server: str
    port: int
    is_encrypted: bool = Field(description="Whether nothing is sent without TLS.")
    sender: str
    user: str | None


class ChannelState(BaseModel):
    """How mail or the webhook stands, as it is set now."""

    state: Proof
    problem: str | None = Field(description="Why it takes nothing now; it is tried again by itself.")
    tested_at: datetime | None = Field(description="When it was tested last, as it is set now.")
    tested_to: str | None = Field(description="To which address, or host.")
    test_problem: str | None = Field(description="Why that test did not arrive; null where it did.")
    last_sent_at: datetime | None
    waiting: int
    oldest_waits_since: datetime | None
    undelivered: int = Field(description="In the last 7 days.")
    secret_changed_at: datetime | None = Field(description="Of the file of its password or secret.")

    @classmethod
    def of(cls, stands: ChannelStanding) -> Self:
        """Return it as programs read it."""
        tested, depth = stands.tested, stands.depth
        return cls(
            state=stands.proof,
            problem=stands.problem,
            tested_at=tested.at if tested else None,
            tested_to=tested.to if tested else None,
            test_problem=tested.problem if tested else None,
            last_sent_at=depth.last_sent_at,
            waiting=depth.waiting,
            oldest_waits_since=depth.oldest_at,
            undelivered=depth.failed,
            secret_changed_at=stands.secret_changed_at,
        )


class TownAccounts(BaseModel):
    """How signing in by the town's OpenID Connect provider stands."""

    state: Proof
    issuer: str | None
    client_id: str | None
    redirect_uri: str = Field(description="Where the provider sends people back to.")
    tested_at: datetime | None
    keys: int | None = Field(description="How many keys to check sign-ins it showed then.")
    test_problem: str | None
    secret_changed_at: datetime | None


class Undelivered(BaseModel):
    """A letter that was not delivered, and why."""

    id: int
    channel: Channel
    kind: LetterKind
    to: str = Field(description="A person's id, or `help_desk`.")
    about: str = Field(description='What it is about, like "REQ-123".')
    failed_at: datetime
    problem: str

    @classmethod
    def of(cls, letter: FailedLetter) -> Self:
        """Return it as programs read it."""
        return cls(
            id=letter.id,
            channel=letter.channel,
            kind=letter.kind,
            to=letter.to,
            about=letter.about,
            failed_at=letter.failed_at,
            problem=letter.problem,
        )


class SettingsState(BaseModel):
    """What settings.yaml has in force, and how each part of it stands."""

    problems: list[str] = Field(
        description="What is wrong with settings.yaml as it is now; the running settings stay."
    )
    mail_server: Mail | None
    mail: ChannelState
    webhook_address: str | None = Field(description="Without what follows the question mark.")
    webhook: ChannelState
    town_accounts: TownAccounts


async def read_settings(call: Call[Nothing, Nothing]) -> SettingsState:
    """Say how mail, the webhook to the help desk and town accounts stand; secrets are never shown."""
    found = await settings_standing(call.admin, call.session)
    mail, webhook = found.settings.mail, found.settings.webhook
    return SettingsState(
        problems=list(found.problems),
        mail_server=Mail(
            server=mail.host,
            port=mail.port,
            is_encrypted=mail.is_encrypted,
            sender=str(mail.sender),
            user=mail.user,
        )
        if mail
        else None,
        mail=ChannelState.of(found.channels[Channel.MAIL]),
        webhook_address=webhook.url.partition("?")[0] if webhook else None,
        webhook=ChannelState.of(found.channels[Channel.WEBHOOK]),
        town_accounts=_town_accounts(call, found),
    )


async def test_channel(call: Call[Nothing, Nothing]) -> ChannelState:
    """Try `mail` or `webhook` out, the way that letters go: a mail to you, or a post to the help desk.

    It is answered 200 also where nothing arrived: `test_problem` says why.
    """
    try:
        channel = Channel(call.path["channel"])
    except ValueError as error:
        raise HTTPException(404) from error
    await call.admin.correspondence.test(call.session, channel)
    found = await settings_standing(call.admin, call.session)
    return ChannelState.of(found.channels[channel])


async def test_town_account(call: Call[Nothing, Nothing]) -> TownAccounts:
    """Ask the town's provider what it says of itself.

    It is answered 200 also where that went wrong: `test_problem` says why.
    """
    await call.admin.town_account.look(call.session)
    return _town_accounts(call, await settings_standing(call.admin, call.session))


async def list_undelivered(call: Call[Nothing, Nothing]) -> Listed[Undelivered]:
    """List the letters that were not delivered in the last 7 days, newest first."""
    found = await call.admin.correspondence.failed(call.session)
    return Listed[Undelivered](items=[Undelivered.of(letter) for letter in found])


async def send_again(call: Call[Nothing, Nothing]) -> Listed[Undelivered]:
    """Let a letter that was not delivered wait for its turn again; those that are left are listed."""
    await call.admin.correspondence.send_again(call.session, call.id)
    return await list_undelivered(call)


def _town_accounts(call: Call[Any, Any], found: SettingsStanding) -> TownAccounts:
    stands, provider = found.town_account, found.settings.openid_connect
    looked = stands.looked
    return TownAccounts(
        state=stands.proof,
        issuer=provider.issuer if provider else None,
        client_id=provider.client_id if provider else None,
        redirect_uri=call.admin.town_account.redirect_uri,
        tested_at=looked.at if looked else None,
        keys=looked.keys if looked else None,
        test_problem=looked.problem if looked else None,
        secret_changed_at=stands.secret_changed_at,
    )
