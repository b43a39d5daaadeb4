"""Keeps the worker's judge up to date: new snapshots are read whole, then replace it at once."""

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from categories.first_visits import FirstVisits, FirstVisitsError
from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshotError
from policy import state_names
from policy.deciding import next_edge_after
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.touched import EVERY_VISIT, NOTHING, Touched, touched_by_change, touched_by_time
from proxy_addons import egress_metrics
from proxy_addons.claims import Claims
from proxy_addons.continuations import Continuations
from proxy_addons.judge import Judge
from proxy_addons.usage_files import UsageFiles

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2


class NotPublishedError(Exception):
    """There is nothing to decide with yet; a worker does not start without."""


class SnapshotWatch:
    """Holds the judge in force.

    A snapshot that cannot be read is refused, logged once and counted; the one in force stays. So are first
    visits; a worker starts without them, too, and nothing is newly seen.
    """

    def __init__(self, state: Path) -> None:
        self._policy_path = state / state_names.POLICY_SNAPSHOT
        try:
            self._ask_key = (state / state_names.ASK_TOKEN_KEY).read_bytes()
            self._policy_stamp = _stamp(self._policy_path)
            snapshot = PolicySnapshot.from_bytes(self._policy_path.read_bytes())
            self._categories = CurrentSnapshot(state / state_names.CATEGORIES)
        except (OSError, SnapshotError, CategorySnapshotError) as error:
            raise NotPublishedError(
                f"{state}: no usable policy and categories have been published ({error}); "
                "start `towngate admin` with this state folder first"
            ) from error
        self.continuations = Continuations(state / state_names.CONTINUED, self._ask_key)
        self.usage = UsageFiles(state / state_names.SPOOL)
        self._claims = Claims(state / state_names.SPOOL, self._ask_key)
        for kind in ("policy", "categories", "first_visits"):
            # There from the start: an increase from nothing is none.
            egress_metrics.SNAPSHOT_REFUSED.labels(kind)
        self._first_visits_path = state / state_names.FIRST_VISITS
        self._first_visits_stamp = _stamp(self._first_visits_path)
        self._first_visits: FirstVisits | None = None
        if self._first_visits_stamp is not None:
            self._first_visits = self._read_first_visits()
        self.judge = self._new_judge(snapshot)

    async def follow(self, on_change: Callable[[Touched], None]) -> None:
        """Watch for new snapshots, and for the instants when the policy itself changes its answers:
        those of schedules and exemptions, and when who continued past a warning is to be warned again.

        `on_change` is called after each, from the event loop, with what it is about, if it is about any
        visit; the judge in force is the new one by then. Five times a second is often enough for
        "within one second", and one stat call each.
        """
        self._count_in_force()
        looked_at = datetime.now(UTC)
        edge = self._next_edge(looked_at)
        while True:
            await asyncio.sleep(POLL_SECONDS)
            before = self.judge
            touched = await self._reload_policy()
            touched |= await self._reload_categories()
            touched |= await self._reload_first_visits()
            # Taken before anything is judged again: an edge that passes meanwhile is still to come.
            now = datetime.now(UTC)
            is_over = edge is not None and now >= edge
            if now < looked_at:
                # The clock was put back: what has ended may hold again, and the edges since are to come.
                touched, is_over = EVERY_VISIT, True
            elif is_over:
                touched |= touched_by_time(self.judge.snapshot, looked_at, now)
            if self.judge.warns and self.continuations.have_ended(now):
                touched = EVERY_VISIT
            if touched or self.judge is not before or is_over:
                self._count_in_force()
                edge = self._next_edge(now)
            looked_at = now
            if touched:
                on_change(touched)

    async def _reload_policy(self) -> Touched:
        stamp = _stamp(self._policy_path)
        if stamp == self._policy_stamp:
            return NOTHING
        self._policy_stamp = stamp
        try:
            data = await asyncio.to_thread(self._policy_path.read_bytes)
            snapshot = await asyncio.to_thread(PolicySnapshot.from_bytes, data)
        except (OSError, SnapshotError) as error:
            self._refuse("policy", error)
            return NOTHING
        before = self.judge.snapshot
        self.judge = self._new_judge(snapshot)
        logger.info("policy in force: sequence=%d version=%s", snapshot.sequence, snapshot.policy.version)
        return touched_by_change(before, snapshot)

    async def _reload_categories(self) -> Touched:
        if not self._categories.changed():
            return NOTHING
        if not await asyncio.to_thread(self._categories.load):
            self._refuse("categories", self._categories.last_error)
            return NOTHING
        self.judge = self._new_judge(self.judge.snapshot)
        logger.info("categories in force: version=%s", self.judge.categories.version)
        return EVERY_VISIT

    async def _reload_first_visits(self) -> Touched:
        """Take new first visits into use; they are about every visit where the policy asks for them."""
        stamp = _stamp(self._first_visits_path)
        if stamp == self._first_visits_stamp:
            return NOTHING
        self._first_visits_stamp = stamp
        found = await asyncio.to_thread(self._read_first_visits)
        if found is None:
            return NOTHING
        self._first_visits = found
        self.judge = self._new_judge(self.judge.snapshot)
        return EVERY_VISIT if self.judge.policy.names_newly_seen else NOTHING

    def _read_first_visits(self) -> FirstVisits | None:
        try:
            return FirstVisits.from_bytes(self._first_visits_path.read_bytes())
        except (OSError, FirstVisitsError) as error:
            self._refuse("first_visits", error)
            return None

    def _new_judge(self, snapshot: PolicySnapshot) -> Judge:
        judge = Judge(
            *(snapshot, self._categories.snapshot, self._ask_key, self.continuations),
            *(self._first_visits, self.usage, self._claims),
        )
        published = egress_metrics.SNAPSHOT_PUBLISHED
        published.labels("policy").set(snapshot.published_at.timestamp())
        published.labels("categories").set(judge.categories.built_at.timestamp())
        egress_metrics.SNAPSHOT_BYTES.labels("categories").set(judge.categories.size_bytes)
        if self._first_visits is not None:
            published.labels("first_visits").set(self._first_visits.published_at.timestamp())
        return judge

    def _next_edge(self, now: datetime) -> datetime | None:
        return next_edge_after(now, self.judge.policy, self.judge.snapshot.state())

    def _count_in_force(self) -> None:
        now, snapshot = datetime.now(UTC), self.judge.snapshot
        egress_metrics.EXEMPTIONS.set(sum(e.holds_at(now) for e in snapshot.exemptions))
        off = snapshot.filter_off
        for kind, count in (
            ("lockdown", len(snapshot.lockdowns)),
            ("device_off", len(snapshot.devices_off)),
            ("filter_off", int(off is not None and off.holds_at(now))),
        ):
            egress_metrics.EMERGENCY_MEASURES.labels(kind).set(count)

    def _refuse(self, kind: str, error: object) -> None:
        egress_metrics.SNAPSHOT_REFUSED.labels(kind).inc()
        logger.error("snapshot refused, the one in force stays: kind=%s error=%s", kind, error)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - called five times a second: no Path in between
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
