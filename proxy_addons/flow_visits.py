"""The visit that a request counts for: one of its own, or that of the connection on which it came."""

import functools

from mitmproxy import http

from policy.decision import Lane
from policy.kept_addresses import keeps_addresses
from proxy_addons.gate import Gate, close_connection
from proxy_addons.gone_to import is_gone_to
from proxy_addons.judge import Judge, Judgement
from proxy_addons.page_address import page_address
from proxy_addons.page_response import stopped_response
from proxy_addons.visit_log import OpenVisit

VISIT = "towngate-visit"
"""Metadata of a flow: the visit that its bytes count for."""
IS_WHOLE_VISIT = "towngate-is-whole-visit"
"""Metadata of a flow: its visit ends with it, and not with the connection."""


def stop_request(
    gate: Gate, flow: http.HTTPFlow, stopped: Judgement, refusal: str, says: str, *, can_ask: bool
) -> http.Response:
    """Return the answer to what is stopped within a visit that goes on: a visit record of its own."""
    visit: OpenVisit = flow.metadata.pop(VISIT)
    if flow.metadata.get(IS_WHOLE_VISIT):
        visit.judgement = stopped
        gate.log.divert(visit, Lane.BLOCK)
    else:
        visit = begin_within(gate, flow, visit, stopped, Lane.BLOCK)
    try:
        return stopped_response(gate, visit, flow.request, says, can_ask=can_ask)
    finally:
        gate.log.end(visit, refusal)


def begin_within(
    gate: Gate, flow: http.HTTPFlow, whole: OpenVisit, judgement: Judgement, lane: Lane
) -> OpenVisit:
    """Begin a visit of its own for a request that was counted for a whole connection's until now."""
    close = functools.partial(close_connection, flow.client_conn.id)
    visit = gate.log.begin(judgement, lane, close, connections=0)
    is_page = is_gone_to(flow.request)
    visit.take_request_of(whole, is_page=is_page)
    if is_page:
        # The visit that goes on has it, too: it may have gone there before.
        keep_address(gate.judge, visit, flow.request, judgement)
    return visit


def keep_address(judge: Judge, visit: OpenVisit, request: http.Request, judgement: Judgement) -> None:
    """Keep the address of a page that was gone to where the policy says so."""
    kept = judge.policy.addresses
    if kept is not None and keeps_addresses(judgement.visit, judge.policy, judge.state):
        visit.keep_address(page_address(request, judgement, with_query=kept.with_queries))
