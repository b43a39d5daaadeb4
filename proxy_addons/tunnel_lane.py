"""The tunnel lane: what most connections are, an allowed tunnel, without mitmproxy's layers.

It has no verdicts of its own. A connection begins here; as soon as it is anything but a plain CONNECT
that is allowed, unopened, by someone who needs no asking, with a ClientHello that names that very host,
mitmproxy gets it with every byte that came, and the addons judge:

    plain HTTP, 407, another port, an odd head     the bytes untouched, nothing answered yet
    a host that is blocked or opened               behind the 200, as a transparent connection
    another SNI, none, what is no TLS              the same
    an origin server that cannot be reached        the same, for a page that says so

What is done when is in `lane_states`, which knows no sockets; `lane_connection` carries it out.
"""

import asyncio
from typing import Protocol

from proxy_addons.connection_limit import ConnectionLimit
from proxy_addons.deadlines import Deadlines
from proxy_addons.gate import Connect, Gate
from proxy_addons.lane_connection import ClientSide
from proxy_addons.lane_origin import OriginSide
from proxy_addons.resolver import DIAL_SECONDS

_SILENT_SECONDS = 60.0
_FLUSH_SECONDS = 60.0
_IDLE_SECONDS = 600.0
_TICK_SECONDS = 1.0


class HandOver(Protocol):
    """Gives a connection to mitmproxy, with what it sent so far and what is known of it."""

    def __call__(self, transport: asyncio.Transport, data: bytes, connect: Connect | None) -> None:
        """Go on with it; `connect` is given once it has been answered 200."""


class TunnelLane:
    """Makes the protocol of each connection of one worker, and knows the tunnels that are here.

    A client has `head_seconds` for its CONNECT, and `hello_seconds` for its ClientHello, as long as
    `close_idle` runs.
    """

    def __init__(
        self,
        gate: Gate,
        limit: ConnectionLimit,
        hand_over: HandOver,
        *,
        head_seconds: float,
        hello_seconds: float,
    ) -> None:
        self.gate = gate
        self.limit = limit
        self.hand_over = hand_over
        self.tunnels: set[ClientSide] = set()
        self.first_bytes: Deadlines[ClientSide] = Deadlines(_SILENT_SECONDS)
        self.heads: Deadlines[ClientSide] = Deadlines(head_seconds)
        self.hellos: Deadlines[ClientSide] = Deadlines(hello_seconds)
        self.origins: Deadlines[ClientSide] = Deadlines(DIAL_SECONDS)
        self.last_words: Deadlines[OriginSide] = Deadlines(_FLUSH_SECONDS)

    def __call__(self) -> "ClientSide":
        """Return the protocol of a connection that was accepted."""
        return ClientSide(self)

    async def close_idle(self) -> None:
        """Close what has waited too long, and tunnels in which nothing has moved for ten minutes (up to
        fifteen), until it is cancelled."""
        loop = asyncio.get_running_loop()
        moved: dict[ClientSide, int] = {}
        still: set[ClientSide] = set()
        looked_at = loop.time()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = loop.time()
            self._close_late(now)
            if now - looked_at < _IDLE_SECONDS / 2:
                continue
            looked_at = now
            counts = {tunnel: tunnel.bytes_moved for tunnel in self.tunnels}
            unmoved = {tunnel for tunnel, count in counts.items() if moved.get(tunnel) == count}
            for tunnel in still & unmoved:
                tunnel.close("nothing was said for ten minutes")
            moved, still = counts, unmoved

    def _close_late(self, now: float) -> None:
        for waiting in (self.first_bytes, self.heads, self.hellos, self.origins):
            for client in waiting.over(now):
                client.waited_long_enough()
        for origin in self.last_words.over(now):
            origin.transport.abort()
