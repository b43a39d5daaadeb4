"""CONNECT: who asks for which host, then the ClientHello; judged before anything is dialled."""

import asyncio
import functools
import re

from mitmproxy import connection, http, tls
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, HttpLayer
from mitmproxy.proxy.layers import tls as tls_layers
from mitmproxy.proxy.layers.http import HTTPMode, HttpStream
from mitmproxy.proxy.layers.modes import TransparentProxy

from categories.host_name import HostNameError
from policy.decision import Cause, Lane, stricter
from policy.visit_record import NOT_TRUSTED
from proxy_addons.client_hello import has_too_many_records
from proxy_addons.fail_closed import closed_on_failure, fail_closed
from proxy_addons.first_look import look_first
from proxy_addons.gate import Connect, Gate, close_connection, dial_name, lane_of, take_over
from proxy_addons.lane_states import LEFT_EARLY
from proxy_addons.page_response import bare_response
from proxy_addons.server_name import server_name
from proxy_addons.tls_alert import last_word
from proxy_addons.tunnel_layer import ClosingLayer, TunnelLayer, town_tls

_MAX_CLIENT_HELLO_BYTES = 64 << 10
_TLS_HANDSHAKE = 0x16
HELLO_SECONDS = 20.0
"""From the answer to a CONNECT to the end of the ClientHello."""
_HTTP_METHOD = re.compile(rb"[A-Z]{3,10} ")


class ConnectGate:
    """Chooses the lane of every CONNECT.

    1. who asks, and whether the port may be reached at all: 407 or 403
    2. the host of the CONNECT is judged
    3. the SNI of the ClientHello is judged too; the stricter verdict wins
    4. allowed: tunnel, or TLS under the town's CA where a rule wants it looked into; blocked: TLS under
       the town's CA, for a page; neither: closed
    """

    name = "towngate-connect-gate"
    hello_seconds = HELLO_SECONDS

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    @fail_closed
    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Judge the CONNECT's host before it is answered."""
        gate, request, client = self.gate, flow.request, flow.client_conn
        if flow.response is not None:
            return
        known = gate.connection_of(client)
        known.connect = None
        found = await look_first(gate, flow, "https")
        if found is None:
            return
        who, host = found
        judgement = gate.decide(gate.judge, who, "https", host, request.port, None)
        if judgement.decision.cause is Cause.PORT:
            gate.log.record(judgement, f"port {request.port} is not allowed")
            flow.response = bare_response(403, f"The town does not allow connections to port {request.port}.")
            return
        request.data.host = dial_name(host)
        if client.timestamp_end is None:
            lane = lane_of(judgement.decision)
            close = functools.partial(close_connection, client.id)
            known.visit = gate.log.begin(judgement, lane, close)
            known.connect = Connect(known.visit)
            self.wait_for_hello(known.connect)

    @fail_closed
    def next_layer(self, nextlayer: NextLayer) -> None:
        """Choose the lane once the client has said enough; bytes that are not TLS are refused."""
        context = nextlayer.context
        connect = self.gate.connection_of(context.client).connect
        if connect is None:
            return
        if isinstance(context.layers[-1], ClientTLSLayer):
            # Inside, nothing but HTTP is spoken: not another TLS, either.
            nextlayer.layer = HttpLayer(context, HTTPMode.transparent)
        elif not isinstance(context.layers[-1], (HttpStream, TransparentProxy)):
            return
        elif connect.dial_error is not None:
            # The tunnel lane has dialled in vain, for a client that has said what it wants.
            connect.has_said_enough()
            nextlayer.layer = town_tls(context)
        else:
            self._read_beginning(nextlayer, connect)

    def _read_beginning(self, nextlayer: NextLayer, connect: Connect) -> None:
        data = nextlayer.data_client()
        if not data:
            raise AddonHalt
        if data[0] == _TLS_HANDSHAKE and has_too_many_records(data):
            self._refuse(nextlayer, connect, Cause.NOT_TLS, "a ClientHello in too many records")
        elif data[0] == _TLS_HANDSHAKE:
            try:
                hello = tls_layers.parse_client_hello(data)
            except ValueError:
                self._refuse(nextlayer, connect, Cause.NOT_TLS, "not a ClientHello")
                return
            if hello is not None:
                self._choose_lane(nextlayer, connect, hello)
            elif len(data) > _MAX_CLIENT_HELLO_BYTES:
                self._refuse(nextlayer, connect, Cause.NOT_TLS, "a ClientHello of over 64 KiB")
            else:
                raise AddonHalt
        elif _HTTP_METHOD.match(data):
            # A plain WebSocket comes this way; each request is judged like any other.
            connect.has_said_enough()
            connect.is_plain = True
            self.gate.log.discard(connect.visit)
            nextlayer.layer = HttpLayer(nextlayer.context, HTTPMode.transparent)
        elif len(data) < 10 and data.isalpha() and data.isupper():
            raise AddonHalt
        else:
            self._refuse(nextlayer, connect, Cause.NOT_TLS, "neither TLS nor HTTP")

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Record what could not be shown, because the program does not trust our CA."""
        self._end_unseen(data.context.client, NOT_TRUSTED)

    def client_disconnected(self, client: connection.Client) -> None:
        """Record a CONNECT that has ended: one that was looked into, or on which nothing came of it."""
        connect = self.gate.connection_of(client).connect
        if connect is not None:
            connect.has_said_enough()
        if connect is not None and connect.is_inspected and connect.has_been_read:
            self.gate.log.end(connect.visit, connect.dial_error)
        else:
            self._end_unseen(client, LEFT_EARLY)

    def _choose_lane(self, nextlayer: NextLayer, connect: Connect, hello: tls.ClientHello) -> None:
        connect.has_said_enough()
        visit = connect.visit
        asked = visit.judgement.visit
        try:
            sni = server_name(hello)
        except HostNameError as error:
            self._refuse(nextlayer, connect, Cause.MALFORMED, str(error))
            return
        if sni is not None and sni != asked.host:
            gate, asked_for = self.gate, visit.judgement.decision
            named = gate.decide(gate.judge, asked.client, "https", sni, asked.port, None)
            if asked_for.is_allowed and named.decision.is_allowed:
                reason = f"CONNECT asks for {asked.host}, the ClientHello for {sni}"
                self._refuse(nextlayer, connect, Cause.MISMATCH, reason)
                return
            if stricter(asked_for, named.decision) is named.decision:
                visit.judgement = named
                gate.log.divert(visit, Lane.BLOCK)
        decision = visit.judgement.decision
        if decision.is_allowed:
            known = self.gate.connection_of(nextlayer.context.client)
            known.may_dial.add((dial_name(asked.host), asked.port))
        if decision.is_allowed and not decision.is_inspected:
            nextlayer.layer = self._tunnel(nextlayer.context, connect)
            return
        connect.is_inspected = decision.is_inspected
        nextlayer.layer = town_tls(nextlayer.context)

    def _tunnel(self, context: Context, connect: Connect) -> TunnelLayer:
        gate = self.gate

        def on_dial_error(error: str) -> bool:
            connect.dial_error = error
            may_show_page = gate.judge.may_show_page(connect.visit.judgement)
            lane = Lane.BLOCK if may_show_page else Lane.REFUSE
            gate.log.divert(connect.visit, lane, Cause.UNREACHABLE)
            if not may_show_page:
                gate.log.end(connect.visit, error)
            return may_show_page

        return TunnelLayer(context, connect.visit, take_over, on_dial_error, gate.log.end)

    def _refuse(self, nextlayer: NextLayer, connect: Connect, cause: Cause, reason: str) -> None:
        self._end_refused(connect, cause, reason)
        nextlayer.layer = ClosingLayer(nextlayer.context, last_word(nextlayer.data_client()))

    def wait_for_hello(self, connect: Connect) -> None:
        """Give a client that was answered 200 a while to say what it wants."""
        loop = asyncio.get_running_loop()
        connect.deadline = loop.call_later(self.hello_seconds, self._end_late, connect)

    def _end_late(self, connect: Connect) -> None:
        with closed_on_failure("hello_deadline", connect.visit.close):
            self._end_refused(connect, Cause.NOT_TLS, "no ClientHello in time")
            connect.visit.close()

    def _end_refused(self, connect: Connect, cause: Cause, reason: str) -> None:
        connect.has_said_enough()
        is_allowed = connect.visit.judgement.decision.is_allowed
        self.gate.log.divert(connect.visit, Lane.REFUSE, cause if is_allowed else None)
        self.gate.log.end(connect.visit, reason)

    def _end_unseen(self, client: connection.Client, reason: str) -> None:
        connect = self.gate.connection_of(client).connect
        if connect is None:
            return
        if not connect.visit.judgement.decision.is_allowed:
            self.gate.log.divert(connect.visit, Lane.REFUSE)
        self.gate.log.end(connect.visit, connect.dial_error or reason)


class OriginFirst:
    """Has an origin server's TLS come before the client's, on connections that are looked into.

    So what is wrong with the origin server can be said on a page. Comes after mitmproxy's TlsConfig,
    which would set otherwise. It enforces nothing: without it the origin server is dialled later, for a
    request that was judged.
    """

    name = "towngate-origin-first"

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Dial now what a rule wants looked into, and nothing else."""
        connect = self.gate.connection_of(data.context.client).connect
        data.establish_server_tls_first = connect is not None and connect.is_inspected
