"""Who uses the API: whose token it is, what it is for, and how often it is used."""

import re

from starlette.requests import Request

from admin.admin_process import AdminProcess
from admin.api_tokens import PREFIX, ApiToken, Scope, TokenRefusedError
from admin.call_limit import CallLimit
from admin.sessions import Session

_HEADER = re.compile(rf"bearer +({PREFIX}[A-Za-z0-9_-]{{43}})", re.IGNORECASE)


class WrongScopeError(Exception):
    """The token is not for this; recorded, nothing changed."""


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
    limit.count(token.id, admin.now())
    if scope is not None and scope not in token.scopes:
        await admin.api_tokens.refuse_scope(token, scope)
        raise WrongScopeError(f"{token.name} has not the scope {scope.value}")
    return token, session
