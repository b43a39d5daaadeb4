"""Requests that the proxy can read: plain HTTP, and those that were decrypted under the town's CA."""

import functools
import re

from mitmproxy import http
from msgspec import structs

from policy.acting import Act, Operations
from policy.decision import Cause, Lane
from policy.visit import Client
from proxy_addons import reading_only
from proxy_addons.download_gate import DownloadGate
from proxy_addons.fail_closed import fail_closed
from proxy_addons.first_look import look_first
from proxy_addons.flow_visits import IS_WHOLE_VISIT, VISIT, keep_address, stop_request
from proxy_addons.gate import (
    ClientConnection,
    Connect,
    Gate,
    close_connection,
    dial_name,
    is_for,
    visible_path,
)
from proxy_addons.going_on import goes_on, onward_of
from proxy_addons.gone_to import is_gone_to
from proxy_addons.head_bytes import request_head_bytes, response_head_bytes
from proxy_addons.hop_by_hop import drop_hop_by_hop
from proxy_addons.judge import Judgement
from proxy_addons.lane_states import LEFT_EARLY
from proxy_addons.mitmproxy_changes.bodies import UNREACHABLE_PAGE
from proxy_addons.page_response import (
    again_response,
    bare_response,
    can_ask_for,
    page,
    page_response,
)
from proxy_addons.reading_only import TOLD_FIRST, is_told_first
from proxy_addons.via import add_via
from proxy_addons.visit_log import OpenVisit

_HELD = "towngate-held"
"""Metadata of a flow: the judgement of a request whose body is read first, and what to read in it."""
_HTTP_PORT = 80
# "illegal chunk header: bytearray(b'...')"
_QUOTED = re.compile(r"""[\s:(]+(bytearray\()?b?['"].*""", re.DOTALL)


class RequestGate:
    """Judges every readable request before its origin server is dialled; streams every body."""

    name = "towngate-request-gate"

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.downloads = DownloadGate(gate)

    @fail_closed
    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer with a page, or let the request go on, counted."""
        gate, client = self.gate, flow.client_conn
        if flow.response is not None:
            return
        if flow.error is not None:
            # mitmproxy found headers that can be read in more than one way, and answers 400 by itself.
            gate.log.record(gate.refused(client, Cause.MALFORMED, "http"), "ambiguous headers")
            return
        known = gate.connection_of(client)
        if known.connect is None:
            found = await look_first(gate, flow, "http")
            if found is not None:
                await self._forward(flow, known, *found, flow.request.port)
        elif known.connect.is_plain:
            asked = known.connect.visit.judgement.visit
            await self._forward(flow, known, asked.client, asked.host, asked.port)
        elif known.connect.is_inspected:
            await self._inspected(flow, known.connect)
        else:
            await self._behind_page(flow, known.connect)

    @fail_closed
    async def request(self, flow: http.HTTPFlow) -> None:
        """Judge a request whose body was kept until it has been read, and count it if it goes on."""
        held: tuple[Judgement, Operations] | None = flow.metadata.pop(_HELD, None)
        if held is None:
            return
        judgement, operations = held
        act = reading_only.act_in_body(flow.request, operations)
        if act is None:
            flow.metadata[VISIT].count_up(flow.request.raw_content or b"")
        else:
            await self._stop_acting(flow, judgement, act)

    @fail_closed
    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream the origin server's answer and count it, its own connection's fields left out."""
        visit: OpenVisit | None = flow.metadata.get(VISIT)
        if visit is not None and flow.response is not None:
            drop_hop_by_hop(flow.response.headers)
            add_via(flow.response, self.gate.via)
            visit.bytes_down += response_head_bytes(flow.response)
            flow.response.stream = visit.count_down
            await self.downloads.look_at(flow, flow.response)

    def response(self, flow: http.HTTPFlow) -> None:
        """Write the visit when its answer is complete; a WebSocket goes on."""
        if flow.websocket is None:
            self._end(flow)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Count a message, or a piece of a long one, and do not keep it; the one with which a limit is
        overstepped is not sent."""
        visit: OpenVisit | None = flow.metadata.get(VISIT)
        messages = flow.websocket.messages if flow.websocket else []
        for message in messages:
            if visit is not None and message.from_client:
                visit.count_up(message.content)
            elif visit is not None and self.downloads.is_over(flow, message.content):
                message.drop()
            elif visit is not None:
                visit.count_down(message.content)
        messages.clear()

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Write the visit when its WebSocket has ended."""
        self._end(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Write a visit that did not come to its end, and why; what was sent is often quoted there."""
        self._end(flow, _QUOTED.sub("", flow.error.msg) if flow.error else None)

    async def _behind_page(self, flow: http.HTTPFlow, connect: Connect) -> None:
        """Answer what is asked on a connection that was decrypted only to show a page."""
        gate, visit = self.gate, connect.visit
        if connect.dial_error is None:
            asked = visit.judgement.visit
            shown_by = visit.judgement.decision.carried_by
            if shown_by is not None:
                # What is visited is the site that shows the one that was judged.
                asked = structs.replace(asked, host=shown_by)
            # Without the path, as the tunnel would be judged: an entry for a URL must not promise one.
            visit.judgement = gate.decide(gate.judge, asked.client, "https", asked.host, asked.port, None)
            onward = onward_of(gate, flow.request, asked.client, asked.host)
            if onward is not None and goes_on(gate, visit.judgement, onward):
                gate.log.discard(visit)
                flow.response = again_response(asked, onward.path, 303)
                return
            if visit.judgement.decision.is_allowed:
                # Allowed since the connection was opened: it starts anew, as a tunnel.
                gate.log.discard(visit)
                flow.response = again_response(asked, flow.request.path)
                return
        await self._answer_with_page(flow, visit, connect.dial_error)

    async def _inspected(self, flow: http.HTTPFlow, connect: Connect) -> None:
        """Judge a request on a connection that is looked into; what may go on is counted for its visit."""
        gate, request = self.gate, flow.request
        whole, asked = connect.visit, connect.visit.judgement.visit
        connect.has_been_read = True
        if flow.server_conn.error is not None:
            connect.dial_error = self._not_connected(whole, flow, flow.server_conn.error)
            await self._answer_with_page(flow, whole, connect.dial_error)
            return
        if not is_for(request, asked):
            # RFC 9110 section 15.5.20: it is another site's, which has to be judged by itself.
            flow.response = bare_response(421, f"This connection is for {asked.host} alone.")
            refused = gate.refused(flow.client_conn, Cause.MISMATCH, "https", asked.host, asked.port)
            gate.log.record(refused, "a request inside names another site")
            return
        onward = onward_of(gate, request, asked.client, asked.host)
        path = visible_path(request) if onward is None else onward.path.partition("?")[0]
        judgement = gate.decide(gate.judge, asked.client, "https", asked.host, asked.port, path, request.path)
        if onward is not None and goes_on(gate, judgement, onward):
            flow.response = again_response(asked, onward.path, 303)
            return
        told_first = TOLD_FIRST if is_told_first(request, judgement) else None
        close = functools.partial(close_connection, flow.client_conn.id)
        if told_first is not None or not judgement.decision.is_allowed:
            stopped = gate.log.begin(judgement, Lane.BLOCK, close, connections=0)
            await self._answer_with_page(flow, stopped, told_first)
            return
        if judgement.decision.exemption not in (None, whole.judgement.decision.exemption):
            # Access to the page: its record is what says that it is used, and it ends when access does.
            opened = gate.log.begin(judgement, Lane.INSPECT, close, connections=0)
            flow.metadata[IS_WHOLE_VISIT] = True
            await self._let_go_on(flow, opened, judgement)
            return
        gate.limits.follow_request(whole, judgement)
        await self._let_go_on(flow, whole, judgement)

    async def _forward(
        self, flow: http.HTTPFlow, known: ClientConnection, who: Client, host: str, port: int
    ) -> None:
        """Judge a request of plain HTTP, and let it go on to its origin server if it may."""
        gate, request = self.gate, flow.request
        # RFC 9112 section 3.2: the target of a request replaces its Host, and goes on in origin-form.
        request.host, request.authority = dial_name(host), ""
        request.headers["Host"] = host if port == _HTTP_PORT else f"{host}:{port}"
        onward = onward_of(gate, request, who, host)
        path = visible_path(request) if onward is None else onward.path.partition("?")[0]
        judgement = gate.decide(gate.judge, who, "http", host, port, path, request.path)
        if onward is not None and goes_on(gate, judgement, onward):
            flow.response = again_response(judgement.visit, onward.path, 303)
            return
        told_first = TOLD_FIRST if is_told_first(request, judgement) else None
        may_go_on = told_first is None and judgement.decision.is_allowed
        close = functools.partial(close_connection, flow.client_conn.id)
        lane, connections = Lane.PLAIN if may_go_on else Lane.BLOCK, int(known.visit is None)
        visit = known.visit = gate.log.begin(judgement, lane, close, connections=connections)
        if not may_go_on:
            await self._answer_with_page(flow, visit, told_first)
            return
        known.may_dial.add((dial_name(host), port))
        flow.metadata[IS_WHOLE_VISIT] = True
        await self._let_go_on(flow, visit, judgement)

    async def _let_go_on(self, flow: http.HTTPFlow, visit: OpenVisit, judgement: Judgement) -> None:
        """Have a request streamed to its origin server, and counted; what acts where it may only read not.

        Where only its body tells, that is kept from the origin server until it has been read.
        """
        flow.metadata[VISIT] = visit
        self._count(visit, flow.request, judgement)
        act = reading_only.act_of(flow.request, judgement)
        if isinstance(act, Act):
            await self._stop_acting(flow, judgement, act)
            return
        drop_hop_by_hop(flow.request.headers)
        add_via(flow.request, self.gate.via)
        self.downloads.expect(flow, judgement)
        flow.metadata[UNREACHABLE_PAGE] = functools.partial(self._unreachable_page, visit, flow)
        visit.bytes_up += request_head_bytes(flow.request)
        if act is None:
            flow.request.stream = visit.count_up
        else:
            flow.metadata[_HELD] = (judgement, act)

    async def _answer_with_page(
        self, flow: http.HTTPFlow, visit: OpenVisit, reason: str | None = None
    ) -> None:
        self._count(visit, flow.request, visit.judgement)
        try:
            flow.response = await page_response(self.gate, visit, flow.request)
        finally:
            self.gate.log.end(visit, reason)

    def _count(self, visit: OpenVisit, request: http.Request, judgement: Judgement) -> None:
        """Count a request, and keep the address of a page that was gone to where the policy says so."""
        is_page = is_gone_to(request)
        visit.count_request(is_page=is_page)
        if is_page:
            keep_address(self.gate.judge, visit, request, judgement)

    async def _stop_acting(self, flow: http.HTTPFlow, judgement: Judgement, act: Act) -> None:
        """Answer what acts on a site that is for reading only."""
        stopped, can_ask = reading_only.stopped(judgement), await can_ask_for(self.gate)
        flow.response = stop_request(
            self.gate, flow, stopped, act.refusal, reading_only.SAYS, can_ask=can_ask
        )

    def _unreachable_page(self, visit: OpenVisit, flow: http.HTTPFlow, error: str) -> http.Response:
        visit.refusal = self._not_connected(visit, flow, error)
        return page(self.gate, visit)

    def _not_connected(self, visit: OpenVisit, flow: http.HTTPFlow, error: str) -> str:
        """Have a visit be one whose origin server was not reached, or not taken; return why."""
        if flow.client_conn.timestamp_end is not None:
            # The dial has ended with its client: that says nothing about the origin server.
            return LEFT_EARLY
        refusal = visit.origin_refusal = self.gate.connection_of(flow.client_conn).origin_refusal
        if visit.judgement.decision.cause is Cause.FAULT:
            return error
        cause = Cause.UNREACHABLE if refusal is None else Cause.CERTIFICATE
        self.gate.log.divert(visit, Lane.BLOCK, cause)
        return error if refusal is None else f"{refusal.fault.value}: {refusal.detail}"

    def _end(self, flow: http.HTTPFlow, reason: str | None = None) -> None:
        visit: OpenVisit | None = flow.metadata.pop(VISIT, None)
        if visit is not None and flow.metadata.get(IS_WHOLE_VISIT):
            self.gate.log.end(visit, reason)
