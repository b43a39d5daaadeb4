"""Which well-known site the name of another one looks like: how those who steal passwords name theirs."""

import functools
from collections.abc import Iterable
from pathlib import Path

import ada_url
from confusable_homoglyphs import confusables  # type: ignore[import-untyped]  # ships no types

from categories.host_name import HostNameError, canonical_host, registrable_domain
from categories.known_sites import known_sites
from categories.list_files import ListFile, list_files
from categories.sources import starter_source

MOST_NAMES = 10_000
"""Of names in order of their rank, so many are well known."""

# Of shorter ones every other is a letter away from one that is well known.
_SHORTEST = 5


class WellKnownNames:
    """Names that others imitate: of `hosts`, canonical, the registrable domains."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._sites = {site: None for host in hosts if (site := registrable_domain(host))}
        self._by_label = {_label(site): site for site in reversed(self._sites)}
        self._by_shorter: dict[str, list[str]] = {}
        for label in self._by_label:
            for shorter in _one_less(label):
                self._by_shorter.setdefault(shorter, []).append(label)

    def imitated_by(self, site: str) -> str | None:
        """Return the well-known site that a registrable domain can be taken for, None if there is none.

        1. What is well known imitates nothing, nor does the same name in another country (google.example).
        2. Letters of other alphabets count as the Latin ones that they look like.
        3. So read, it is the name itself, or a letter more, less, another, or two changed round.
        """
        label = _label(site)
        if site in self._sites or label in self._by_label:
            return None
        read = _in_latin(label)
        if read in self._by_label:
            return self._by_label[read]
        for shorter in _one_less(read):
            for known in self._by_shorter.get(shorter, ()):
                if _is_one_step(known, read):
                    return self._by_label[known]
        return None


def shipped_names() -> Iterable[str]:
    """Yield the well-known hosts that ship with Towngate: of the starter list, and of the gate."""
    yield from sorted(known_sites().harmless)
    location = starter_source().location
    for file in list_files(Path(location), location):
        if isinstance(file, ListFile) and file.name == "domains":
            yield from _hosts(file.lines())


def ranked_names(path: Path) -> Iterable[str]:
    """Yield the first ten thousand hosts of a file, one a line, the most visited first.

    A rank before it (`1,example.com`) is passed over. OSError when the file cannot be read.
    """
    with path.open(encoding="utf-8", errors="replace") as lines:
        for _, host in zip(range(MOST_NAMES), _hosts(lines), strict=False):
            yield host


def _hosts(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        try:
            yield canonical_host(line.strip().rpartition(",")[2])
        except HostNameError:
            continue


def _label(site: str) -> str:
    return site.partition(".")[0]


def _in_latin(label: str) -> str:
    text: str = ada_url.idna_to_unicode(label) if label.startswith("xn--") else label
    return "".join(map(_latin_of, text))


@functools.cache
def _latin_of(letter: str) -> str:
    if letter.isascii():
        return letter
    found = confusables.is_confusable(letter, preferred_aliases=["latin"]) or []
    latin = [like["c"].lower() for one in found for like in one["homoglyphs"] if like["c"].isascii()]
    return latin[0] if latin else letter


def _one_less(label: str) -> set[str]:
    """Return a label and what is left of it without each of its letters; nothing for a short one."""
    if len(label) < _SHORTEST:
        return set()
    return {label, *(label[:at] + label[at + 1 :] for at in range(len(label)))}


def _is_one_step(one: str, other: str) -> bool:
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == len(other) == 2 and one == other[::-1])
