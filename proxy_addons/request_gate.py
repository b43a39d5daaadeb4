"""Requests that the proxy can read: plain HTTP, and those behind a page under the town's CA."""

import functools
from collections.abc import Callable
from dataclasses import replace

from mitmproxy import http

from categories.host_name import HostNameError, canonical_host
from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Client
from proxy_addons.client_identity import SignInRequiredError, sign_in_response
from proxy_addons.fail_closed import fail_closed
from proxy_addons.gate import (
    ClientConnection,
    Connect,
    Gate,
    address_of,
    close_connection,
    dial_name,
    visible_path,
)
from proxy_addons.judge import Judgement
from proxy_addons.mitmproxy_changes import UNREACHABLE_PAGE
from proxy_addons.page_response import again_response, page, page_response
from proxy_addons.visit_log import OpenVisit

_VISIT = "towngate-visit"


class RequestGate:
    """Judges every readable request before its origin server is dialled; streams every body."""

    name = "towngate-request-gate"

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @fail_closed
    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer with a page, or let the request go on, counted."""
        gate = self._gate
        address = address_of(flow.client_conn)
        if flow.error is not None:
            # mitmproxy found it malformed and answers 400 by itself.
            gate.log.record(gate.refused(address, Cause.MALFORMED), Lane.REFUSE, flow.error.msg)
            return
        known = gate.connection_of(flow.client_conn)
        if known.connect is not None:
            await self._behind_connect(flow, known, known.connect)
        else:
            await self._plain(flow, known, address)

    @fail_closed
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream the origin server's answer and count it."""
        visit: OpenVisit | None = flow.metadata.get(_VISIT)
        if visit is not None and flow.response is not None:
            visit.bytes_down += _head_bytes(flow.response)
            flow.response.stream = _counted(visit, "bytes_down")

    def response(self, flow: http.HTTPFlow) -> None:
        """Write the visit when its answer is complete; a WebSocket goes on."""
        if flow.websocket is None:
            self._end(flow)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Count a message, and do not keep it."""
        visit: OpenVisit | None = flow.metadata.get(_VISIT)
        messages = flow.websocket.messages if flow.websocket else []
        for message in messages:
            if visit is not None and message.from_client:
                visit.bytes_up += len(message.content)
            elif visit is not None:
                visit.bytes_down += len(message.content)
        messages.clear()

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Write the visit when its WebSocket has ended."""
        self._end(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Write a visit that did not come to its end."""
        self._end(flow, flow.error.msg if flow.error else None)

    async def _plain(self, flow: http.HTTPFlow, known: ClientConnection, address: str) -> None:
        gate, judge, request = self._gate, self._gate.judge, flow.request
        try:
            client = await gate.identity.identify(address, request.headers, judge)
        except SignInRequiredError:
            flow.response = sign_in_response(judge.policy.town.name)
            return
        try:
            if request.scheme != "http":
                raise HostNameError(f"{request.scheme}:// cannot be asked for without CONNECT")
            host = canonical_host(request.host)
        except HostNameError as error:
            gate.log.record(gate.refused(address, Cause.MALFORMED), Lane.REFUSE, str(error))
            flow.response = http.Response.make(
                400, f"This is not the address of a site: {error}\n", {"Connection": "close"}
            )
            return
        # RFC 9112 section 3.2.2: the target of an absolute-form request replaces its Host.
        request.host = dial_name(host)
        await self._judge_request(flow, known, client, host, request.port)

    async def _behind_connect(self, flow: http.HTTPFlow, known: ClientConnection, connect: Connect) -> None:
        visit = connect.judgement.visit
        if connect.dial_error is not None:
            connect.is_recorded = True
            decision = Decision(Verdict.BLOCK, Cause.UNREACHABLE)
            judgement = replace(connect.judgement, decision=decision)
            await self._answer_with_page(flow, judgement, connect.dial_error)
        elif connect.scheme == "http":
            flow.request.host = dial_name(visit.host)
            connect.is_recorded = True
            await self._judge_request(flow, known, connect.client, visit.host, visit.port)
        else:
            path = visible_path(flow.request)
            judgement = self._gate.decide(
                self._gate.judge, connect.client, "https", visit.host, visit.port, path
            )
            if judgement.decision.is_allowed:
                # Allowed since the connection was opened: it starts anew, as a tunnel.
                flow.response = again_response(flow.request)
            else:
                connect.is_recorded = True
                await self._answer_with_page(flow, judgement)

    async def _judge_request(
        self, flow: http.HTTPFlow, known: ClientConnection, client: Client, host: str, port: int
    ) -> None:
        path = visible_path(flow.request)
        judgement = self._gate.decide(self._gate.judge, client, "http", host, port, path)
        if not judgement.decision.is_allowed:
            await self._answer_with_page(flow, judgement)
            return
        known.may_dial.add((dial_name(host), port))
        visit = self._gate.log.begin(judgement, Lane.PLAIN, close_connection(flow.client_conn))
        flow.metadata[_VISIT] = visit
        flow.metadata[UNREACHABLE_PAGE] = functools.partial(self._unreachable_page, visit)
        visit.bytes_up += _head_bytes(flow.request)
        flow.request.stream = _counted(visit, "bytes_up")

    async def _answer_with_page(
        self, flow: http.HTTPFlow, judgement: Judgement, reason: str | None = None
    ) -> None:
        visit = self._gate.log.begin(judgement, Lane.BLOCK, close_connection(flow.client_conn))
        try:
            flow.response = await page_response(self._gate, visit, flow.request)
        finally:
            self._gate.log.end(visit, reason)

    def _unreachable_page(self, visit: OpenVisit, error: str) -> http.Response:
        decision = Decision(Verdict.BLOCK, Cause.UNREACHABLE)
        visit.judgement = replace(visit.judgement, decision=decision)
        visit.refusal = error
        return page(self._gate, visit)

    def _end(self, flow: http.HTTPFlow, reason: str | None = None) -> None:
        visit: OpenVisit | None = flow.metadata.pop(_VISIT, None)
        if visit is not None:
            self._gate.log.end(visit, reason)


def _counted(visit: OpenVisit, direction: str) -> Callable[[bytes], bytes]:
    def count(data: bytes) -> bytes:
        setattr(visit, direction, getattr(visit, direction) + len(data))
        return data

    return count


def _head_bytes(message: http.Message) -> int:
    return sum(len(name) + len(value) + 4 for name, value in message.headers.fields)
