"""The code behind a warning's Continue button, without which no other site can press it.

It is good for one client and one host, for a quarter of an hour. The time and the path that was asked
for as signed text; whom and what it is for is signed and not written in it.
"""

import json
from datetime import datetime, timedelta
from typing import NamedTuple

from policy.signed_text import SignedTextError, sign, signed_body
from policy.visit import Client
from proxy_addons.continuations import who

CONTINUE_PATH = "/.well-known/towngate/continue"
"""Where the button's form goes, on the host that was warned of."""
LIFETIME = timedelta(minutes=15)
# Whole seconds in the token; and workers of several hosts need not agree to the second.
_CLOCK_DIFFERENCE = timedelta(minutes=1)
_MAX_LENGTH = 1024
_LONGEST_PATH = 500


class ContinueTokenError(Exception):
    """A token was altered, is old, or is another client's or host's; the warning is shown again."""


class Onward(NamedTuple):
    """Where to go on to: a path, with a query where the page was about a download; and past which limit."""

    path: str
    limit: str | None = None


def seal(path: str, key: bytes, client: Client, host: str, now: datetime, limit: str | None = None) -> str:
    """Return the token as text that fits into a URL.

    `path` is where to go on to. One that a Location field or a small page cannot hold leads to the site's
    first page. `limit` is the id of the limit that the page was about, if it was about one.
    """
    is_usable = path.isascii() and path.isprintable() and len(path) <= _LONGEST_PATH
    onward = path if is_usable and path.startswith("/") and path != CONTINUE_PATH else "/"
    body = json.dumps([int(now.timestamp()), onward, limit], separators=(",", ":")).encode()
    return sign(body, key, _purpose(client, host))


def unseal(text: str, key: bytes, client: Client, host: str, now: datetime) -> Onward:
    """Return where to go on to. Raises ContinueTokenError."""
    try:
        body = signed_body(text[:_MAX_LENGTH], key, _purpose(client, host))
    except SignedTextError as error:
        raise ContinueTokenError(
            "this continue code was altered, or made for someone or something else"
        ) from error
    issued_at, path, limit = json.loads(body)
    age = timedelta(seconds=now.timestamp() - issued_at)
    if not -_CLOCK_DIFFERENCE <= age < LIFETIME:
        raise ContinueTokenError("this continue code is over 15 minutes old")
    return Onward(path, limit)


def _purpose(client: Client, host: str) -> bytes:
    return f"towngate-continue-2:{who(client)}\n{host}".encode()
