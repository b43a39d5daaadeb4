"""Where mitmproxy 12.2.3 itself behaves otherwise than a filter must, and cannot be told to.

Each change replaces one method of a pinned version, and has a test that fails without it.

1. The body of a request that is answered with a page is dropped as it arrives; mitmproxy keeps
   it whole in memory first (1.3 GB for an upload of 600 MB).
2. A plain request whose origin server cannot be dialled gets our page; mitmproxy writes its own.
3. A request head that cannot be parsed, or is over 64 KiB, is reported; mitmproxy only logs the
   first, and reads the second without end.
4. Error answers are ours: no version of the proxy, no raw error.
"""

from collections.abc import Callable
from http import HTTPStatus

from mitmproxy import connection
from mitmproxy import http as mitm_http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import HttpStream, _http1
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestProtocolError,
    ResponseProtocolError,
)

UNREACHABLE_PAGE = "towngate-unreachable-page"
"""Metadata of a flow: a callable that turns why a dial failed into the http_response to send."""

MAX_HEAD_BYTES = 64 << 10

_MESSAGES = {
    400: "This could not be read as a request for a site, so it was not sent on.",
    413: "This is too large, so it was not sent on.",
    431: "The head of this request is over 64 kB, so it was not sent on.",
    502: "The site could not be reached, or its answer could not be read.",
}


def apply(on_malformed: Callable[[connection.Client, str], None]) -> None:
    """Change mitmproxy in this process. `on_malformed` hears of every head that was not read."""
    _drop_bodies_that_no_one_reads()
    _show_our_page_when_a_dial_fails()
    _report_malformed_heads(on_malformed)
    _http1.make_error_response = _error_response


def _drop_bodies_that_no_one_reads() -> None:
    consume = _original(HttpStream.state_consume_request_body)

    def state_consume_request_body(self: HttpStream, event: HttpEvent) -> layer.CommandGenerator[None]:
        if not (isinstance(event, RequestData) and self.flow.response is not None):
            yield from consume(self, event)

    _replace(HttpStream, "state_consume_request_body", state_consume_request_body, consume)


def _show_our_page_when_a_dial_fails() -> None:
    handle = _original(HttpStream.handle_protocol_error)

    def handle_protocol_error(
        self: HttpStream, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        page = self.flow.metadata.get(UNREACHABLE_PAGE)
        if (
            page is not None
            and isinstance(event, ResponseProtocolError)
            and event.code is ErrorCode.CONNECT_FAILED
            and self.client_state == self.state_done
        ):
            self.flow.response = page(event.message)
            yield from self.send_response()
        else:
            yield from handle(self, event)

    _replace(HttpStream, "handle_protocol_error", handle_protocol_error, handle)


def _report_malformed_heads(on_malformed: Callable[[connection.Client, str], None]) -> None:
    server = _http1.Http1Server
    read = _original(server.read_headers)

    def read_headers(self: _http1.Http1Server, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        yield from read(self, event)
        if self.state == self.done and self.request is None:
            on_malformed(self.context.client, "a request head that cannot be parsed")
        elif self.state == self.read_headers and len(self.buf) > MAX_HEAD_BYTES:
            on_malformed(self.context.client, "a request head of over 64 kB")
            yield commands.SendData(self.conn, _error_response(431))
            yield commands.CloseConnection(self.conn)
            self.state = self.done

    _replace(server, "read_headers", read_headers, read)


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


def _replace(owner: type, name: str, method: Callable[..., object], original: object) -> None:
    vars(method)["mitmproxys_own"] = original
    setattr(owner, name, method)
