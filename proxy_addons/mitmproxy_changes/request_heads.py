"""Request heads: read one way only (RFC 9112), of a bounded size, and within a bounded time."""

import re
from collections.abc import Callable
from weakref import WeakKeyDictionary

from mitmproxy import connection
from mitmproxy import http as mitm_http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders

from proxy_addons.mitmproxy_changes.error_answers import error_answer
from proxy_addons.mitmproxy_changes.replacing import original, replace

MAX_HEAD_BYTES = 64 << 10
MAX_URL_BYTES = 16 << 10
_MAX_LINE_BYTES = MAX_URL_BYTES + 100
HEAD_SECONDS = 20.0
"""From the first byte of a request head to its last."""

type OnMalformed = Callable[[connection.Client, str], None]

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = _TOKEN + rb" [\x21-\x7e]+ HTTP/1\.[01]\r\n"
# No folded lines, no bare CR or LF, no NUL, nothing before a colon but the field's name.
_FIELD_LINE = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n"
_HEAD = re.compile(_REQUEST_LINE + rb"(?:" + _FIELD_LINE + rb")*\r\n")
_FIRST_LINE = re.compile(_REQUEST_LINE)
_FIRST_BYTE = re.compile(_TOKEN)
# A body's length is told by one number that no server reads otherwise, or by chunks and nothing else.
_ODD_LENGTH = re.compile(
    rb"\r\n(?:content-length:(?![ \t]*[0-9]{1,18}[ \t]*\r)|transfer-encoding:(?![ \t]*chunked[ \t]*\r))",
    re.IGNORECASE,
)


def change(on_malformed: OnMalformed, head_seconds: float) -> None:
    """Change how mitmproxy reads request heads: 3 of the list."""
    server = _http1.Http1Server
    read = original(server.read_headers)
    handle = original(server._handle_event)
    deadlines: WeakKeyDictionary[_http1.Http1Server, commands.RequestWakeup] = WeakKeyDictionary()

    def read_headers(self: _http1.Http1Server, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        # RFC 9112 section 2.2: an empty line before a request is ignored.
        while bytes(self.buf)[:2] == b"\r\n":
            self.buf.maybe_extract_at_most(2)
        refusal = _refusal_of(bytes(self.buf)) if self.buf else None
        if refusal is not None:
            yield from refuse(self, *refusal)
            return
        is_answered = False
        for command in read(self, event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, RequestHeaders):
                if is_answered:
                    on_malformed(self.context.client, "a body whose length cannot be told")
                    self.state = self.done
                    return
                problem = _problem_of(command.event.request, self.context)
                if problem is not None:
                    yield from refuse(self, 400, problem)
                    return
            is_answered = is_answered or isinstance(command, commands.CloseConnection)
            yield command
        if self.state == self.done and self.request is None:
            on_malformed(self.context.client, "a request head that cannot be parsed")
        elif self.state == self.read_headers and self.buf and self not in deadlines:
            deadlines[self] = commands.RequestWakeup(head_seconds)
            yield deadlines[self]
        elif self.state != self.read_headers:
            deadlines.pop(self, None)

    def handle_event(self: _http1.Http1Server, event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(event, events.Wakeup):
            yield from handle(self, event)
        elif deadlines.get(self) is event.command and self.state == self.read_headers:
            yield from refuse(self, 408, "a request head that was not finished in time")

    def refuse(self: _http1.Http1Server, status: int, reason: str) -> layer.CommandGenerator[None]:
        on_malformed(self.context.client, reason)
        yield commands.SendData(self.conn, error_answer(status))
        yield commands.CloseConnection(self.conn)
        self.state = self.done

    replace(server, "read_headers", read_headers, read)
    replace(server, "_handle_event", handle_event, handle)


def _refusal_of(data: bytes) -> tuple[int, str] | None:
    """Return the status and the reason with which these bytes, the beginning of a request, are refused."""
    refusal = _refusal_of_line(data)
    if refusal is not None:
        return refusal
    end = _END_OF_HEAD.search(data, 0, MAX_HEAD_BYTES)
    if end is None:
        return (431, "a request head of over 64 KiB") if len(data) > MAX_HEAD_BYTES else None
    head = data[: end.end()]
    if _HEAD.fullmatch(head) is None:
        return 400, "a request head that cannot be read one way only"
    return (400, "a body whose length cannot be told") if _ODD_LENGTH.search(head) else None


def _refusal_of_line(data: bytes) -> tuple[int, str] | None:
    if _FIRST_BYTE.match(data) is None:
        return 400, "what does not begin like a request"
    end = data.find(b"\n", 0, _MAX_LINE_BYTES)
    if end < 0:
        return (414, "a URL of over 16 KiB") if len(data) > _MAX_LINE_BYTES else None
    line = _FIRST_LINE.match(data)
    if line is None:
        return 400, "a request line that cannot be read one way only"
    is_short = end <= MAX_URL_BYTES or len(line[0].split(b" ")[1]) <= MAX_URL_BYTES
    return None if is_short else (414, "a URL of over 16 KiB")


def _problem_of(request: mitm_http.Request, context: Context) -> str | None:
    """Return why a request is not to be read, though its head is in order."""
    data = request.data
    if data.method == b"CONNECT":
        return "a CONNECT with a body" if http1.expected_http_body_size(request) != 0 else None
    http_layer = context.layers[-2]
    is_to_proxy = isinstance(http_layer, HttpLayer) and http_layer.mode is HTTPMode.regular
    return "a request for the proxy itself" if is_to_proxy and not data.scheme else None
