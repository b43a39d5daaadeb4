"""Where mitmproxy 12.2.3 itself behaves otherwise than a filter must, and cannot be told to.

Each change replaces one name of a pinned version, and has a test that fails without it.

1. The body of a request that is answered with a page is dropped as it arrives; mitmproxy keeps
   it whole in memory first (1.3 GB for an upload of 600 MB).
2. A plain request whose origin server cannot be dialled gets our page, after its body if it has
   one; mitmproxy writes its own.
3. A request head that cannot be read one way only is answered 400, one of over 64 KiB 431, and both
   are reported. mitmproxy reads heads without end, lets control characters through, takes a request
   for the proxy itself as one for its Host, and never answers what begins with an empty line.
4. Trailers of a chunked message are dropped; mitmproxy raises, and the connection hangs.
5. Error answers are ours: no version of the proxy, no raw error.
6. The types of a message's fields are not checked whenever one is made; mitmproxy leaves that to
   `python -O`, which would take every assertion with it. A sixth of what a kept plain request costs.
7. A client that sends on while its origin server is dialled, or before it has its last answer, is
   not read without end; mitmproxy keeps all of it in memory.
8. A connection that is cancelled while it waits for its turn at the layers is closed; mitmproxy
   leaves it open, and its layers unaware.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import connection
from mitmproxy import http as mitm_http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, HttpStream, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseProtocolError,
)
from mitmproxy.proxy.server import ConnectionHandler

UNREACHABLE_PAGE = "towngate-unreachable-page"
"""Metadata of a flow: a callable that turns why a dial failed into the http_response to send."""

MAX_HEAD_BYTES = 64 << 10

_READS_WHILE_DIALLING = 8
_HELD_SECONDS = 0.02
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_CONTROL_CHARACTER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_MESSAGES = {
    400: "This could not be read as a request for a site, so it was not sent on.",
    413: "This is too large, so it was not sent on.",
    431: "The head of this request is over 64 kB, so it was not sent on.",
    502: "The site could not be reached, or its answer could not be read.",
}


type OnMalformed = Callable[[connection.Client, str], None]


def apply(on_malformed: OnMalformed) -> None:
    """Change mitmproxy in this process. `on_malformed` hears of every head that was not read."""
    _drop_bodies_that_no_one_reads()
    _show_our_page_when_a_dial_fails()
    _refuse_malformed_heads(on_malformed)
    _drop_trailers()
    _http1.make_error_response = _error_response
    _leave_types_unchecked()
    _hold_clients_while_dialling()
    _end_clients_that_do_not_wait()
    _close_what_is_cancelled()


def _drop_bodies_that_no_one_reads() -> None:
    consume = _original(HttpStream.state_consume_request_body)

    def state_consume_request_body(self: HttpStream, event: HttpEvent) -> layer.CommandGenerator[None]:
        if not (isinstance(event, RequestData) and self.flow.response is not None):
            yield from consume(self, event)

    _replace(HttpStream, "state_consume_request_body", state_consume_request_body, consume)


def _show_our_page_when_a_dial_fails() -> None:
    handle = _original(HttpStream.handle_protocol_error)
    start_streaming = _original(HttpStream.start_request_stream)

    def handle_protocol_error(
        self: HttpStream, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        page = self.flow.metadata.get(UNREACHABLE_PAGE)
        is_unreachable = isinstance(event, ResponseProtocolError) and event.code is ErrorCode.CONNECT_FAILED
        if page is None or not is_unreachable:
            yield from handle(self, event)
            return
        self.flow.response = page(event.message)
        if self.client_state == self.state_done:
            yield from self.send_response()

    def start_request_stream(self: HttpStream) -> layer.CommandGenerator[None]:
        yield from start_streaming(self)
        if self.flow.response is not None and self.client_state == self.state_errored:
            # The page set above is sent when the client has said all; what it says is dropped (1).
            self.flow.request.stream = False
            self.client_state = self.state_consume_request_body

    _replace(HttpStream, "handle_protocol_error", handle_protocol_error, handle)
    _replace(HttpStream, "start_request_stream", start_request_stream, start_streaming)


def _refuse_malformed_heads(on_malformed: OnMalformed) -> None:
    server = _http1.Http1Server
    read = _original(server.read_headers)

    def read_headers(self: _http1.Http1Server, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        # RFC 9112 section 2.2: an empty line before a request is ignored.
        while bytes(self.buf)[:2] == b"\r\n":
            self.buf.maybe_extract_at_most(2)
        if len(self.buf) > MAX_HEAD_BYTES and not _END_OF_HEAD.search(bytes(self.buf)[:MAX_HEAD_BYTES]):
            yield from refuse(self, 431, "a request head of over 64 kB")
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

    def refuse(self: _http1.Http1Server, status: int, reason: str) -> layer.CommandGenerator[None]:
        on_malformed(self.context.client, reason)
        yield commands.SendData(self.conn, _error_response(status))
        yield commands.CloseConnection(self.conn)
        self.state = self.done

    _replace(server, "read_headers", read_headers, read)


def _problem_of(request: mitm_http.Request, context: Context) -> str | None:
    """Return why a request is not to be read, though mitmproxy could parse it."""
    data = request.data
    parts = (data.method, data.authority, data.path, *(value for _, value in data.headers.fields))
    if any(_CONTROL_CHARACTER.search(part) for part in parts):
        return "control characters in a request head"
    if data.method == b"CONNECT":
        return "a CONNECT with a body" if http1.expected_http_body_size(request) != 0 else None
    http_layer = context.layers[-2]
    is_to_proxy = isinstance(http_layer, HttpLayer) and http_layer.mode is HTTPMode.regular
    return "a request for the proxy itself" if is_to_proxy and not data.scheme else None


def _drop_trailers() -> None:
    make = _original(_http1.make_body_reader)

    def make_body_reader(expected_size: int | None) -> Any:
        reader = make(expected_size)
        return _WithoutTrailers(reader) if expected_size is None else reader

    _replace(_http1, "make_body_reader", make_body_reader, make)


class _WithoutTrailers:
    """h11's reader of chunks, whose end of message never has headers."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self.read_eof = chunks.read_eof

    def __call__(self, buf: Any) -> Any:
        event = self._chunks(buf)
        return type(event)() if getattr(event, "headers", None) else event


def _leave_types_unchecked() -> None:
    message = mitm_http.MessageData
    check = _original(message.__post_init__)

    def take_as_it_is(self: mitm_http.MessageData) -> None:
        """Check nothing."""

    _replace(message, "__post_init__", take_as_it_is, check)


def _hold_clients_while_dialling() -> None:
    drain: Callable[[ConnectionHandler], Awaitable[None]] = _original(ConnectionHandler.drain_writers)
    reads: WeakKeyDictionary[ConnectionHandler, int] = WeakKeyDictionary()

    async def drain_writers(self: ConnectionHandler) -> None:
        await drain(self)
        if not is_dialling(self):
            reads.pop(self, None)
            return
        reads[self] = reads.get(self, 0) + 1
        # The first are read on, so that a client that leaves is noticed.
        while reads[self] > _READS_WHILE_DIALLING and is_dialling(self):  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(_HELD_SECONDS)

    def is_dialling(handler: ConnectionHandler) -> bool:
        # One whose dial has failed stays among the transports, with a task that is done.
        dials = (io.handler for io in handler.transports.values() if io.writer is None)
        return any(dial is not None and not dial.done() for dial in dials)

    _replace(ConnectionHandler, "drain_writers", drain_writers, drain)


def _end_clients_that_do_not_wait() -> None:
    wait = _original(_http1.Http1Connection.wait)

    def wait_for_the_answer(
        self: _http1.Http1Connection, event: events.Event
    ) -> layer.CommandGenerator[None]:
        if len(self.buf) > MAX_HEAD_BYTES:
            yield commands.CloseConnection(self.conn)
            event = events.ConnectionClosed(self.conn)
        yield from wait(self, event)

    _replace(_http1.Http1Connection, "wait", wait_for_the_answer, wait)


def _close_what_is_cancelled() -> None:
    handle: Callable[[ConnectionHandler, connection.Connection], Awaitable[None]] = _original(
        ConnectionHandler.handle_connection
    )

    async def handle_connection(self: ConnectionHandler, conn: connection.Connection) -> None:
        try:
            await handle(self, conn)
        except asyncio.CancelledError:
            io = self.transports.get(conn)
            if io is not None and io.writer is not None:
                conn.state = connection.ConnectionState.CLOSED
                await self.server_event(events.ConnectionClosed(conn))
                self.transports.pop(conn, None)
                io.writer.close()
            raise

    _replace(ConnectionHandler, "handle_connection", handle_connection, handle)


def _error_response(status_code: int, message: str = "") -> bytes:
    text = _MESSAGES.get(status_code) or HTTPStatus(status_code).phrase
    response = mitm_http.Response.make(
        status_code,
        text + "\n",
        {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "Connection": "close"},
    )
    return bytes(http1.assemble_response(response))


def _original[F: Callable[..., object]](method: F) -> F:
    """Return mitmproxy's own method, also when changes have been applied before (in tests)."""
    own: F = getattr(method, "mitmproxys_own", method)
    return own


def _replace(owner: object, name: str, method: Callable[..., object], original: object) -> None:
    vars(method)["mitmproxys_own"] = original
    setattr(owner, name, method)
