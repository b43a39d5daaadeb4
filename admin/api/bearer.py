"""Who uses the API: whose token it is, what it is for, and how often it is used."""

import re
from datetime import datetime, timedelta

from starlette.requests import Request

from admin.admin_process import AdminProcess
from admin.api_tokens import PREFIX, ApiToken, Scope, TokenRefusedError
from admin.sessions import Session

# Of one token: two calls a second for as long as it likes, and so many at once.
MOST_AT_ONCE = 120
AGAIN_EVERY = timedelta(seconds=0.5)

_HEADER = re.compile(rf"bearer +({PREFIX}[A-Za-z0-9_-]{{43}})", re.IGNORECASE)


class WrongScopeError(PermissionError):
    """The token is not for this; recorded, nothing changed."""


class TooManyCallsError(Exception):
    """The token was used too often: again in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many calls; again in {seconds} s")
        self.seconds = seconds


class CallLimit:
    """How often each token may be used: a bucket of calls that fills up again."""

    def __init__(self) -> None:
        self._full_at: dict[int, datetime] = {}

    def count(self, token: ApiToken, at: datetime) -> None:
        """Count a call. Raises TooManyCallsError, and the call does not count."""
        full_at = max(self._full_at.get(token.id, at), at) + AGAIN_EVERY
        over = full_at - at - MOST_AT_ONCE * AGAIN_EVERY
        if over > timedelta(0):
            raise TooManyCallsError(-(-over // timedelta(seconds=1)))
        # What is full again is as good as new.
        self._full_at = {id_: full for id_, full in self._full_at.items() if full > at} | {token.id: full_at}


async def whose(
    http_request: Request, admin: AdminProcess, limit: CallLimit, scope: Scope | None
) -> tuple[ApiToken, Session]:
    """Return the token that comes with an http_request, and the session that it holds.

    Raises TokenRefusedError, TooManyCallsError, WrongScopeError.
    """
    header = http_request.headers.get("authorization")
    if header is None:
        raise TokenRefusedError("Send one of your tokens, as Authorization: Bearer. Make one at /tokens")
    found = _HEADER.fullmatch(header)
    if found is None:
        raise TokenRefusedError(f"Send a token that begins with {PREFIX}, as Authorization: Bearer")
    token, session = await admin.api_tokens.use(found[1])
    limit.count(token, admin.now())
    if scope is not None and scope not in token.scopes:
        await admin.api_tokens.refuse_scope(token, scope)
        raise WrongScopeError(f"{token.name} has not the scope {scope.value}")
    return token, session
