"""The field Via (RFC 9110 section 7.6.3): what went through this proxy says so, and is known again."""

import hashlib

from mitmproxy.http import Message, Request

CAME_BACK = "it came back to this proxy (Via)"


def name_in_via(certificate: bytes) -> str:
    """Return what this town's workers call themselves in Via: the same for all, and of no one else.

    `certificate` is the town's authority's, in DER; nothing can be told from the name.
    """
    return "towngate-" + hashlib.sha256(certificate).hexdigest()[:12]


def has_come_back(request: Request, name: str) -> bool:
    """Whether a request has been through this proxy before."""
    return any(name in value for value in request.headers.get_all("Via"))


def add_via(message: Message, name: str) -> None:
    """Say in a message that it went through this proxy."""
    version = message.data.http_version.removeprefix(b"HTTP/")
    message.headers.add("Via", f"{version.decode()} {name}")
