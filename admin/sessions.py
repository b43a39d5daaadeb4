"""Sessions of the admin site, kept on the server: the browser has a random token, we its digest.

Two levels: SIGNED_IN knows a person by password. DEVICE was made by following an Ask link and
knows the person by the device: it may send what that link asked for and see the requests sent
from this browser; it never decides.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from admin.database import Database, Transaction
from policy.ask_token import AskToken

SIGNED_IN_LIFETIME = timedelta(hours=12)
SIGNED_IN_IDLE = timedelta(hours=2)
DEVICE_LIFETIME = timedelta(days=30)


class Level(StrEnum):
    """How far a session is trusted."""

    SIGNED_IN = "signed_in"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Session:
    """`person` is None only at a shared device: who sits there must sign in to ask.

    `browser` names the browser and outlives a sign-in in it. `csrf_token` goes into every form.
    `names_until` is until when names are shown in the visit log, None when they are hidden.
    """

    id: int
    level: Level
    person: str | None
    device: str | None
    browser: str
    csrf_token: str
    opened_at: datetime
    ends_at: datetime
    names_until: datetime | None = None

    @property
    def is_signed_in(self) -> bool:
        """Whether a password proved who this is."""
        return self.level is Level.SIGNED_IN

    def shows_names_at(self, at: datetime) -> bool:
        """Whether a reason was given for seeing names, not over 30 minutes before `at`."""
        return self.names_until is not None and at < self.names_until


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the token to set as the browser's cookie; None when it keeps the one it has."""

    session: Session
    token: str | None


async def open_signed_in(t: Transaction, person: str, now: datetime, previous: Session | None) -> Opened:
    """Open a session with a new token; `previous` ends, its browser and followed links carry over."""
    raise NotImplementedError


async def follow_ask(db: Database, ask: AskToken, now: datetime, current: Session | None) -> Opened:
    """Remember an Ask link that was followed, so that its form may be sent later than 15 minutes.

    A signed-in session, or one of the same person and device, goes on; else one of level DEVICE opens.
    """
    raise NotImplementedError


async def followed_ask(db: Database, session: Session, code: str) -> AskToken | None:
    """Return what an Ask link that this session followed said, None when it did not follow it."""
    raise NotImplementedError


async def session_of(db: Database, token: str, now: datetime) -> Session | None:
    """Return the session of a cookie's token; None when it is unknown, ended or idle too long."""
    raise NotImplementedError


async def end(db: Database, session: Session, now: datetime) -> None:
    """Sign out: the token opens nothing any more."""
    raise NotImplementedError
