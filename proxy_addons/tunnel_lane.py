"""The tunnel lane: what most connections are, an allowed tunnel, without mitmproxy's layers.

It has no verdicts of its own. A connection begins here; as soon as it is anything but a plain CONNECT
that is allowed, unopened, by someone who needs no asking, with a ClientHello that names that very host,
mitmproxy gets it with every byte that came, and the addons judge:

    plain HTTP, 407, another port, an odd head     the bytes untouched, nothing answered yet
    a host that is blocked or opened               behind the 200, as a transparent connection
    another SNI, none, what is no TLS              the same
    an origin server that cannot be reached        the same, for a page that says so
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, assert_never, cast

from categories.host_name import HostNameError, canonical_host
from policy.decision import Cause, Lane
from proxy_addons import egress_metrics
from proxy_addons.client_hello import server_name_of
from proxy_addons.connect_head import LessPlainError, read_head
from proxy_addons.connection_limit import ConnectionLimit
from proxy_addons.fail_closed import closed_on_failure
from proxy_addons.gate import Connect, Gate, dial_name, lane_of
from proxy_addons.tls_alert import REFUSED
from proxy_addons.visit_log import OpenVisit

logger = logging.getLogger(__name__)

_TUNNELLED = egress_metrics.LANE_CONNECTIONS.labels("tunnelled")
_HANDED_OVER = egress_metrics.LANE_CONNECTIONS.labels("handed_over")
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_HELD_BYTES = 64 << 10
_SILENT_SECONDS = 60.0
_FLUSH_SECONDS = 60.0
_IDLE_SECONDS = 600.0


class HandOver(Protocol):
    """Gives a connection to mitmproxy, with what it sent so far and what is known of it."""

    def __call__(self, transport: asyncio.Transport, data: bytes, connect: Connect | None) -> None:
        """Go on with it; `connect` is given once it has been answered 200."""


class _State(Enum):
    HEAD = auto()
    HELLO = auto()
    DIALLING = auto()
    OPEN = auto()
    GONE = auto()
    """Handed over, or ended."""


class TunnelLane:
    """Makes the protocol of each connection of one worker, and knows the tunnels that are here.

    A client has `head_seconds` for its CONNECT, and `hello_seconds` for its ClientHello.
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
        self.head_seconds = head_seconds
        self.hello_seconds = hello_seconds
        self.tunnels: set[ClientSide] = set()

    def __call__(self) -> "ClientSide":
        """Return the protocol of a connection that was accepted."""
        return ClientSide(self)

    async def close_idle(self) -> None:
        """Close tunnels in which nothing has moved for ten minutes (up to fifteen), until it is cancelled."""
        moved: dict[ClientSide, int] = {}
        still: set[ClientSide] = set()
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 2)
            now = {tunnel: tunnel.bytes_moved for tunnel in self.tunnels}
            unmoved = {tunnel for tunnel, count in now.items() if moved.get(tunnel) == count}
            for tunnel in still & unmoved:
                tunnel.close("nothing was said for ten minutes")
            moved, still = now, unmoved


class ClientSide(asyncio.Protocol):
    """One connection of a client, for as long as it is in the lane."""

    __slots__ = (
        "_address",
        "_buffer",
        "_dial",
        "_has_ended",
        "_hello_bytes",
        "_lane",
        "_origin",
        "_state",
        "_timer",
        "_transport",
        "_visit",
    )

    _transport: asyncio.Transport
    _visit: OpenVisit
    _address: str

    def __init__(self, lane: TunnelLane) -> None:
        self._lane = lane
        self._state = _State.HEAD
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._dial: asyncio.Task[None] | None = None
        self._origin: _OriginSide | None = None
        self._hello_bytes = 0
        self._has_ended = False

    @property
    def bytes_moved(self) -> int:
        """How many bytes the tunnel has carried both ways."""
        return self._visit.bytes_up + self._visit.bytes_down

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for what the client has to say."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:
            # It has left again.
            self._state = _State.GONE
            self._abort()
            return
        self._address = peer[0]
        if self._lane.limit.is_full(self._address):
            self._state = _State.GONE
            self._lane.hand_over(self._transport, b"", None)
            return
        self._lane.limit.count(self._address)
        self._wait(_SILENT_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Carry on, in whatever state the connection is."""
        if self._state is _State.OPEN and self._origin is not None:
            self._origin.write(self._visit.count_up(data))
            return
        if self._state is _State.HEAD and not self._buffer:
            self._wait(self._lane.head_seconds)
        self._buffer += data
        with closed_on_failure("tunnel_lane", self._give_up):
            self._go_on()

    def eof_received(self) -> bool:
        """Pass the client's last word on; one that leaves before there is a tunnel is let go."""
        if self._state is _State.DIALLING and len(self._buffer) > self._hello_bytes:
            # More than a greeting: its last word, which has an answer.
            self._has_ended = True
            return True
        if self._state is not _State.OPEN or self._origin is None:
            return False
        return self._origin.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is left of the connection."""
        self._stop_waiting()
        if self._dial is not None:
            self._dial.cancel()
        if self._origin is not None:
            is_closed_by_us = self._visit.refusal is not None
            self._origin.end(at_once=is_closed_by_us)
        self._end("the client left before anything was shown" if self._state is not _State.OPEN else None)

    def pause_writing(self) -> None:
        """Read no more from the origin server while the client does not read."""
        if self._origin is not None:
            self._origin.pause_reading()

    def resume_writing(self) -> None:
        """Read on from the origin server."""
        if self._origin is not None:
            self._origin.resume_reading()

    def close(self, reason: str) -> None:
        """End the tunnel, whatever it is doing; the visit says why."""
        self._visit.refusal = reason
        self._abort()

    def _go_on(self) -> None:
        match self._state:
            case _State.HEAD:
                self._read_head()
            case _State.HELLO:
                self._read_hello()
            case _State.DIALLING:
                if len(self._buffer) > _HELD_BYTES:
                    self._transport.pause_reading()
            case _State.OPEN | _State.GONE:
                pass
            case _:
                assert_never(self._state)

    def _read_head(self) -> None:
        """Answer a plain CONNECT of someone known, to a port that may be reached."""
        gate = self._lane.gate
        try:
            head = read_head(self._buffer)
            if head is None:
                return
            host = canonical_host(head.host)
        except (LessPlainError, HostNameError):
            self._give_away(None)
            return
        judge = gate.judge
        client = gate.identity.known_now(self._address, head.authorization, judge)
        judgement = None if client is None else gate.decide(judge, client, "https", host, head.port, None)
        if judgement is None or judgement.decision.cause is Cause.PORT:
            self._give_away(None)
            return
        lane = lane_of(judgement.decision)
        self._visit = gate.log.begin(judgement, lane, self._abort)
        self._buffer = self._buffer[head.length :]
        self._state = _State.HELLO
        self._transport.write(_ESTABLISHED)
        if lane is not Lane.TUNNEL:
            self._give_away(Connect(self._visit))
            return
        self._wait(self._lane.hello_seconds)
        if self._buffer:
            self._read_hello()

    def _read_hello(self) -> None:
        """Dial for a client that greets the very host it asked for."""
        asked = self._visit.judgement.visit
        try:
            name = server_name_of(self._buffer)
            if name is None:
                return
            if canonical_host(name.decode("ascii")) != asked.host:
                raise LessPlainError
        except (LessPlainError, ValueError):
            self._give_away(Connect(self._visit))
            return
        self._stop_waiting()
        self._state = _State.DIALLING
        self._hello_bytes = len(self._buffer)
        self._dial = asyncio.get_running_loop().create_task(self._connect(dial_name(asked.host), asked.port))

    async def _connect(self, host: str, port: int) -> None:
        with closed_on_failure("tunnel_lane", self._give_up):
            try:
                connected = await self._connected_socket(host, port)
            except OSError as error:
                self._dial = None
                self._say_unreachable(str(error))
                return
            origin = _OriginSide(self._transport, self._visit, self._begin)
            await asyncio.get_running_loop().create_connection(lambda: origin, sock=connected)
            self._dial = None
            if self._transport.is_closing():
                origin.abort()
                return
            self._state = _State.OPEN
            _TUNNELLED.inc()
            self._lane.tunnels.add(self)
            # Before the write, which may pause it again.
            self._transport.resume_reading()
            origin.write(self._visit.count_up(self._buffer))
            self._buffer = b""
            if self._has_ended and not origin.write_eof():
                self._transport.close()

    def _begin(self, origin: "_OriginSide") -> None:
        """Know the origin server's side before its first bytes come: it may have to be paused."""
        self._origin = origin

    async def _connected_socket(self, host: str, port: int) -> socket.socket:
        """Return a socket to the origin server, looked at once more. Raises OSError."""
        resolver = self._lane.gate.resolver
        connected = await resolver.connected_socket(host, port, self._address)
        try:
            # The resolver has judged it before; this is what the socket says.
            address, actual_port = connected.getpeername()[:2]
            refusal = resolver.refusal_of(host, port, address, actual_port)
            if refusal is not None:
                logger.error("connected where no one may: host=%s address=%s", host, address)
                raise OSError(refusal)
        except BaseException:
            connected.close()
            raise
        return connected

    def _say_unreachable(self, error: str) -> None:
        """Have mitmproxy show a page, unless the site must not be decrypted even for that."""
        gate, visit = self._lane.gate, self._visit
        if gate.judge.may_show_page(visit.judgement):
            gate.log.divert(visit, Lane.BLOCK, Cause.UNREACHABLE)
            self._give_away(Connect(visit, dial_error=error))
        else:
            gate.log.divert(visit, Lane.REFUSE, Cause.UNREACHABLE)
            visit.refusal = error
            self._transport.write(REFUSED)
            self._transport.close()

    def _give_away(self, connect: Connect | None) -> None:
        self._leave()
        _HANDED_OVER.inc()
        data, self._buffer = self._buffer, b""
        if self._transport.is_closing():
            if connect is not None:
                self._lane.gate.log.end(connect.visit, connect.dial_error)
            return
        try:
            self._lane.hand_over(self._transport, data, connect)
        except BaseException:
            if connect is not None:
                self._lane.gate.log.end(connect.visit, "deciding failed")
            raise

    def _give_up(self) -> None:
        """Let the addons judge, and fail closed, where nothing was answered yet; else close."""
        if self._state is _State.HEAD:
            self._give_away(None)
            return
        if self._state is not _State.GONE:
            self._lane.gate.log.divert(self._visit, Lane.REFUSE, Cause.FAULT)
            self._visit.refusal = "deciding failed"
        self._abort()

    def _abort(self) -> None:
        self._transport.abort()

    def _end(self, refusal: str | None) -> None:
        self._lane.tunnels.discard(self)
        if self._state not in (_State.HEAD, _State.GONE):
            self._lane.gate.log.end(self._visit, refusal)
        if self._state is not _State.GONE:
            self._leave()

    def _leave(self) -> None:
        self._stop_waiting()
        self._state = _State.GONE
        self._lane.limit.uncount(self._address)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end_late)

    def _end_late(self) -> None:
        if self._state is _State.HEAD and self._buffer:
            # A head that is not there whole in time is answered, and recorded, by mitmproxy.
            self._give_away(None)
        elif self._state is _State.HELLO:
            self._lane.gate.log.divert(self._visit, Lane.REFUSE, Cause.NOT_TLS)
            self.close("no ClientHello in time")
        else:
            self._abort()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _OriginSide(asyncio.Protocol):
    """The other end of a tunnel."""

    __slots__ = ("_begin", "_client", "_has_ended", "_is_client_done", "_late", "_transport", "_visit")

    _transport: asyncio.Transport

    def __init__(
        self, client: asyncio.Transport, visit: OpenVisit, begin: Callable[["_OriginSide"], None]
    ) -> None:
        self._client = client
        self._visit = visit
        self._begin = begin
        self._late: asyncio.TimerHandle | None = None
        self._has_ended = False
        self._is_client_done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._begin(self)

    def data_received(self, data: bytes) -> None:
        self._client.write(self._visit.count_down(data))

    def eof_received(self) -> bool:
        self._has_ended = True
        if not self._client.is_closing() and self._client.can_write_eof():
            self._client.write_eof()
        return not self._is_client_done

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        # What it said last is still on its way to the client.
        self._client.close()

    def pause_writing(self) -> None:
        if not self._client.is_closing():
            self._client.pause_reading()

    def resume_writing(self) -> None:
        if not self._client.is_closing():
            self._client.resume_reading()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def write_eof(self) -> bool:
        """Pass the client's end on; whether the tunnel goes on, since the origin server may say more."""
        self._is_client_done = True
        if not self._transport.is_closing():
            self._transport.write_eof()
        return not self._has_ended

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self, *, at_once: bool) -> None:
        """Close what is left: at once, or when all that the client said has been taken, for a minute."""
        if at_once:
            self.abort()
            return
        if not self._transport.is_closing():
            self._transport.close()
            self._late = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.abort)

    def abort(self) -> None:
        self._transport.abort()
