"""Signed text for URLs: a body anyone can read and nobody else can make, `body.mac`, both base64url.

HMAC-SHA256 over the purpose and the body, so that what was signed for one purpose is worth nothing for
another.
"""

import base64
import hashlib
import hmac


class SignedTextError(Exception):
    """A text is no signed text, was altered by as much as a letter, or is of another key or purpose."""


def sign(body: bytes, key: bytes, purpose: bytes) -> str:
    """Return the body with its signature, as text that fits into a URL."""
    return f"{_b64(body)}.{_b64(hmac.digest(key, purpose + b':' + body, hashlib.sha256))}"


def signed_body(text: str, key: bytes, purpose: bytes) -> bytes:
    """Return the body of a signed text. Raises SignedTextError."""
    encoded = text.partition(".")[0]
    try:
        body = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        # The texts are compared and not the bytes, of which base64 has several spellings.
        is_signed = hmac.compare_digest(text.encode(), sign(body, key, purpose).encode())
    except ValueError as error:
        raise SignedTextError from error
    if not is_signed:
        raise SignedTextError
    return body


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
