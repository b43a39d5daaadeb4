"""The tunnel: bytes carried undecrypted in both directions, and counted."""

import functools
from collections.abc import Callable

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer
from mitmproxy.proxy.utils import expect

from proxy_addons.visit_log import OpenVisit


class TunnelLayer(layer.Layer):
    """Dials the origin server and relays; sans-IO, as mitmproxy's own layers are.

    `begin` starts the visit once the dial has succeeded and `end` writes it, with a reason when
    it ended otherwise than by either side closing. When the dial fails, the connection is handed
    to TLS under the town's CA, so that a page can say so; `on_dial_error` hears why.
    """

    def __init__(
        self,
        context: Context,
        begin: Callable[[], OpenVisit],
        end: Callable[[OpenVisit], None],
        on_dial_error: Callable[[str], None],
    ) -> None:
        super().__init__(context)
        self._begin = begin
        self._end = end
        self._on_dial_error = on_dial_error

    @expect(events.Start)  # type: ignore[untyped-decorator]  # mitmproxy's own
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        error = yield commands.OpenConnection(self.context.server)
        if error:
            self._on_dial_error(error)
            self.context.server.error = error
            page = ServerTLSLayer(self.context)
            page.child_layer = ClientTLSLayer(self.context)
            self._handle_event = page.handle_event
            yield from page.handle_event(event)
            return
        relay = functools.partial(self._relay, self._begin())
        self._handle_event = relay

    def _relay(self, visit: OpenVisit, event: events.Event) -> layer.CommandGenerator[None]:
        client, server = self.context.client, self.context.server
        if isinstance(event, events.DataReceived):
            if event.connection is client:
                visit.bytes_up += len(event.data)
                yield commands.SendData(server, event.data)
            else:
                visit.bytes_down += len(event.data)
                yield commands.SendData(client, event.data)
        elif isinstance(event, events.ConnectionClosed):
            if (client.state | server.state) & ConnectionState.CAN_READ:
                other: Connection = server if event.connection is client else client
                yield commands.CloseTcpConnection(other, half_close=True)
                return
            for connection in (server, client):
                if connection.state is not ConnectionState.CLOSED:
                    yield commands.CloseConnection(connection)
            self._end(visit)
            self._handle_event = self._done

    def _done(self, _event: events.Event) -> layer.CommandGenerator[None]:
        yield from ()


class ClosingLayer(layer.Layer):
    """Closes the client's connection, whatever it sends."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)
