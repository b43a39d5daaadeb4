"""The code behind a block page's Ask link: what was stopped and for whom, signed.

It fills the form in and authorises nothing. A compressed JSON list as signed text.
"""

import json
import zlib
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta

from policy.signed_text import SignedTextError, sign, signed_body

LIFETIME = timedelta(minutes=15)
# The clocks of the host that made it and of the one that reads it need not agree to the second.
_CLOCK_DIFFERENCE = timedelta(minutes=1)
_PURPOSE = b"towngate-ask-1"
_MAX_LENGTH = 4096
_MAX_ENTRY_LENGTH = 300


class AskTokenError(Exception):
    """A token was altered or is of another key; the form cannot be filled in."""


class AskTokenExpiredError(AskTokenError):
    """A token is older than LIFETIME; the person opens the site again."""


@dataclass(frozen=True, slots=True)
class AskToken:
    """What the block page said. Ids as in the policy document; `host` canonical.

    `code` is the visit's short code, `issued_at` aware UTC (whole seconds once sealed), `approval`
    the roles asked in turn, `risks` every security risk that the site is listed as. `address` is of a
    download that can be asked about again later, without its query; empty elsewhere. `path` can be asked for
    by itself (`policy.page_access`); empty where the host alone can be. A long `entry` is cut when sealed.
    """

    host: str
    category: str | None
    entry: str | None
    source: str | None
    rule: str | None
    approval: tuple[str, ...]
    person: str | None
    device: str | None
    department: str | None
    policy_version: str
    code: str
    issued_at: datetime
    risks: tuple[str, ...] = ()
    address: str = ""
    path: str = ""

    def seal(self, key: bytes) -> str:
        """Return the token as text that fits into a URL."""
        values = asdict(self) | {
            "entry": self.entry and self.entry[:_MAX_ENTRY_LENGTH],
            "issued_at": int(self.issued_at.timestamp()),
        }
        # A block page holds several links, and is to stay small.
        body = zlib.compress(json.dumps([*values.values()], separators=(",", ":")).encode(), level=9)
        return sign(body, key, _PURPOSE)


def unseal(text: str, key: bytes, now: datetime) -> AskToken:
    """Read a token back.

    Raises AskTokenExpiredError when it is over 15 minutes old, AskTokenError when it was not made
    with this key.
    """
    try:
        body = signed_body(text[:_MAX_LENGTH], key, _PURPOSE)
    except SignedTextError as error:
        raise AskTokenError("this ask code was altered, or made by another town's gate") from error
    names = (field.name for field in fields(AskToken))
    # Not strict: while a newer version is put to work, the other side may say a little less, or more.
    values = dict(zip(names, json.loads(zlib.decompress(body)), strict=False))
    issued_at = datetime.fromtimestamp(values.pop("issued_at"), UTC)
    if not -_CLOCK_DIFFERENCE <= now - issued_at < LIFETIME:
        raise AskTokenExpiredError("this ask code is over 15 minutes old")
    approval, risks = tuple(values.pop("approval")), tuple(values.pop("risks"))
    return AskToken(**values, approval=approval, issued_at=issued_at, risks=risks)
