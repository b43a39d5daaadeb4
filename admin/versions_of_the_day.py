"""By what a recorded visit was decided, and by what it would be now: policy, what people decided, lists."""

import asyncio
import logging
from dataclasses import dataclass

from admin.database import Database
from admin.kept_policies import of_sequence
from admin.state_folder import StateFolder
from admin.visits import VisitRow
from categories.match import CategoryMatch
from categories.publishing import CurrentSnapshot, open_version
from categories.snapshot import CategorySnapshotError
from policy.correction import Correction, Corrections
from policy.judging import Lists
from policy.snapshot import PolicySnapshot, SnapshotError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Versions:
    """`lists_version` is None where there are no lists to look the site up in: what the record says of it
    stands in for them."""

    snapshot: PolicySnapshot
    lists: Lists
    lists_version: str | None

    def correction(self, host: str) -> Correction | None:
        """Return what the town lists a host as, in place of the lists."""
        return Corrections(self.snapshot.corrections).nearest(host)


async def versions_now(state: StateFolder, row: VisitRow) -> Versions:
    """Return what the proxies read.

    Raises OSError or policy.snapshot.SnapshotError when no policy is published.
    """
    return await asyncio.to_thread(_published, state, row)


async def versions_then(db: Database, state: StateFolder, row: VisitRow, now: Versions) -> Versions | None:
    """Return what the visit was decided by; None where its policy was not kept, or cannot be read."""
    try:
        snapshot = await of_sequence(db, row.policy_sequence)
    except SnapshotError as error:
        logger.warning("policy of a visit's day cannot be read: error=%s", error)
        return None
    # What another database counted, before a backup was restored, may have the same sequence.
    if snapshot is None or snapshot.policy.version != row.policy_version:
        return None
    if row.category_version == now.lists_version:
        return Versions(snapshot, now.lists, now.lists_version)
    lists = await asyncio.to_thread(open_version, state.categories, row.category_version)
    if lists is None:
        return Versions(snapshot, _AsRecorded(row), None)
    return Versions(snapshot, lists, lists.version)


@dataclass(frozen=True, slots=True)
class _AsRecorded:
    """What the record says of its site, where there are no lists to look it up in."""

    row: VisitRow

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        category, entry, source = self.row.category, self.row.entry, self.row.source
        return () if category is None else (CategoryMatch(category, entry or host, source or ""),)

    def url_categories(self, host: str) -> frozenset[str]:
        return frozenset()


def _published(state: StateFolder, row: VisitRow) -> Versions:
    snapshot = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())
    try:
        lists = CurrentSnapshot(state.categories).snapshot
    except CategorySnapshotError:
        return Versions(snapshot, _AsRecorded(row), None)
    return Versions(snapshot, lists, lists.version)
