"""Open visits for which limits hold: what is over one is ended, and what quotas are about is counted."""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from msgspec import structs

from policy.decision import Decision, Lane, Verdict
from policy.limit_words import refusal_of
from policy.limiting import judge_download, judge_use, most_bytes, quotas_of
from policy.town_policy import Limit
from policy.town_time import zone_of
from policy.usage import usage_key
from policy.visit import Client
from proxy_addons.fail_closed import closed_on_failure
from proxy_addons.in_turns import in_turns
from proxy_addons.judge import Judge, Judgement
from proxy_addons.usage_files import UsageFiles
from proxy_addons.visit_log import NO_LIMIT, OpenVisit, VisitLog

_PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class _Metered:
    """A visit whose bytes count for a client's quotas, those that its decision, or that of the request in it
    (`asked`), names; so many bytes are counted."""

    decision: Decision
    quotas: tuple[Limit, ...]
    client: Client
    counted_bytes: int
    asked: Judgement | None


class LimitWatch:
    """Told by the visit log of the visits that limits hold for. `in_force` returns the judge."""

    def __init__(self, log: VisitLog, in_force: Callable[[], Judge], usage: UsageFiles) -> None:
        self._log = log
        self._in_force = in_force
        self._usage = usage
        self._metered: dict[OpenVisit, _Metered] = {}
        # What was used before a restart is known before the first visit.
        usage.look(datetime.now(UTC), zone_of(in_force().policy))

    def follow_visit(self, visit: OpenVisit) -> None:
        """Have a visit held to the limits that its judgement names: it has begun, or they are others now."""
        decision, metered = visit.judgement.decision, self._metered.get(visit)
        asked = metered.asked if metered is not None else None
        self._meter(visit, decision if asked is None else self._again(asked), asked)
        # Who was warned is looked up when there is something to warn of.
        self._hold_tunnel(visit, most_bytes(decision, self._in_force().policy))

    def holds(self, visit: OpenVisit) -> bool:
        """Whether a visit, or the request in it, is held to limits."""
        return visit in self._metered or bool(visit.judgement.decision.limits)

    def follow_request(self, visit: OpenVisit, asked: Judgement) -> None:
        """Have what an opened visit carries from now on count for the quotas that hold for a request in it:
        of some categories only the path tells."""
        self._meter(visit, asked.decision, asked)

    def end_visit(self, visit: OpenVisit) -> None:
        """Count the last of a visit that has ended."""
        metered = self._metered.pop(visit, None)
        if metered is not None:
            self._count(visit, metered, datetime.now(UTC))

    def stop(self, visit: OpenVisit, stopped: Decision) -> None:
        """End a visit that is over a limit, where no page can say so: a visit record of its own does."""
        if visit.refusal is not None or visit not in self._log:
            # What was on its way when it was ended.
            return
        # A warning that cannot be shown blocks.
        decision = replace(stopped, verdict=Verdict.BLOCK)
        refusal = refusal_of(decision, self._in_force().policy)
        now_seen = structs.replace(visit.judgement, visit=self._log.open.seen(visit), decision=decision)
        self._log.record(now_seen.made_at(datetime.now(UTC)), refusal)
        visit.refusal = f"closed: over the limit {decision.limit}"
        visit.close()

    async def follow(self) -> None:
        """Count what quotas are about, and end what uses one up, every second, until it is cancelled."""
        while True:
            ends_at = self._usage.ends_at(zone_of(self._in_force().policy))
            until_midnight = (ends_at - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(min(_PAUSE_SECONDS, max(0, until_midnight)))
            await self.look(datetime.now(UTC))

    async def look(self, now: datetime) -> None:
        """Do so once; what has been carried until a midnight of the town's is of the day before."""
        zone = zone_of(self._in_force().policy)
        if not self._usage.is_today(now, zone):
            async for visit in in_turns(tuple(self._metered)):
                metered = self._metered.get(visit)
                if metered is not None:
                    self._count(visit, metered, now)
            self._usage.go_on_to(now, zone)
        async for visit in in_turns(tuple(self._metered)):
            metered = self._metered.get(visit)
            if metered is not None:
                with closed_on_failure("limit", visit.close):
                    self._count(visit, metered, now)
                    self._end_if_used_up(visit, metered.decision)

    async def follow_others(self) -> None:
        """Exchange what was used with the other workers, every second, until it is cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await self.look_at_others()

    async def look_at_others(self) -> None:
        """Do so once, in a thread: neither much use nor a slow disk holds up the event loop."""
        if self._counts:
            await asyncio.to_thread(self._usage.exchange)

    def close(self) -> None:
        """Leave to the other workers, and those that come, what was used here until now."""
        self._usage.exchange()

    @property
    def _counts(self) -> bool:
        return bool(self._metered) or any(limit.quota for limit in self._in_force().policy.limits)

    def _hold_tunnel(self, visit: OpenVisit, first: Limit | None) -> None:
        """Have a tunnel carry no more than a limit says; elsewhere each download is seen by itself."""
        is_held = first is not None and visit.lane is Lane.TUNNEL
        visit.most_down = first.larger_than or NO_LIMIT if is_held and first is not None else NO_LIMIT
        visit.is_over = functools.partial(self._is_over, visit)

    def _again(self, asked: Judgement) -> Decision:
        """Return what holds for a request that goes on, as the policy has it now."""
        decision = self._in_force().judge_again(asked).decision
        # What is stopped, for a quota that is used up or anything else, names no limits.
        return decision if decision.is_allowed else asked.decision

    def _meter(self, visit: OpenVisit, decision: Decision, asked: Judgement | None) -> None:
        quotas = quotas_of(decision, self._in_force().policy)
        client = self._log.open.seen(visit).client
        before = self._metered.get(visit)
        if before is not None:
            # What was carried until now is of who sat there, and of what was asked for, until now.
            self._count(visit, before, datetime.now(UTC))
            before.decision, before.quotas, before.client, before.asked = decision, quotas, client, asked
        elif quotas:
            carried = visit.bytes_up + visit.bytes_down
            self._metered[visit] = _Metered(decision, quotas, client, carried, asked)

    def _end_if_used_up(self, visit: OpenVisit, decision: Decision) -> None:
        judge, seen = self._in_force(), self._log.open.seen(visit)
        if not decision.is_allowed:
            return
        stopped = judge_use(seen, decision, judge.policy, judge.used, judge.passed(seen))
        if stopped is not None:
            self.stop(visit, stopped)

    def _count(self, visit: OpenVisit, metered: _Metered, now: datetime) -> None:
        carried = visit.bytes_up + visit.bytes_down
        if carried > metered.counted_bytes:
            zone = zone_of(self._in_force().policy)
            for limit in metered.quotas:
                key = usage_key(limit, metered.client)
                self._usage.add(key, carried - metered.counted_bytes, now, zone)
            metered.counted_bytes = carried

    def _is_over(self, visit: OpenVisit) -> bool:
        """Whether a tunnel has carried more than it may; then it is closed."""
        with closed_on_failure("limit", visit.close):
            judge, decision, seen = self._in_force(), visit.judgement.decision, self._log.open.seen(visit)
            passed = judge.passed(seen)
            stopped = judge_download(seen, decision, judge.policy, visit.most_down + 1, passed=passed)
            if stopped is None:
                self._hold_tunnel(visit, most_bytes(decision, judge.policy, passed))
                return False
            # No address is seen in it: it is this one tunnel.
            download = f"tunnel {visit.code}"
            if judge.may_let_through(seen, stopped, download):
                warning = judge_download(
                    *(seen, decision, judge.policy, visit.most_down + 1), passed=passed, is_let_through=True
                )
                access = judge.let_through(seen, stopped, download) if warning is None else None
                if access is not None:
                    # Nor by a warning from here on: what is closed now has used the access up in vain.
                    visit.access = (access,)
                    self._hold_tunnel(visit, None)
                    return False
                stopped = warning or stopped
            self.stop(visit, replace(stopped, size_bytes=None))
        return True
