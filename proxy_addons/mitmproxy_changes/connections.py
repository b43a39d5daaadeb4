"""Connections: how much is read of one that has to wait, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from mitmproxy import connection
from mitmproxy import http as mitm_http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, _http1
from mitmproxy.proxy.server import ConnectionHandler

from proxy_addons.mitmproxy_changes.replacing import original, replace
from proxy_addons.mitmproxy_changes.request_heads import MAX_HEAD_BYTES

_READS_WHILE_DIALLING = 8
_HELD_SECONDS = 0.02


def change() -> None:
    """Change how mitmproxy reads connections: 6, 7, 8, 12, 14 and 15 of the list."""
    _leave_types_unchecked()
    _hold_clients_while_dialling()
    _end_clients_that_do_not_wait()
    _close_what_is_cancelled()
    _forget_what_is_closed()
    _fork_without_waste()


def _leave_types_unchecked() -> None:
    message = mitm_http.MessageData
    check = original(message.__post_init__)

    def take_as_it_is(self: mitm_http.MessageData) -> None:
        """Check nothing."""

    replace(message, "__post_init__", take_as_it_is, check)


def _hold_clients_while_dialling() -> None:
    drain: Callable[[ConnectionHandler], Awaitable[None]] = original(ConnectionHandler.drain_writers)
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

    replace(ConnectionHandler, "drain_writers", drain_writers, drain)


def _end_clients_that_do_not_wait() -> None:
    wait = original(_http1.Http1Connection.wait)

    def wait_for_the_answer(
        self: _http1.Http1Connection, event: events.Event
    ) -> layer.CommandGenerator[None]:
        if len(self.buf) > MAX_HEAD_BYTES:
            yield commands.CloseConnection(self.conn)
            event = events.ConnectionClosed(self.conn)
        yield from wait(self, event)

    replace(_http1.Http1Connection, "wait", wait_for_the_answer, wait)


def _close_what_is_cancelled() -> None:
    handle: Callable[[ConnectionHandler, connection.Connection], Awaitable[None]] = original(
        ConnectionHandler.handle_connection
    )

    async def handle_connection(self: ConnectionHandler, conn: connection.Connection) -> None:
        # The task has begun before it is there to be noted, and may come to the connection's end at once.
        self.transports[conn].handler = asyncio.current_task()
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

    replace(ConnectionHandler, "handle_connection", handle_connection, handle)


def _forget_what_is_closed() -> None:
    make = original(HttpLayer.make_stream)

    def make_stream(self: HttpLayer, stream_id: int) -> layer.CommandGenerator[None]:
        # Only between requests: what is being answered may still say something to a closed connection.
        if not self.streams:
            for known in list(self.connections):
                if known is not self.context.client and known.state is connection.ConnectionState.CLOSED:
                    del self.connections[known]
        yield from make(self, stream_id)

    replace(HttpLayer, "make_stream", make_stream, make)


def _fork_without_waste() -> None:
    own = original(Context.fork)

    def fork(self: Context) -> Context:
        forked = Context.__new__(Context)
        forked.client, forked.server, forked.options = self.client, self.server, self.options
        forked.layers = self.layers.copy()
        return forked

    replace(Context, "fork", fork, own)
