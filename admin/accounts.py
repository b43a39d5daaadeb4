"""Local accounts: passwords and signing in with them."""

from datetime import datetime
from typing import Literal

from admin.database import Database
from admin.sessions import Opened, Session

type AccountKind = Literal["admin", "proxy"]


class PasswordError(ValueError):
    """A password is not acceptable; the one before stays."""


class SignInError(Exception):
    """Name or password are not right; which of the two is not said."""


class TooManyTriesError(SignInError):
    """Signing in under this name is refused until `until` (aware UTC), right password or not."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"too many tries; again at {until.isoformat()}")
        self.until = until


async def set_password(
    db: Database, person: str, password: str, kind: AccountKind, *, actor: str, now: datetime
) -> None:
    """Set a person's password for the admin site or the proxy; their sessions of the admin site end.

    Raises PasswordError when it is shorter than 8 or longer than 256 characters.
    """
    raise NotImplementedError


async def sign_in(
    db: Database, person: str, password: str, now: datetime, previous: Session | None = None
) -> Opened:
    """Check a name and password; open a session with a new token.

    Raises SignInError when they are not right, in equal time for names nobody has, and
    TooManyTriesError after 5 wrong tries within 15 minutes.
    """
    raise NotImplementedError
