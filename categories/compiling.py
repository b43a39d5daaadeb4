"""From the kept entries of all sources to the files of one snapshot.

1. Every key of every source goes into one trie, which drops repetitions.
2. The trie is mapped from its file, and keys are looked up in it again to note, in an array by the
   trie's number for each, what it is listed as. A meaning, the set of (category, source) pairs, is a
   small number; adding a pair to a meaning is one step in a table. So no name is a Python object for
   longer than its block of lines, and memory is the trie's own.
3. Looking up costs most of all, and one section (UT1's adult) has as many keys as all others together.
   What no other section has must be from the largest, so only what both have is looked up for it.
4. Meanings are renumbered in order of their content, and a manifest with the digest of each file is
   written last.

The same sources give the same bytes, in whatever order they are given.
"""

import errno
import hashlib
import itertools
import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import marisa_trie  # type: ignore[import-not-found]  # ships no types

from categories.entries import EntriesFile, Section
from categories.snapshot import FORMAT, MANIFEST, MEANINGS_SUFFIX, NAMES, TRIE_SUFFIX, URLS, version_of
from categories.taxonomy import Taxonomy

_NUMBERED_BY_TWO_BYTES = 1 << 16

# Keys that are held at once to see which of them come again: some 120 MB, of those that a trie takes.
_COMPARED_AT_ONCE = 1 << 20

type _Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Part:
    """A section, and what its keys are listed as."""

    pair: _Pair
    entries: EntriesFile
    section: Section

    def keys(self) -> Iterator[str]:
        return self.entries.keys(self.section)


class _Meanings:
    """The meanings met so far: number <-> set of pairs, and the way from one to the next."""

    def __init__(self) -> None:
        self.pairs: list[frozenset[_Pair]] = [frozenset()]
        self._numbers: dict[frozenset[_Pair], int] = {frozenset(): 0}

    def adding(self, pair: _Pair) -> "_Steps":
        return _Steps(self, pair)

    def number(self, pairs: frozenset[_Pair]) -> int:
        if pairs not in self._numbers:
            self._numbers[pairs] = len(self.pairs)
            self.pairs.append(pairs)
        return self._numbers[pairs]


class _Steps(dict[int, int]):
    """Number of a meaning -> number of the same with one pair more; made as they are asked for."""

    def __init__(self, meanings: _Meanings, pair: _Pair) -> None:
        self._meanings = meanings
        self._pair = pair

    def __missing__(self, number: int) -> int:
        self[number] = self._meanings.number(self._meanings.pairs[number] | {self._pair})
        return self[number]


def compile_snapshot(sources: Iterable[EntriesFile], folder: Path, words: Taxonomy) -> str:
    """Write the files of a snapshot into the empty `folder` and return its version.

    Sections whose category the taxonomy uses for nothing are passed over.
    """
    ordered = sorted(sources, key=lambda entries: entries.source.name)
    meanings = _Meanings()
    numbers = {kind: _compile_kind(kind, ordered, folder, words, meanings) for kind in (NAMES, URLS)}

    counted: Counter[int] = sum((Counter(each) for each in numbers.values()), Counter())
    used = sorted(counted, key=lambda number: sorted(meanings.pairs[number]))
    renumbered = array("I", bytes(4 * len(meanings.pairs)))
    for new, old in enumerate(used):
        renumbered[old] = new
    counts: Counter[_Pair] = Counter()
    for number, times in counted.items():
        counts.update(dict.fromkeys(meanings.pairs[number], times))
    width = "H" if len(used) <= _NUMBERED_BY_TWO_BYTES else "I"
    for kind, each in numbers.items():
        # One number more than there are keys: a file that is mapped must not be empty.
        final = array(width, (renumbered[number] for number in each))
        final.append(0)
        (folder / f"{kind}{MEANINGS_SUFFIX}").write_bytes(final)

    manifest = json.dumps(
        {
            "format": FORMAT,
            "sources": [entries.source.name for entries in ordered],
            "counts": [[*pair, count] for pair, count in sorted(counts.items())],
            "meanings": [sorted(meanings.pairs[number]) for number in used],
            "files": {path.name: _digest(path) for path in sorted(folder.iterdir())},
        },
        separators=(",", ":"),
    ).encode()
    (folder / MANIFEST).write_bytes(manifest)
    return version_of(manifest)


def made_of(sources: Iterable[EntriesFile], words: Taxonomy) -> str:
    """Return a digest of all that a snapshot of these sources would be compiled from.

    It takes no time: where it is the same, so is the snapshot.
    """
    parts: list[object] = [FORMAT]
    for entries in sorted(sources, key=lambda entries: entries.source.name):
        source = entries.source
        for section in source.sections:
            category = source.category_of(section, words)
            parts.append((source.name, category, section.kind, *entries.content_of(section)))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _compile_kind(
    kind: str, sources: Sequence[EntriesFile], folder: Path, words: Taxonomy, meanings: _Meanings
) -> "array[int]":
    """Write the trie of one kind of entries; return the number of each key's meaning."""
    path = folder / f"{kind}{TRIE_SUFFIX}"
    parts = list(_parts(kind, sources, words))
    largest = max(parts, key=lambda part: part.section.count, default=None)
    others = [part for part in parts if part is not largest]
    # What comes twice takes memory twice while a trie is made.
    once = itertools.chain.from_iterable(_distinct(others))
    keys = itertools.chain(once, largest.keys() if largest else ())
    # Ordered by weight, as it is otherwise, its bytes would say how often a key was given.
    trie = marisa_trie.Trie(keys, order=marisa_trie.LABEL_ORDER)
    try:
        trie.save(str(path))
    except RuntimeError as error:  # all that it says of a write that failed
        raise OSError(errno.EIO, f"could not be written ({error}); is the disk full?", str(path)) from error
    del trie
    trie = marisa_trie.Trie().mmap(str(path))
    numbers = array("I", bytes(4 * len(trie)))
    if largest is None:
        return numbers
    for part in others:
        _add(meanings.adding(part.pair), map(trie.key_id, part.keys()), numbers)
    step = meanings.adding(largest.pair)
    only_there = step[0]
    for some in _distinct(others):
        shared = largest.entries.find(largest.section, some)
        _add(step, map(trie.key_id, sorted(shared)), numbers)
    return array("I", (number or only_there for number in numbers))


def _distinct(parts: Sequence[_Part]) -> Iterator[Collection[str]]:
    """Yield the keys of sections many at a time, in their order, each once among those."""
    keys = itertools.chain.from_iterable(part.keys() for part in parts)
    for some in itertools.batched(keys, _COMPARED_AT_ONCE):
        yield dict.fromkeys(some)


def _add(step: _Steps, places: Iterable[int], numbers: "array[int]") -> None:
    for place in places:
        numbers[place] = step[numbers[place]]


def _parts(kind: str, sources: Sequence[EntriesFile], words: Taxonomy) -> Iterator[_Part]:
    for entries in sources:
        source = entries.source
        for section in source.sections:
            category = source.category_of(section, words)
            if section.kind == kind and category is not None:
                yield _Part((category, source.name), entries, section)


def _digest(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
