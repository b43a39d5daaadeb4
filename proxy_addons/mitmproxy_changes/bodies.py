"""Bodies that go by: none is kept, none is cut by what follows it."""

from typing import Any

import h11
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.http import HttpStream, _http1
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestProtocolError,
    ResponseProtocolError,
)

from proxy_addons.mitmproxy_changes.replacing import original, replace
from proxy_addons.mitmproxy_changes.request_heads import MAX_HEAD_BYTES

UNREACHABLE_PAGE = "towngate-unreachable-page"
"""Metadata of a flow: a callable that turns why a dial failed into the http_response to send."""


def change() -> None:
    """Change how mitmproxy carries bodies: 1, 2 and 4 of the list."""
    _drop_bodies_that_no_one_reads()
    _show_our_page_when_a_dial_fails()
    _drop_trailers()


def _drop_bodies_that_no_one_reads() -> None:
    consume = original(HttpStream.state_consume_request_body)

    def state_consume_request_body(self: HttpStream, event: HttpEvent) -> layer.CommandGenerator[None]:
        if not (isinstance(event, RequestData) and self.flow.response is not None):
            yield from consume(self, event)

    replace(HttpStream, "state_consume_request_body", state_consume_request_body, consume)


def _show_our_page_when_a_dial_fails() -> None:
    handle = original(HttpStream.handle_protocol_error)
    start_streaming = original(HttpStream.start_request_stream)

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

    replace(HttpStream, "handle_protocol_error", handle_protocol_error, handle)
    replace(HttpStream, "start_request_stream", start_request_stream, start_streaming)


def _drop_trailers() -> None:
    make = original(_http1.make_body_reader)

    def make_body_reader(expected_size: int | None) -> Any:
        reader = make(expected_size)
        return _Chunks(reader) if expected_size is None else reader

    replace(_http1, "make_body_reader", make_body_reader, make)


class _Chunks:
    """h11's reader of chunks: no trailers, and no chunk whose head or trailers have no end."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self.read_eof = chunks.read_eof

    def __call__(self, buf: Any) -> Any:
        event = self._chunks(buf)
        if event is None and len(buf) > MAX_HEAD_BYTES:
            # What h11 leaves in the buffer is a line that has not ended.
            raise h11.RemoteProtocolError("a chunk's head, or trailers, of over 64 KiB")
        return type(event)() if getattr(event, "headers", None) else event
