"""The head of a CONNECT as browsers write it, out of bytes; whatever is less plain is left to mitmproxy."""

import re
from dataclasses import dataclass

MAX_BYTES = 16 << 10

_HEAD = re.compile(
    # RFC 9112 section 3.2.3: the target is a host and a port. Field names are tokens (RFC 9110
    # section 5.6.2), values what is visible, spaces and tabs.
    rb"CONNECT (?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[1-9][0-9]{0,4})"
    rb" HTTP/1\.1\r\n"
    rb"(?P<fields>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*)"
    rb"\r\n"
)
_BEGINNING = b"CONNECT "
_END = b"\r\n\r\n"
# A body, a switch of protocols, or a way through other proxies: not what a tunnel begins with.
_LESS_PLAIN = frozenset({b"content-length", b"expect", b"transfer-encoding", b"upgrade", b"via"})
_AUTHORIZATION = b"proxy-authorization"


class LessPlainError(Exception):
    """These bytes are not the plain head of a CONNECT; mitmproxy reads them, and judges."""


@dataclass(frozen=True, slots=True)
class ConnectHead:
    """Where a tunnel is asked for: host as written (IPv6 in brackets), and port.

    `authorization` is the one value of Proxy-Authorization, None when there is none. `length` is how
    many bytes the head has.
    """

    host: str
    port: int
    authorization: str | None
    length: int


def read_head(data: bytes) -> ConnectHead | None:
    """Return the head that bytes begin with; None when there may be more of it to come.

    Raises LessPlainError.
    """
    end = data.find(_END, 0, MAX_BYTES)
    if end < 0:
        if len(data) >= MAX_BYTES or not data.startswith(_BEGINNING[: len(data)]):
            raise LessPlainError
        return None
    found = _HEAD.fullmatch(data, 0, end + len(_END))
    if found is None or int(found["port"]) > 65535:
        raise LessPlainError
    authorization = None
    for line in found["fields"].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _LESS_PLAIN or (name == _AUTHORIZATION and authorization is not None):
            raise LessPlainError
        if name == _AUTHORIZATION:
            authorization = value.strip(b" \t").decode("latin-1")
    return ConnectHead(found["host"].decode(), int(found["port"]), authorization, found.end())
