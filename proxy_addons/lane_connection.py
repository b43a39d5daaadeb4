"""A connection in the tunnel lane: what `lane_states` says, carried out on asyncio's transports."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never, cast

from policy.decision import Cause, Lane
from proxy_addons import egress_metrics
from proxy_addons.deadlines import Deadlines
from proxy_addons.fail_closed import closed_on_failure
from proxy_addons.gate import Connect, dial_name, lane_of
from proxy_addons.judge import Judgement
from proxy_addons.lane_origin import OriginSide
from proxy_addons.lane_states import (
    Actions,
    AskWay,
    Dial,
    Do,
    EndVisit,
    GiveAway,
    LaneStates,
    Open,
    Refuse,
    State,
    Way,
)
from proxy_addons.stepping import Steps
from proxy_addons.tls_alert import REFUSED
from proxy_addons.visit_log import OpenVisit

if TYPE_CHECKING:
    from proxy_addons.tunnel_lane import TunnelLane

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ClientSide(asyncio.Protocol):
    """One connection of a client, for as long as it is in the lane."""

    __slots__ = (
        "_address",
        "_dial",
        "_judgement",
        "_lane",
        "_origin",
        "_states",
        "_transport",
        "_up",
        "_visit",
        "_waiting",
    )

    _transport: asyncio.Transport
    _address: str
    _judgement: Judgement
    _visit: OpenVisit

    def __init__(self, lane: "TunnelLane") -> None:
        self._lane = lane
        self._states = LaneStates()
        self._waiting: Deadlines[ClientSide] | None = None
        self._dial: Steps | None = None
        self._origin: OriginSide | None = None
        self._up: Callable[[bytes], None] | None = None
        """Says something to the origin server, once the tunnel is open."""

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
            self._states.state = State.GONE
            self._transport.abort()
            return
        self._address = peer[0]
        if self._lane.limit.is_full(self._address):
            self._states.state = State.GONE
            self._lane.hand_over(self._transport, b"", None)
            return
        self._lane.limit.count(self._address)
        self._do(self._states.accepted())

    def data_received(self, data: bytes) -> None:
        """Carry on, in whatever state the connection is."""
        if self._up is not None:
            self._visit.bytes_up += len(data)
            self._up(data)
        else:
            self._do(self._states.received(data))

    def eof_received(self) -> bool:
        """Take the client's last word; the connection is closed when it is not needed any more."""
        self._do(self._states.client_ended())
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is left of the connection."""
        is_counted = self._states.state is not State.GONE
        self._do(self._states.client_lost())
        if is_counted:
            self._lane.limit.uncount(self._address)

    def pause_writing(self) -> None:
        """Read no more from the origin server while the client does not read."""
        if self._origin is not None and not self._origin.transport.is_closing():
            self._origin.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on from the origin server."""
        if self._origin is not None and not self._origin.transport.is_closing():
            self._origin.transport.resume_reading()

    def waited_long_enough(self) -> None:
        """Give up what has not come in its time."""
        if self._states.state is State.DIALLING:
            if self._dial is not None:
                self._dial.cancel()
            egress_metrics.UPSTREAM_ERRORS.labels("timeout").inc()
            self._say_unreachable(f"no answer within {self._lane.origins.seconds:g} seconds")
        else:
            self._do(self._states.waited_long_enough())

    def origin_ended(self) -> None:
        """Pass the origin server's last word on."""
        self._do(self._states.origin_ended())

    def origin_lost(self, origin: "OriginSide") -> None:
        """End with the origin server."""
        self._lane.last_words.stop(origin)
        self._do(self._states.origin_lost())

    def pause_reading(self) -> None:
        """Read no more from the client while the origin server does not read."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on from the client."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self, reason: str) -> None:
        """End the tunnel, whatever it is doing; the visit says why."""
        self._visit.refusal = reason
        self._transport.abort()

    def _do(self, actions: Actions) -> None:
        with closed_on_failure("tunnel_lane", self._fail):
            self._carry_out(actions)

    def _fail(self) -> None:
        self._carry_out(self._states.failed())

    def _carry_out(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Do():
                    _DO[action](self)
                case AskWay():
                    self._carry_out(self._states.judged(self._way(action)))
                case Dial():
                    self._dial = Steps(self._connect(dial_name(action.host), action.port))
                case Open():
                    self._open(action.data)
                case EndVisit():
                    self._lane.tunnels.discard(self)
                    self._lane.gate.log.end(self._visit, action.refusal)
                case Refuse():
                    self._refuse(action)
                case GiveAway():
                    self._give_away(action)
                case _:
                    assert_never(action)

    def _way(self, ask: AskWay) -> Way:
        gate = self._lane.gate
        judge = gate.judge
        client = gate.identity.known_now(self._address, ask.authorization, judge)
        if client is None:
            return Way.UNTOUCHED
        self._judgement = gate.decide(judge, client, "https", ask.host, ask.port, None)
        if self._judgement.decision.cause is Cause.PORT:
            return Way.UNTOUCHED
        return Way.TUNNEL if lane_of(self._judgement.decision) is Lane.TUNNEL else Way.ANSWERED

    async def _connect(self, host: str, port: int) -> None:
        with closed_on_failure("tunnel_lane", self._fail):
            try:
                transport = await self._lane.gate.resolver.connect(
                    lambda: OriginSide(self), host, port, self._address
                )
            except OSError as error:
                self._dial = None
                self._say_unreachable(str(error))
                return
            self._dial = None
            if self._states.state is not State.DIALLING or self._transport.is_closing():
                # Nobody waits for it any more.
                transport.abort()
                return
            self._origin = cast(OriginSide, transport.get_protocol())
            self._carry_out(self._states.dialled())

    def _say_unreachable(self, error: str) -> None:
        with closed_on_failure("tunnel_lane", self._fail):
            may_show_page = self._lane.gate.judge.may_show_page(self._visit.judgement)
            self._carry_out(self._states.dial_failed(error, may_show_page=may_show_page))

    def _open(self, data: bytes) -> None:
        egress_metrics.TUNNELLED.add()
        self._lane.tunnels.add(self)
        if self._origin is not None:
            self._origin.open(self._visit, self._transport)
            self._up = self._origin.transport.write
            self.data_received(data)

    def _let_origin_go(self) -> None:
        if self._dial is not None:
            self._dial.cancel()
        # Kept by each other, both would stay in memory.
        origin, self._origin, self._up = self._origin, None, None
        if origin is None or origin.transport.is_closing():
            return
        if self._visit.refusal is not None:
            origin.transport.abort()
            return
        # It has a minute to take what the client said last.
        origin.transport.close()
        self._lane.last_words.start(origin, asyncio.get_running_loop().time())

    def _give_away(self, action: GiveAway) -> None:
        self._lane.limit.uncount(self._address)
        egress_metrics.HANDED_OVER.add()
        connect = Connect(self._visit, dial_error=action.dial_error) if action.is_answered else None
        if connect is not None and action.dial_error is not None:
            self._lane.gate.log.divert(connect.visit, Lane.BLOCK, Cause.UNREACHABLE)
        if self._transport.is_closing():
            if connect is not None:
                self._lane.gate.log.end(connect.visit, action.dial_error)
            return
        try:
            self._lane.hand_over(self._transport, action.data, connect)
        except BaseException:
            if connect is not None:
                self._lane.gate.log.end(connect.visit, "deciding failed")
            raise

    def _refuse(self, action: Refuse) -> None:
        self._lane.gate.log.divert(self._visit, Lane.REFUSE, action.cause)
        if action.has_alert:
            self._visit.refusal = action.refusal
            self._transport.write(REFUSED)
            self._transport.close()
        else:
            self.close(action.refusal)

    def _begin_visit(self) -> None:
        begun_as = lane_of(self._judgement.decision)
        self._visit = self._lane.gate.log.begin(self._judgement, begun_as, self._transport.abort)

    def _end_up(self) -> None:
        if self._origin is not None and not self._origin.transport.is_closing():
            self._origin.transport.write_eof()

    def _end_down(self) -> None:
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _wait_in(self, deadlines: Deadlines["ClientSide"]) -> None:
        if self._waiting is not None:
            self._waiting.stop(self)
        self._waiting = deadlines
        deadlines.start(self, asyncio.get_running_loop().time())

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.stop(self)
            self._waiting = None


_DO: dict[Do, Callable[[ClientSide], None]] = {
    Do.WAIT_FOR_FIRST_BYTE: lambda client: client._wait_in(client._lane.first_bytes),
    Do.WAIT_FOR_HEAD: lambda client: client._wait_in(client._lane.heads),
    Do.WAIT_FOR_HELLO: lambda client: client._wait_in(client._lane.hellos),
    Do.WAIT_FOR_ORIGIN: lambda client: client._wait_in(client._lane.origins),
    Do.STOP_WAITING: ClientSide._stop_waiting,
    Do.BEGIN_VISIT: ClientSide._begin_visit,
    Do.ANSWER: lambda client: client._transport.write(_ESTABLISHED),
    Do.PAUSE: lambda client: client._transport.pause_reading(),
    Do.RESUME: lambda client: client._transport.resume_reading(),
    Do.END_UP: ClientSide._end_up,
    Do.END_DOWN: ClientSide._end_down,
    Do.CLOSE: lambda client: client._transport.close(),
    Do.ABORT: lambda client: client._transport.abort(),
    Do.LET_ORIGIN_GO: ClientSide._let_origin_go,
}
