"""The one host that a ClientHello names, out of bytes; whatever is less plain is left to mitmproxy.

RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3. Every length must be exactly filled: an origin
server must not read another name out of the same bytes.
"""

from proxy_addons.connect_head import LessPlainError

MAX_BYTES = 64 << 10

MAX_RECORDS = 16
"""Browsers send one or a few; in thousands, each read would cost what all before it did."""
_RECORD_HEADER = 5
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0


def server_name_of(data: bytes) -> bytes | None:
    """Return the name in the ClientHello that bytes begin with; None when there is more of it to come.

    Raises LessPlainError when it does not name exactly one host.
    """
    message = _message(data)
    if message is None:
        return None
    try:
        return _only_name(message)
    except IndexError as error:
        raise LessPlainError from error


def has_too_many_records(data: bytes) -> bool:
    """Whether a ClientHello that bytes begin with is cut into more TLS records than it needs."""
    at, size, beginning = 0, 0, b""
    for _ in range(MAX_RECORDS):
        if len(data) < at + _RECORD_HEADER:
            return False
        length = int.from_bytes(data[at + 3 : at + 5])
        at += _RECORD_HEADER
        beginning = (beginning + data[at : at + min(length, 4)])[:4] if len(beginning) < 4 else beginning
        at += length
        size += length
        if len(beginning) == 4 and size >= 4 + int.from_bytes(beginning[1:]):
            # It is there whole; what follows is no part of it.
            return False
    return len(data) > at


def _message(data: bytes) -> bytes | None:
    """Return the ClientHello without its record headers, once it is there whole."""
    if has_too_many_records(data):
        raise LessPlainError
    body, at = b"", 0
    while True:
        header = data[at : at + _RECORD_HEADER]
        if header and header[0] != _HANDSHAKE:
            raise LessPlainError
        if len(header) < _RECORD_HEADER:
            break
        length = int.from_bytes(header[3:5])
        if header[1] != 3 or header[2] > 3 or not 0 < length <= 1 << 14:
            raise LessPlainError
        at += _RECORD_HEADER
        body += data[at : at + length]
        at += length
        if body and body[0] != _CLIENT_HELLO:
            raise LessPlainError
        if len(body) >= 4:
            whole = 4 + int.from_bytes(body[1:4])
            if len(body) > whole or whole > MAX_BYTES:
                raise LessPlainError
            if len(body) == whole:
                if at != len(data):
                    # Something follows before it was answered.
                    raise LessPlainError
                return body
        if at >= len(data):
            break
    if len(data) > MAX_BYTES:
        raise LessPlainError
    return None


def _only_name(message: bytes) -> bytes:
    """Return the name in a whole ClientHello. Raises LessPlainError, IndexError when it is cut."""
    # Past type and length, version and random; then session id, cipher suites, compression methods.
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + _two_bytes(message, at)
    at += 1 + message[at]
    end = at + 2 + _two_bytes(message, at)
    if end != len(message):
        raise LessPlainError
    at += 2
    name = None
    while at < end:
        # Some fifteen times a ClientHello: no calls.
        kind = message[at] << 8 | message[at + 1]
        length = message[at + 2] << 8 | message[at + 3]
        at += 4
        if at + length > end:
            raise LessPlainError
        if kind == _SERVER_NAME:
            if name is not None:
                raise LessPlainError
            name = _host_name(message[at : at + length])
        at += length
    if name is None:
        raise LessPlainError
    return name


def _host_name(extension: bytes) -> bytes:
    """Return the only entry of a server name list."""
    name = extension[5:]
    is_one = (
        _two_bytes(extension, 0) == len(extension) - 2
        and extension[2] == _HOST_NAME
        and _two_bytes(extension, 3) == len(name)
    )
    if not is_one or not name:
        raise LessPlainError
    return name


def _two_bytes(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
