"""Visits while they go on, and what is written about them when they end."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import structs

from categories.taxonomy import UNCATEGORISED, Taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.rule_matching import first_match
from policy.visit import Visit
from policy.visit_record import MOST_ADDRESSES, VisitRecord, new_code
from proxy_addons import egress_metrics
from proxy_addons.egress_metrics import Tally
from proxy_addons.heavy_visits import Heavy
from proxy_addons.in_turns import in_turns
from proxy_addons.judge import Judge, Judgement
from proxy_addons.open_visits import OpenVisits
from proxy_addons.origin_certificate import OriginRefusal
from proxy_addons.spool import Spool

# Looked up once: by its labels, a metric takes longer to find than to set.
_OPEN_IN = {lane: egress_metrics.OPEN_VISITS.labels(lane.value) for lane in Lane}
_FIRST_RECORD_AFTER = timedelta(minutes=1)
_RECORD_EVERY = timedelta(minutes=5)
_ENDED = "ended by IT"
_CARRIERS = frozenset({Lane.TUNNEL, Lane.INSPECT})
NO_LIMIT = 1 << 63
"""More bytes than a visit carries."""
_OF_THE_ORIGIN_SERVER = frozenset({Cause.UNREACHABLE, Cause.CERTIFICATE})


@dataclass(slots=True, eq=False)
class OpenVisit:
    """A visit that goes on. `close` ends its connection; bytes are counted as they flow.

    `connections`, `requests`, `pages`, `is_shown` and `addresses` are as in VisitRecord.
    `origin_refusal` is why the origin server was not taken for who it says it is, if it was not.
    `told_up` and `told_down` of the bytes are counted in the metrics; `recorded_at` is when it was last
    written that the visit goes on. A tunnel that is to carry more than `most_down` asks `is_over`, which
    closes it where it is. `access` has the ids of that to one download each by which it goes on.
    """

    judgement: Judgement
    lane: Lane
    close: Callable[[], None]
    code: str = field(default_factory=new_code)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    bytes_up: int = 0
    bytes_down: int = 0
    connections: int = 1
    requests: int = 0
    pages: int = 0
    is_shown: bool = False
    addresses: tuple[str, ...] = ()
    refusal: str | None = None
    origin_refusal: OriginRefusal | None = None
    told_up: int = 0
    told_down: int = 0
    recorded_at: datetime | None = None
    most_down: int = NO_LIMIT
    is_over: Callable[[], bool] = lambda: False
    access: tuple[str, ...] = ()

    def count_request(self, *, is_page: bool) -> None:
        """Count a request that could be seen."""
        self.requests += 1
        self.pages += is_page

    def keep_address(self, address: str) -> None:
        """Keep the address of a page that was gone to, once, and of the first pages alone."""
        if address not in self.addresses and len(self.addresses) < MOST_ADDRESSES:
            self.addresses += (address,)

    def take_request_of(self, whole: "OpenVisit", *, is_page: bool) -> None:
        """Count here a request that was counted for the visit that it came in."""
        whole.requests -= 1
        whole.pages -= is_page
        self.count_request(is_page=is_page)

    def count_up(self, data: bytes) -> bytes:
        """Count bytes on their way to the origin server; return them."""
        self.bytes_up += len(data)
        return data

    def count_down(self, data: bytes) -> bytes:
        """Count bytes on their way to the client; return them."""
        self.bytes_down += len(data)
        return data


class Limits(Protocol):
    """What holds open visits to the limits that their judgements name."""

    def follow_visit(self, visit: OpenVisit) -> None:
        """Do so from now on, by its judgement as it is now."""

    def holds(self, visit: OpenVisit) -> bool:
        """Whether it is held to limits now."""

    def end_visit(self, visit: OpenVisit) -> None:
        """Know that it has ended."""


class VisitLog:
    """Knows the open visits; writes each once, when it ends, and counts it.

    What is counted, Prometheus is told by `flush`. `limits` are told of visits that limits hold for.
    """

    limits: Limits | None = None

    def __init__(self, spool: Spool, taxonomy: Taxonomy) -> None:
        self._spool = spool
        self._taxonomy = taxonomy
        self.open = OpenVisits()
        self._open_in = dict.fromkeys(Lane, 0)
        self._carried = {
            lane: tuple(
                Tally(egress_metrics.BYTES.labels(direction, lane.value)) for direction in ("up", "down")
            )
            for lane in Lane
        }
        self.heavy = Heavy()
        self._tallies: dict[tuple[Verdict, str | None, str | None], Tally] = {}
        self._shed_counted = 0

    def __len__(self) -> int:
        return len(self.open)

    def __contains__(self, visit: object) -> bool:
        return visit in self.open

    def __iter__(self) -> Iterator[OpenVisit]:
        return iter(self.open)

    def begin(
        self, judgement: Judgement, lane: Lane, close: Callable[[], None], *, connections: int = 1
    ) -> OpenVisit:
        """Start following a visit, with 0 `connections` where it has none of its own."""
        visit = OpenVisit(judgement, lane, close, connections=connections)
        self.open.add(visit, judgement.visit)
        self._open_in[lane] += 1
        if judgement.decision.limits and self.limits is not None:
            self.limits.follow_visit(visit)
        return visit

    def divert(self, visit: OpenVisit, lane: Lane, cause: Cause | None = None) -> None:
        """Carry a visit another way than it began; with a cause, blocked for it.

        An origin server that is unreachable, or cannot prove who it is, blocks nobody: that visit stays
        allowed, and says why nothing came of it.
        """
        if cause is not None:
            verdict = Verdict.ALLOW if cause in _OF_THE_ORIGIN_SERVER else Verdict.BLOCK
            visit.judgement = structs.replace(visit.judgement, decision=Decision(verdict, cause))
        if visit in self.open:
            self._open_in[visit.lane] -= 1
            self._open_in[lane] += 1
        visit.lane = lane

    def end(self, visit: OpenVisit, refusal: str | None = None) -> None:
        """Write a visit that has ended; a second call does nothing."""
        if self.discard(visit):
            self._write(visit, visit.refusal or refusal)

    def discard(self, visit: OpenVisit) -> bool:
        """Stop following a visit without writing it; False when it has ended before."""
        if not self.open.discard(visit):
            return False
        self._open_in[visit.lane] -= 1
        if self.limits is not None:
            self.limits.end_visit(visit)
        return True

    def record(self, judgement: Judgement, refusal: str) -> None:
        """Write a visit that was refused at once."""
        self._write(OpenVisit(judgement, Lane.REFUSE, close=_nothing), refusal)

    def judge_again(self, visit: OpenVisit, judge: Judge) -> None:
        """Close a visit that is no longer allowed, or is to be carried another way: opened, or no longer.

        Pages and refusals are left alone, and so is what has ended.
        """
        if visit not in self.open or not visit.judgement.decision.is_allowed:
            return
        if visit.code in judge.snapshot.ended_visits:
            match = visit.judgement.decision.match or first_match(visit.judgement.visit.matches)
            ended = Decision(Verdict.BLOCK, Cause.ENDED, match=match)
            self.record(structs.replace(visit.judgement.made_at(datetime.now(UTC)), decision=ended), _ENDED)
            visit.refusal = f"closed: {_ENDED}"
            visit.close()
            return
        again = judge.judge_again(visit.judgement)
        decision = again.decision
        if decision.is_allowed and again.visit.client != self.open.seen(visit).client:
            # Whatever is next about the one who sits there now is about this visit.
            self.open.add(visit, again.visit)
        if not decision.is_allowed:
            visit.refusal = (
                f"closed: no longer allowed ({decision.rule or decision.limit or decision.cause.value})"
            )
            visit.close()
        elif _has_lost_access(visit, again.visit, judge):
            visit.refusal = f"closed: no longer allowed ({', '.join(visit.access)})"
            visit.close()
        elif _is_carried_otherwise(visit, decision):
            now = "to be looked into" if decision.is_inspected else "not to be looked into"
            visit.refusal = f"closed: from now on {now}"
            visit.close()
        elif self.limits is not None and (decision.limits or self.limits.holds(visit)):
            held_to = replace(visit.judgement.decision, limits=decision.limits)
            visit.judgement = structs.replace(visit.judgement, decision=held_to)
            self.limits.follow_visit(visit)

    async def tell_of_open(self, now: datetime) -> None:
        """Count what open visits have carried since, and write of those that last that they go on.

        So a long visit is known while it lasts, and not lost with a worker that is killed.
        """
        self.heavy.begin(now)
        async for visit in in_turns(self.open):
            if visit not in self.open or visit.judgement.decision.cause is Cause.ADMIN_SITE:
                continue
            self.heavy.see(visit, self._count_bytes(visit))
            since = visit.recorded_at or visit.started_at
            if now - since >= (_FIRST_RECORD_AFTER if visit.recorded_at is None else _RECORD_EVERY):
                visit.recorded_at = now
                self._append(visit, visit.refusal, is_running=True)
        self.heavy.end()
        egress_metrics.HEAVY.set(len(self.heavy.visits))

    def flush(self) -> None:
        """Bring what has been written to disk, and what has been counted to Prometheus."""
        self._spool.flush()
        for lane, number in self._open_in.items():
            _OPEN_IN[lane].set(number)
        for tally in (*itertools.chain(*self._carried.values()), *self._tallies.values()):
            tally.tell()
        egress_metrics.TUNNELLED.tell()
        egress_metrics.HANDED_OVER.tell()
        egress_metrics.DECISION_SECONDS.tell()
        egress_metrics.LOOKUP_SECONDS.tell()
        if self._spool.shed > self._shed_counted:
            egress_metrics.RECORDS_SHED.inc(self._spool.shed - self._shed_counted)
            self._shed_counted = self._spool.shed

    async def sync(self) -> None:
        """Have what has been brought to disk outlive a power cut."""
        await self._spool.sync()

    def close(self) -> None:
        """Write the visits still open and finish the segment."""
        for visit in self:
            self.end(visit, "the proxy was stopped")
        self.heavy = Heavy()
        self.flush()
        self._spool.close()

    def _write(self, visit: OpenVisit, refusal: str | None) -> None:
        decision = visit.judgement.decision
        if decision.cause is Cause.ADMIN_SITE:
            # Looking at the visit log must not add to it.
            return
        self._append(visit, refusal, is_running=False)
        match, client = decision.match, visit.judgement.visit.client
        if decision.limit is not None:
            egress_metrics.LIMITED.labels(decision.limit).inc()
        self._tally(decision.verdict, match.category if match else None, client.department).add()
        self.heavy.carried(self._count_bytes(visit))

    def _count_bytes(self, visit: OpenVisit) -> int:
        """Count what a visit has carried since this was last asked; return how many bytes that is."""
        up, down = visit.bytes_up - visit.told_up, visit.bytes_down - visit.told_down
        if up or down:
            of_up, of_down = self._carried[visit.lane]
            of_up.add(up)
            of_down.add(down)
            visit.told_up, visit.told_down = visit.bytes_up, visit.bytes_down
        return up + down

    def _append(self, visit: OpenVisit, refusal: str | None, *, is_running: bool) -> None:
        judged, decision = visit.judgement.visit, visit.judgement.decision
        match = decision.match
        if decision.carried_by is not None:
            refusal = refusal or f"shown by {decision.carried_by}"
        self._spool.append(
            VisitRecord(
                code=visit.code,
                started_at=visit.started_at,
                ended_at=datetime.now(UTC),
                address=judged.client.address,
                person=judged.client.person,
                device=judged.client.device,
                department=judged.client.department,
                scheme=judged.scheme,
                host=judged.host,
                port=judged.port,
                verdict=decision.verdict,
                lane=visit.lane,
                cause=decision.cause,
                rule=decision.rule or decision.limit,
                exemption=visit.access[0] if visit.access else decision.exemption,
                category=match.category if match else None,
                entry=match.entry if match else None,
                source=match.source if match else None,
                refusal=refusal,
                bytes_up=visit.bytes_up,
                bytes_down=visit.bytes_down,
                policy_sequence=visit.judgement.policy_sequence,
                policy_version=visit.judgement.policy_version,
                category_version=visit.judgement.category_version,
                is_running=is_running,
                connections=visit.connections,
                requests=visit.requests,
                pages=visit.pages,
                is_shown=visit.is_shown,
                addresses=visit.addresses,
            ).to_line()
        )

    def _tally(self, verdict: Verdict, category_id: str | None, department: str | None) -> Tally:
        found = self._tallies.get((verdict, category_id, department))
        if found is None:
            category = self._taxonomy.categories.get(category_id) if category_id else None
            group = category.group if category and category.id != UNCATEGORISED else UNCATEGORISED
            found = Tally(egress_metrics.VISITS.labels(verdict.value, group, department or "none"))
            self._tallies[verdict, category_id, department] = found
        return found


def _has_lost_access(visit: OpenVisit, now_seen: Visit, judge: Judge) -> bool:
    """Whether a download goes on by access to one that is over; a tunnel is held to its limits anew."""
    if not visit.access or visit.lane is Lane.TUNNEL:
        return False
    return not {one.id for one in judge.single_downloads(now_seen)}.issuperset(visit.access)


def _is_carried_otherwise(visit: OpenVisit, decision: Decision) -> bool:
    """Whether a connection is to be opened that is not, or no longer. A page within one is no connection."""
    if visit.lane not in _CARRIERS or visit.judgement.visit.path is not None:
        return False
    return decision.is_inspected is not (visit.lane is Lane.INSPECT)


def _nothing() -> None:
    """Close nothing: the visit is already over."""
