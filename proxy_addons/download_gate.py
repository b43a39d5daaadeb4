"""Downloads that plain HTTP and opened sites carry: looked at before they are sent, and counted."""

import functools

from mitmproxy import http

from policy.decision import Decision, Lane
from policy.limiting import most_bytes, stopping
from proxy_addons import downloads
from proxy_addons.fail_closed import closed_on_failure
from proxy_addons.flow_visits import IS_WHOLE_VISIT, VISIT, begin_within, stop_request
from proxy_addons.gate import Gate
from proxy_addons.judge import Judgement
from proxy_addons.mitmproxy_changes.held_answers import LOOK_FIRST
from proxy_addons.page_response import bare_response, can_ask_for
from proxy_addons.visit_log import OpenVisit

_DOWNLOADS = "towngate-downloads"
"""Metadata of a flow: the judgement of a request whose answer may be a download that is stopped."""
_CARRIED = "towngate-carried"
"""Metadata of a flow that is a WebSocket for which a limit holds: what has come of it."""
_SWITCHING_PROTOCOLS = 101


class DownloadGate:
    """Told by the request gate of the requests that go on, and of their answers."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def expect(self, flow: http.HTTPFlow, judgement: Judgement) -> None:
        """Have the answer to a request be looked at where it may be a download that is stopped."""
        policy = self._gate.judge.policy
        if downloads.may_be_stopped(judgement, policy):
            flow.metadata[_DOWNLOADS] = judgement
            downloads.ask_for_what_can_be_told(flow.request, judgement, policy)

    async def look_at(self, flow: http.HTTPFlow, response: http.Response) -> None:
        """Have an answer be looked at before it is sent, where a rule or a limit may stop what it is."""
        judgement: Judgement | None = flow.metadata.pop(_DOWNLOADS, None)
        if judgement is None:
            return
        head = downloads.head_of(flow.request, response)
        can_ask, policy = await can_ask_for(self._gate), self._gate.judge.policy
        passed = self._gate.judge.passed(judgement.visit)
        is_counted = head.size_bytes is None or response.status_code == _SWITCHING_PROTOCOLS
        limit = most_bytes(judgement.decision, policy, passed) if is_counted else None
        if limit is not None:
            carried = downloads.Carried(limit, judgement, flow, flow.metadata[VISIT])
            if response.status_code == _SWITCHING_PROTOCOLS:
                flow.metadata[_CARRIED] = carried
            else:
                response.stream = functools.partial(self._cut, carried)

        def look(beginning: bytes) -> http.Response | None:
            instead: http.Response | None = bare_response(
                503, "This could not be checked, so it was not sent."
            )
            with closed_on_failure("download", lambda: None):
                found = downloads.stopped(head, beginning, judgement, policy, passed)
                counted = found and self._let_through(flow, judgement, found[0].decision)
                if counted is not None:
                    flow.metadata.pop(_CARRIED, None)
                    response.stream = counted.count_down
                    return None
                says = downloads.SAYS_OVER_LIMIT if found and found[0].decision.limit else downloads.SAYS
                instead = found and stop_request(self._gate, flow, *found, says, can_ask=can_ask)
            return instead

        flow.metadata[LOOK_FIRST] = (downloads.held_bytes(head, judgement, policy, passed), look)

    def is_over(self, flow: http.HTTPFlow, message: bytes) -> bool:
        """Whether a WebSocket oversteps a limit with this message; then its visit is ended."""
        carried: downloads.Carried | None = flow.metadata.get(_CARRIED)
        return carried is not None and self._is_over(carried, message)

    def _cut(self, carried: downloads.Carried, data: bytes) -> bytes | list[bytes]:
        """Carry a part of a download of unknown length; end it where it goes over its limit."""
        return [] if self._is_over(carried, data) else carried.visit.count_down(data)

    def _is_over(self, carried: downloads.Carried, data: bytes) -> bool:
        """Whether a limit of sizes is overstepped with these bytes; then the visit is ended."""
        limit = carried.goes_over(data)
        if limit is None:
            return False
        with closed_on_failure("limit", carried.visit.close):
            stopped = stopping(limit, carried.judgement.visit, self._gate.judge.policy)
            counted = self._let_through(carried.flow, carried.judgement, stopped)
            if counted is not None:
                carried.visit, carried.limit = counted, None
                return False
            self._gate.limits.stop(carried.visit, stopped)
        return True

    def _let_through(self, flow: http.HTTPFlow, judgement: Judgement, stopped: Decision) -> OpenVisit | None:
        """Return the visit that a download counts for which goes on by access to one; None where it does not.

        It is told from others by its address, so that a broken one can be taken up again.
        """
        visit = judgement.visit
        address = f"{visit.host}:{visit.port}{flow.request.path}"
        access = self._gate.judge.let_through(visit, stopped, address)
        if access is None:
            return None
        counted: OpenVisit = flow.metadata[VISIT]
        if not flow.metadata.get(IS_WHOLE_VISIT):
            counted = begin_within(self._gate, flow, counted, judgement, Lane.INSPECT)
            flow.metadata[VISIT], flow.metadata[IS_WHOLE_VISIT] = counted, True
        counted.access = access
        return counted
