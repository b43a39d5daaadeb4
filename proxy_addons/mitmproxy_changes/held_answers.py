"""Answers that are held until their first bytes have been looked at."""

from mitmproxy import http
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._events import HttpEvent, ResponseData, ResponseEndOfMessage

from proxy_addons.mitmproxy_changes.replacing import original, replace

LOOK_FIRST = "towngate-look-first"
"""Metadata of a flow: how many bytes of its answer to hold, and a callable that turns them (or all, where
they are fewer) into the http_response to send in its place; None when it goes on. It must not raise."""


def change() -> None:
    """Change when an answer is sent: 11 of the list."""
    start = original(HttpStream.start_response_stream)

    def start_response_stream(self: HttpStream) -> layer.CommandGenerator[None]:
        if LOOK_FIRST not in self.flow.metadata:
            yield from start(self)
            return
        held_bytes, look_at = self.flow.metadata.pop(LOOK_FIRST)

        def hold(event: HttpEvent) -> layer.CommandGenerator[None]:
            if isinstance(event, ResponseData):
                self.response_body_buf += event.data
            is_whole = isinstance(event, ResponseEndOfMessage)
            if len(self.response_body_buf) < held_bytes and not is_whole:
                return
            beginning = bytes(self.response_body_buf)
            self.response_body_buf.clear()
            instead = look_at(beginning)
            if instead is not None:
                yield from send_instead(self, instead)
                return
            yield from start(self)
            yield from self.server_state(ResponseData(self.stream_id, beginning))
            if is_whole:
                yield from self.server_state(event)

        if held_bytes:
            self.server_state = hold
        elif (instead := look_at(b"")) is not None:
            yield from send_instead(self, instead)
        else:
            yield from start(self)

    def send_instead(self: HttpStream, instead: http.Response) -> layer.CommandGenerator[None]:
        # Nothing more of it is fetched.
        yield commands.CloseConnection(self.flow.server_conn)
        self.flow.response = instead
        yield from self.send_response()
        if self.client_state != self.state_done:
            # What the client has yet to say has nowhere to go.
            yield commands.CloseConnection(self.context.client)
            self.client_state = self.state_errored
        # What came of it meanwhile is passed over.
        self.server_state = self.state_errored

    replace(HttpStream, "start_response_stream", start_response_stream, start)
