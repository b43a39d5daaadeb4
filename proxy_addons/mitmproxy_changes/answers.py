"""Heads of answers: of a bounded size, and no other protocol than the one that was asked for."""

import base64
import hashlib
import re

from mitmproxy import http as mitm_http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseHeaders, ResponseProtocolError

from proxy_addons.mitmproxy_changes.replacing import original, replace

MAX_ANSWER_HEAD_BYTES = 256 << 10
"""As much as browsers take."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r\n]")
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""


def change() -> None:
    """Change how mitmproxy reads the heads of answers: 9 and 10 of the list."""
    client = _http1.Http1Client
    read = original(client.read_headers)

    def read_headers(self: _http1.Http1Client, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if self.request is not None:
            _drop_interim_answers(self)
            if len(self.buf) > MAX_ANSWER_HEAD_BYTES and not _END_OF_HEAD.search(
                bytes(self.buf), 0, MAX_ANSWER_HEAD_BYTES
            ):
                yield from refuse(self, "the head of its answer has no end")
                return
        for command in read(self, event):
            if (
                isinstance(command, ReceiveHttp)
                and isinstance(command.event, ResponseHeaders)
                and command.event.response.status_code == 101
                and not _is_asked_for(self.request, command.event.response)
            ):
                yield from refuse(self, "it answered with another protocol than was asked for")
                return
            yield command

    def refuse(self: _http1.Http1Client, reason: str) -> layer.CommandGenerator[None]:
        self.buf.maybe_extract_at_most(len(self.buf))
        self.state = self.done
        yield commands.CloseConnection(self.conn)
        if self.stream_id is not None:
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, reason, ErrorCode.GENERIC_SERVER_ERROR))

    replace(client, "read_headers", read_headers, read)


def _drop_interim_answers(http_client: _http1.Http1Client) -> None:
    """Take out answers before the last one; each is a head of its own (RFC 9110 section 15.2)."""
    is_there: object = True
    while is_there and _INTERIM.match(bytes(http_client.buf)[:20]):
        is_there = http_client.buf.maybe_extract_lines()


def _is_asked_for(request: mitm_http.Request | None, response: mitm_http.Response) -> bool:
    """Whether a 101 is the answer to a WebSocket's handshake (RFC 6455 section 4.1)."""
    if request is None or request.headers.get("Upgrade", "").lower() != "websocket":
        return False
    key = request.headers.get("Sec-WebSocket-Key", "").encode()
    accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest()).decode()  # noqa: S324 - as the RFC has it
    upgrade: str = response.headers.get("Upgrade", "").lower()
    return upgrade == "websocket" and bool(response.headers.get("Sec-WebSocket-Accept") == accept)
