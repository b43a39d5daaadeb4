"""One proxy worker: mitmproxy as a library, with only the addons a forward proxy needs."""

import asyncio
import functools
import logging
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mitmproxy import ctx, master, options
from mitmproxy.addons import next_layer, proxyserver, tlsconfig
from mitmproxy.proxy import context, layer, layers
from mitmproxy.proxy.mode_servers import AsyncioServerInstance, ProxyConnectionHandler
from mitmproxy.proxy.mode_specs import ProxyMode

from proxy_addons import hook_table
from proxy_addons.chain import Towngate, mitmproxy_options, stop_when_failed
from proxy_addons.connect_gate import ConnectGate
from proxy_addons.connection_limit import CONNECTIONS_PER_ADDRESS
from proxy_addons.draining import DRAIN_SECONDS, Draining
from proxy_addons.gate import Connect, Gate, close_connection, dial_name
from proxy_addons.prompt_hooks import PromptHooks
from proxy_addons.reporting import Reporting
from proxy_addons.tunnel_lane import TunnelLane

logger = logging.getLogger(__name__)

_BACKLOG = 1024
_FINISH_SECONDS = 2.0
_FINISH_STEP_SECONDS = 0.05
_QUIET_STEPS = 5


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the supervisor hands to a worker.

    `listen_fd` is the listening socket that all workers share, `ready_fd` a pipe on which the
    worker writes a line once it serves, and then that it still does. `lifeline_fd` is a pipe that ends
    with the supervisor. When the worker is replaced, its connections may go on for `drain_seconds`.
    `own_ports` are Towngate's ports on this machine, its other parts' too.
    Without `has_lane` mitmproxy carries every tunnel. `number` tells this worker from the others.
    """

    state: Path
    listen_fd: int
    ready_fd: int
    lifeline_fd: int | None
    hosts_file: Path | None
    has_lane: bool = True
    own_ports: tuple[int, ...] = ()
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
    number: int = 1
    drain_seconds: float = DRAIN_SECONDS


class SharedSocketMode(ProxyMode):
    """A proxy on a listening socket made by the supervisor: `sharedsocket:FD`."""

    description = "HTTP(S) proxy on a shared socket"
    transport_protocol: Literal["tcp", "udp", "both"] = "tcp"

    def __post_init__(self) -> None:
        """Refuse what is not a file descriptor."""
        int(self.data)


class SharedSocketInstance(AsyncioServerInstance[SharedSocketMode]):
    """Accepts on the shared socket. The supervisor keeps it open, so a restart loses nothing.

    Connections begin in the tunnel lane; without one mitmproxy has each from its start.
    """

    has_lane = True
    gate: Gate
    connect_gate: ConnectGate

    def make_top_layer(self, context: context.Context) -> layer.Layer:
        """Start every connection as an explicit proxy's."""
        return _with_prompt_hooks(layers.modes.HttpProxy(context))

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override]
        """Serve the inherited socket; host and port are its own."""
        shared = socket.socket(fileno=os.dup(int(self.mode.data)))
        towngate: Towngate = ctx.master.addons.get("towngate")
        self.gate = towngate.gate
        self.connect_gate = towngate.connect_gate
        if not self.has_lane:
            return [await asyncio.start_server(self.handle_stream, sock=shared, backlog=_BACKLOG)]
        loop = asyncio.get_running_loop()
        lane = TunnelLane(
            self.gate,
            towngate.limit,
            self._take_over,
            head_seconds=towngate.head_seconds,
            hello_seconds=towngate.connect_gate.hello_seconds,
        )
        self._closing_idle = loop.create_task(lane.close_idle(), name="close idle tunnels")
        self._closing_idle.add_done_callback(stop_when_failed)
        return [await loop.create_server(lane, sock=shared, backlog=_BACKLOG)]

    def _take_over(self, transport: asyncio.Transport, data: bytes, connect: Connect | None) -> None:
        """Go on with a connection that has left the lane."""
        reader = asyncio.StreamReader()
        go_on = self.handle_stream if connect is None else functools.partial(self._handle_answered, connect)
        protocol = asyncio.StreamReaderProtocol(reader, go_on)
        transport.set_protocol(protocol)
        reader.feed_data(data)
        protocol.connection_made(transport)
        transport.resume_reading()

    async def _handle_answered(
        self, connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve a connection whose CONNECT the lane has answered."""
        handler = ProxyConnectionHandler(ctx.master, reader, writer, ctx.options, self.mode)
        own, asked = handler.layer.context, connect.visit.judgement.visit
        own.server.address = (dial_name(asked.host), asked.port)
        handler.layer = _with_prompt_hooks(layers.modes.TransparentProxy(own))
        known = self.gate.connection_of(own.client)
        known.connect, known.visit = connect, connect.visit
        connect.visit.close = functools.partial(close_connection, own.client.id)
        self.connect_gate.wait_for_hello(connect)
        with self.manager.register_connection(own.client.id, handler):
            await handler.handle_client()


def _with_prompt_hooks(within: layer.Layer) -> layer.Layer:
    table = ctx.master.addons
    if not isinstance(table, hook_table.HookTable):
        raise TypeError("a worker's addons are not in a table of hooks")
    return PromptHooks(within, table)


async def serve(settings: WorkerSettings) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone.

    After SIGUSR1 no new connection is taken, and the end comes with the last one that is open.
    Raises what `Towngate.open` raises, before anything is listened to.
    """
    towngate = Towngate()
    SharedSocketInstance.has_lane = settings.has_lane
    towngate.open(settings.state, settings.hosts_file, frozenset(settings.own_ports), settings.number)
    proxy = master.Master(options.Options(), with_termlog=False)
    hook_table.use(proxy)
    server = proxyserver.Proxyserver()
    draining = Draining(towngate.limit)
    proxy.addons.add(
        *(server, towngate, draining, next_layer.NextLayer(), tlsconfig.TlsConfig()),
        Reporting(settings.ready_fd),
    )
    proxy.options.update(
        mode=[f"sharedsocket:{settings.listen_fd}"],
        towngate_state=str(settings.state),
        towngate_connections=settings.connections_per_address,
        **mitmproxy_options(settings.state),
    )
    loop = asyncio.get_running_loop()
    stopping, replaced = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGUSR1, replaced.set)
    if settings.lifeline_fd is not None:
        loop.add_reader(settings.lifeline_fd, stopping.set)
    serving = asyncio.ensure_future(proxy.run())
    told = [asyncio.ensure_future(event.wait()) for event in (stopping, replaced)]
    await asyncio.wait((serving, *told), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        # Nothing that was accepted is lost: uvloop hands it on in the turn in which it accepts.
        await server.servers.update([])
        if replaced.is_set():
            towngate.facts_file.begin_draining()
            await draining.drain(settings.drain_seconds, lambda: stopping.is_set() or serving.done())
        else:
            await _finish(towngate)
        proxy.shutdown()
    if settings.lifeline_fd is not None:
        loop.remove_reader(settings.lifeline_fd)
    for waiting in told:
        waiting.cancel()
    await serving


async def _finish(towngate: Towngate) -> None:
    """Give connections that are being answered a moment to end, and one just accepted a moment to ask."""
    quiet = 0
    for _ in range(int(_FINISH_SECONDS / _FINISH_STEP_SECONDS)):
        quiet = 0 if len(towngate.gate.log) else quiet + 1
        if quiet == _QUIET_STEPS:
            break
        await asyncio.sleep(_FINISH_STEP_SECONDS)
    logger.info("stopped: open_visits=%d", len(towngate.gate.log))
