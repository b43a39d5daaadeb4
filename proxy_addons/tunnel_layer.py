"""The tunnel: bytes carried undecrypted in both directions, and counted."""

from collections.abc import Callable

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer
from mitmproxy.proxy.utils import expect

from proxy_addons.tls_alert import REFUSED
from proxy_addons.visit_log import OpenVisit


class TunnelLayer(layer.Layer):
    """Dials the origin server and relays; sans-IO, as mitmproxy's own layers are.

    `take_over` is called with this layer at its start, and gives it every later event of its
    connection past the layers that led here: an HttpStream above would turn a half-close into a
    close. `on_end` is called with the visit when both sides have ended; one that has said its last
    word (FIN) still hears the other. When the dial fails, `on_dial_error` hears why, and says whether the
    connection is handed to TLS under the town's CA, so that a page can say so, or closed with an alert.
    """

    def __init__(
        self,
        context: Context,
        visit: OpenVisit,
        take_over: Callable[[layer.Layer], None],
        on_dial_error: Callable[[str], bool],
        on_end: Callable[[OpenVisit], None],
    ) -> None:
        super().__init__(context)
        self._visit = visit
        self._take_over = take_over
        self._on_dial_error = on_dial_error
        self._on_end = on_end

    @expect(events.Start)  # type: ignore[untyped-decorator]  # mitmproxy's own
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        self._take_over(self)
        error = yield commands.OpenConnection(self.context.server)
        if error is None:
            self._handle_event = self._relay
        elif self.context.client.state & ConnectionState.CAN_READ and self._on_dial_error(error):
            self.context.server.error = error
            page = town_tls(self.context)
            self._handle_event = page.handle_event
            yield from page.handle_event(event)
        else:
            self._handle_event = self._done
            client = self.context.client
            if client.state & ConnectionState.CAN_WRITE:
                yield commands.SendData(client, REFUSED)
            if client.state is not ConnectionState.CLOSED:
                yield commands.CloseConnection(client)

    def _relay(self, event: events.Event) -> layer.CommandGenerator[None]:
        client, server = self.context.client, self.context.server
        if isinstance(event, events.DataReceived):
            if event.connection is client:
                yield commands.SendData(server, self._visit.count_up(event.data))
            else:
                visit = self._visit
                if visit.bytes_down + len(event.data) > visit.most_down and visit.is_over():
                    return
                yield commands.SendData(client, visit.count_down(event.data))
        elif isinstance(event, events.ConnectionClosed):
            other: Connection = server if event.connection is client else client
            is_aborted = event.connection.state is ConnectionState.CLOSED
            if other.state & ConnectionState.CAN_READ and not is_aborted:
                yield commands.CloseTcpConnection(other, half_close=True)
                return
            self._handle_event = self._done
            for connection in (server, client):
                if connection.state is not ConnectionState.CLOSED:
                    yield commands.CloseConnection(connection)
            self._on_end(self._visit)

    def _done(self, _event: events.Event) -> layer.CommandGenerator[None]:
        yield from ()


class ClosingLayer(layer.Layer):
    """Closes the client's connection, whatever it sends, with this last word."""

    def __init__(self, context: Context, last_word: bytes) -> None:
        super().__init__(context)
        self._last_word = last_word

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            if self._last_word:
                yield commands.SendData(self.context.client, self._last_word)
            yield commands.CloseConnection(self.context.client)


def town_tls(context: Context) -> layer.Layer:
    """Return the layer that speaks TLS with the client under the town's CA, to show a page.

    mitmproxy wants one for the origin server's side above it, which is never connected.
    """
    both = ServerTLSLayer(context)
    both.child_layer = ClientTLSLayer(context)
    return both
