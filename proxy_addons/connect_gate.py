"""CONNECT: who asks for which host, then the ClientHello; judged before anything is dialled."""

import re
from dataclasses import replace

from mitmproxy import connection, http, tls
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, HttpLayer, ServerTLSLayer
from mitmproxy.proxy.layers.http import HTTPMode, HttpStream
from mitmproxy.proxy.layers.tls import parse_client_hello

from categories.host_name import HostNameError, canonical_host
from policy.decision import Cause, Decision, Lane, Verdict, stricter
from proxy_addons.client_identity import SignInRequiredError, sign_in_response
from proxy_addons.fail_closed import fail_closed
from proxy_addons.gate import Connect, Gate, address_of, close_connection, dial_name
from proxy_addons.tunnel_layer import ClosingLayer, TunnelLayer
from proxy_addons.visit_log import OpenVisit

_MAX_CLIENT_HELLO_BYTES = 64 << 10
_TLS_HANDSHAKE = 0x16
_HTTP_METHOD = re.compile(rb"[A-Z]{3,10} ")


class ConnectGate:
    """Chooses the lane of every CONNECT.

    1. who asks, and whether the port may be reached at all: 407 or 403
    2. the host of the CONNECT is judged
    3. the SNI of the ClientHello is judged too; the stricter verdict wins
    4. allowed: tunnel; blocked: TLS under the town's CA, for a page; neither: closed
    """

    name = "towngate-connect-gate"

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @fail_closed
    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Judge the CONNECT's host before it is answered."""
        gate, judge, request = self._gate, self._gate.judge, flow.request
        known = gate.connection_of(flow.client_conn)
        known.connect = None
        address = address_of(flow.client_conn)
        try:
            client = await gate.identity.identify(address, request.headers, judge)
        except SignInRequiredError:
            flow.response = sign_in_response(judge.policy.town.name)
            return
        try:
            host = canonical_host(request.host)
        except HostNameError as error:
            gate.log.record(gate.refused(address, Cause.MALFORMED), Lane.REFUSE, str(error))
            flow.response = _refusal(400, f"This is not the address of a site: {error}")
            return
        judgement = gate.decide(judge, client, "https", host, request.port, None)
        if judgement.decision.cause is Cause.PORT:
            gate.log.record(judgement, Lane.REFUSE, f"port {request.port} is not allowed")
            flow.response = _refusal(403, f"The town does not allow connections to port {request.port}.")
            return
        request.data.host = dial_name(host)
        known.connect = Connect(client, judgement)

    @fail_closed
    def next_layer(self, nextlayer: NextLayer) -> None:
        """Choose the lane once the client has said enough; bytes that are not TLS are refused."""
        context = nextlayer.context
        connect = self._gate.connection_of(context.client).connect
        if connect is None or not isinstance(context.layers[-1], HttpStream):
            return
        data = nextlayer.data_client()
        if not data:
            raise AddonHalt
        if data[0] == _TLS_HANDSHAKE:
            try:
                hello = parse_client_hello(data)
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
            connect.scheme = "http"
            nextlayer.layer = HttpLayer(context, HTTPMode.transparent)
        elif len(data) < 10 and data.isalpha() and data.isupper():
            raise AddonHalt
        else:
            self._refuse(nextlayer, connect, Cause.NOT_TLS, "neither TLS nor HTTP")

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Record a page that could not be shown, because the program does not trust our CA."""
        self._record_unseen(data.context.client, "the program did not accept the town's certificate")

    def client_disconnected(self, client: connection.Client) -> None:
        """Record a blocked CONNECT on which nothing was ever asked."""
        self._record_unseen(client, "closed by the client before a page could be shown")
        self._gate.forget(client)

    def _choose_lane(self, nextlayer: NextLayer, connect: Connect, hello: tls.ClientHello) -> None:
        context = nextlayer.context
        if hello.sni is not None:
            try:
                sni = canonical_host(hello.sni)
            except HostNameError as error:
                self._refuse(nextlayer, connect, Cause.MALFORMED, f"SNI: {error}")
                return
            visit = connect.judgement.visit
            if sni != visit.host:
                named = self._gate.decide(self._gate.judge, connect.client, "https", sni, visit.port, None)
                if stricter(connect.judgement.decision, named.decision) is named.decision:
                    connect.judgement = named
                if connect.judgement.decision.is_allowed:
                    reason = f"CONNECT asks for {visit.host}, the ClientHello for {sni}"
                    self._refuse(nextlayer, connect, Cause.MISMATCH, reason)
                    return
        if connect.judgement.decision.is_allowed:
            nextlayer.layer = self._tunnel(context, connect)
        else:
            page = ServerTLSLayer(context)
            page.child_layer = ClientTLSLayer(context)
            nextlayer.layer = page

    def _tunnel(self, context: Context, connect: Connect) -> TunnelLayer:
        gate = self._gate
        visit = connect.judgement.visit
        gate.connection_of(context.client).may_dial.add((dial_name(visit.host), visit.port))

        def begin() -> OpenVisit:
            connect.is_recorded = True
            return gate.log.begin(connect.judgement, Lane.TUNNEL, close_connection(context.client))

        def on_dial_error(error: str) -> None:
            connect.dial_error = error

        return TunnelLayer(context, begin, gate.log.end, on_dial_error)

    def _refuse(self, nextlayer: NextLayer, connect: Connect, cause: Cause, reason: str) -> None:
        decision = connect.judgement.decision
        judgement = connect.judgement
        if decision.is_allowed:
            judgement = replace(judgement, decision=Decision(Verdict.BLOCK, cause))
        self._gate.log.record(judgement, Lane.REFUSE, reason)
        connect.is_recorded = True
        nextlayer.layer = ClosingLayer(nextlayer.context)

    def _record_unseen(self, client: connection.Client, reason: str) -> None:
        connect = self._gate.connection_of(client).connect
        if connect is None or connect.is_recorded:
            return
        connect.is_recorded = True
        judgement = connect.judgement
        if connect.dial_error is not None:
            judgement = replace(judgement, decision=Decision(Verdict.BLOCK, Cause.UNREACHABLE))
            reason = connect.dial_error
        self._gate.log.record(judgement, Lane.REFUSE, reason)


def _refusal(status: int, text: str) -> http.Response:
    return http.Response.make(
        status, text + "\n", {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
    )
