"""What one snapshot has that another has not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from categories.snapshot import CategorySnapshot

type Pair = tuple[str, str]
"""A category and the source that lists it."""


@dataclass(frozen=True, slots=True)
class Change:
    """How many entries come and go."""

    added: int
    removed: int


def compare(before: CategorySnapshot | None, after: CategorySnapshot) -> Mapping[Pair, Change]:
    """Return how the entries of each category and source differ; every pair of either has its place."""
    former = before.counts if before is not None else {}
    same = _in_both(before, after) if before is not None else Counter[Pair]()
    return {
        pair: Change(added=after.counts.get(pair, 0) - same[pair], removed=former.get(pair, 0) - same[pair])
        for pair in sorted({*former, *after.counts})
    }


def _in_both(before: CategorySnapshot, after: CategorySnapshot) -> Counter[Pair]:
    if before.version == after.version:
        return Counter(after.counts)
    same = Counter[Pair]()
    # The shorter one is walked: a list's first edition takes no time, later ones of UT1 seconds.
    fewer, more = sorted((before, after), key=len)
    for key, meaning in fewer.entries():
        there = more.meaning_of(key)
        same.update(pair for pair in meaning if pair in there)
    return same
