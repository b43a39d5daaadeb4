"""Downloads that plain HTTP and opened sites carry: looked at before they are sent, and counted."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mitmproxy import http

from policy.decision import Decision, Lane
from policy.limiting import Passed, judge_download, most_bytes, stopping
from policy.town_policy import Policy
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """An answer that is looked at before it is sent, and what it is judged by."""

    flow: http.HTTPFlow
    response: http.Response
    judgement: Judgement
    head: downloads.Head
    policy: Policy
    passed: Passed


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
        visit, policy = judgement.visit, self._gate.judge.policy
        head, passed = downloads.head_of(flow.request, response), self._gate.judge.passed(visit)
        seen = _Seen(flow, response, judgement, head, policy, passed)
        can_ask = await can_ask_for(self._gate)
        self._hold(seen, flow.metadata[VISIT])

        def look(beginning: bytes) -> http.Response | None:
            instead: http.Response | None = bare_response(
                503, "This could not be checked, so it was not sent."
            )
            with closed_on_failure("download", lambda: None):
                found = self._stopped(seen, beginning)
                says = downloads.SAYS_OVER_LIMIT if found and found[0].decision.limit else downloads.SAYS
                instead = found and stop_request(self._gate, flow, *found, says, can_ask=can_ask)
            return instead

        may_be_let_through = bool(self._gate.judge.single_downloads(visit))
        held_bytes = downloads.held_bytes(
            *(head, judgement, policy, passed), may_be_let_through=may_be_let_through
        )
        flow.metadata[LOOK_FIRST] = (held_bytes, look)

    def is_over(self, flow: http.HTTPFlow, message: bytes) -> bool:
        """Whether a WebSocket oversteps a limit with this message; then its visit is ended."""
        carried: downloads.Carried | None = flow.metadata.get(_CARRIED)
        return carried is not None and self._is_over(carried, message)

    def _stopped(self, seen: _Seen, beginning: bytes) -> tuple[Judgement, str] | None:
        """Return the judgement of an answer that is stopped, and why; None where it goes on.

        It goes on by access to one download where that lifts all that stops it. What warns does so before the
        access is used up.
        """
        first: tuple[Judgement, str] | None = None
        lifted: list[Decision] = []
        while found := downloads.stopped(
            seen.head, beginning, seen.judgement, seen.policy, seen.passed, lifted
        ):
            if not self._may_let_through(seen.flow, seen.judgement, found[0].decision):
                return found
            first = first or found
            lifted.append(found[0].decision)
        if not lifted:
            return None
        counted = self._let_through(seen.flow, seen.judgement, lifted)
        if counted is None:
            # Another download was first.
            return first
        self._hold(seen, counted, is_let_through=True)
        return None

    def _hold(self, seen: _Seen, visit: OpenVisit, *, is_let_through: bool = False) -> None:
        """Have an answer count for a visit; one that says no length is cut at the first limit of sizes.

        `is_let_through` is as in `policy.limiting`.
        """
        is_websocket = seen.response.status_code == _SWITCHING_PROTOCOLS
        limit = None
        if not seen.head.has_length or is_websocket:
            limit = most_bytes(
                seen.judgement.decision, seen.policy, seen.passed, is_let_through=is_let_through
            )
        carried = downloads.Carried(limit, seen.judgement, seen.flow, visit)
        if is_websocket:
            seen.flow.metadata[_CARRIED] = carried
        else:
            cut = functools.partial(self._cut, carried)
            seen.response.stream = visit.count_down if limit is None else cut

    def _cut(self, carried: downloads.Carried, data: bytes) -> bytes | list[bytes]:
        """Carry a part of a download of unknown length; end it where it goes over its limit."""
        return [] if self._is_over(carried, data) else carried.visit.count_down(data)

    def _is_over(self, carried: downloads.Carried, data: bytes) -> bool:
        """Whether a limit of sizes is overstepped with these bytes; then the visit is ended."""
        limit = carried.goes_over(data)
        if limit is None:
            return False
        with closed_on_failure("limit", carried.visit.close):
            judge, judgement = self._gate.judge, carried.judgement
            visit, decision, policy = judgement.visit, judgement.decision, judge.policy
            stopped = stopping(limit, visit, policy)
            if self._may_let_through(carried.flow, judgement, stopped):
                passed = judge.passed(visit)
                warning = judge_download(
                    *(visit, decision, policy, carried.size_bytes), passed=passed, is_let_through=True
                )
                counted = self._let_through(carried.flow, judgement, [stopped]) if warning is None else None
                if counted is not None:
                    carried.visit = counted
                    carried.limit = most_bytes(decision, policy, passed, is_let_through=True)
                    return False
                stopped = warning or stopped
            self._gate.limits.stop(carried.visit, replace(stopped, size_bytes=None))
        return True

    def _may_let_through(self, flow: http.HTTPFlow, judgement: Judgement, stopped: Decision) -> bool:
        return self._gate.judge.may_let_through(judgement.visit, stopped, _address(flow, judgement))

    def _let_through(
        self, flow: http.HTTPFlow, judgement: Judgement, lifted: Sequence[Decision]
    ) -> OpenVisit | None:
        """Return the visit that a download counts for which goes on by access to one; None where it does not.

        `lifted` is all that would stop it.
        """
        visit, access = judgement.visit, list[str]()
        for stopped in lifted:
            found = self._gate.judge.let_through(visit, stopped, _address(flow, judgement))
            if found is None:
                return None
            access.append(found)
        counted: OpenVisit = flow.metadata[VISIT]
        if not flow.metadata.get(IS_WHOLE_VISIT):
            counted = begin_within(self._gate, flow, counted, judgement, Lane.INSPECT)
            flow.metadata[VISIT], flow.metadata[IS_WHOLE_VISIT] = counted, True
        counted.access = tuple(access)
        return counted


def _address(flow: http.HTTPFlow, judgement: Judgement) -> str:
    """Return what tells a download from others: its address, so that a broken one can be taken up again."""
    visit = judgement.visit
    return f"{visit.host}:{visit.port}{flow.request.path}"
