"""A category snapshot: every entry of every source in mapped files that all workers share.

A folder that is named by its version (categories/README.md says what is in its files). Nothing but
the manifest is read when it is opened; a lookup walks the mapped trie once.
"""

import hashlib
import json
import mmap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import marisa_trie  # type: ignore[import-not-found]  # ships no types

from categories.entry_key import (
    EXCEPTED_ALWAYS,
    EXCEPTED_HERE,
    HOST_EXPRESSION,
    RANGES,
    THIS_NAME_ONLY,
    URL_EXPRESSION,
    address_key,
    entry_of_range_key,
    entry_of_url_key,
    host_key,
    plain_path,
    url_key,
    without_service_label,
)
from categories.expressions import ExpressionSet
from categories.host_name import is_address, translated_ipv4
from categories.match import CategoryMatch

FORMAT = 2
MANIFEST = "snapshot.json"
NAMES = "names"
URLS = "urls"
TRIE_SUFFIX = ".trie"
MEANINGS_SUFFIX = ".meanings"
_MOST_REMEMBERED = 10_000

type Meaning = tuple[tuple[str, str], ...]
"""What an entry is listed as: (category, source) pairs."""


class CategorySnapshotError(Exception):
    """A snapshot cannot be used; whoever has one open keeps it."""


class _Found(NamedTuple):
    """An entry that covers a host. `reach` grows with how closely its key describes the host."""

    match: CategoryMatch
    reach: int


class _Entries:
    """One kind of entries: a mapped trie of keys, and per key the number of its meaning."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.trie = marisa_trie.Trie()
        try:
            self.trie.mmap(str(folder / f"{kind}{TRIE_SUFFIX}"))
        except RuntimeError as error:
            raise CategorySnapshotError(f"{folder / kind}{TRIE_SUFFIX}: altered, no trie any more") from error
        with (folder / f"{kind}{MEANINGS_SUFFIX}").open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        width: Literal["H", "I"] = "H" if len(self._map) == 2 * (len(self.trie) + 1) else "I"
        self.meanings = memoryview(self._map).cast(width)

    def has_any(self, beginning: str) -> bool:
        """Whether there is a key that begins like this."""
        return next(self.trie.iterkeys(beginning), None) is not None

    def close(self) -> None:
        self.meanings.release()
        self._map.close()
        self.trie = marisa_trie.Trie()


class CategorySnapshot:
    """An open snapshot. Immutable; lookups may run in any thread.

    `version` is a short digest of what it holds, `built_at` (aware UTC) when it was made from its
    sources, `sources` the names of those, `counts` the number of entries per (category, source).
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], built_at: datetime) -> None:
        self.folder = folder
        self.version = folder.name
        self.built_at = built_at
        self.meanings: list[Meaning] = [
            tuple((category, source) for category, source in meaning) for meaning in manifest["meanings"]
        ]
        self.counts: dict[tuple[str, str], int] = {
            (category, source): count for category, source, count in manifest["counts"]
        }
        self.sources: tuple[str, ...] = tuple(manifest["sources"])
        self._names = _Entries(folder, NAMES)
        self._urls = _Entries(folder, URLS)
        self._has_ranges = any(map(self._names.has_any, RANGES))
        self._has_exceptions = any(map(self._names.has_any, (EXCEPTED_ALWAYS, EXCEPTED_HERE)))
        self._has_host_expressions = self._names.has_any(HOST_EXPRESSION)
        self._has_url_expressions = self._urls.has_any(URL_EXPRESSION)
        self._has_more_for_hosts = self._has_ranges or self._has_host_expressions
        self._url_categories: dict[str, frozenset[str]] = {}
        self._expressions: dict[str, list[tuple[tuple[str, str], ExpressionSet]]] = {}

    @classmethod
    def open(cls, path: Path, built_at: datetime | None = None) -> "CategorySnapshot":
        """Map the snapshot in the folder `path`; `verify` it first if nobody in this process has.

        `built_at` is the manifest's time of writing unless given. Raises CategorySnapshotError when
        a file is missing, cut or of another version.
        """
        manifest = _read_manifest(path)
        try:
            for name, expected in manifest["files"].items():
                size = (path / name).stat().st_size
                if size != expected["bytes"]:
                    raise CategorySnapshotError(f"{path / name}: {size} bytes, not {expected['bytes']}")
            if built_at is None:
                built_at = datetime.fromtimestamp((path / MANIFEST).stat().st_mtime, UTC)
            return cls(path, manifest, built_at)
        except OSError as error:
            raise CategorySnapshotError(f"{error.filename}: {error.strerror}") from error

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        """Return what a canonical host is listed as, the most specific entry first.

        URL entries of the host, and expressions for URLs, are looked at only when `path` (from its
        first slash, the query left off) is given. URL entries come before domain entries, then
        ranges of addresses, the longest prefix first, then expressions. An address of 64:ff9b::/96
        is listed as the IPv4 address within it, too.
        """
        ipv4 = translated_ipv4(host)
        matches = self._matches(host, path)
        return matches if ipv4 is None else matches + self._matches(ipv4, path)

    def _matches(self, host: str, path: str | None) -> tuple[CategoryMatch, ...]:
        found = list(self._names.trie.iter_prefixes_with_ids(host_key(host) + THIS_NAME_ONLY))
        if path is None and not found and not self._has_more_for_hosts:
            return ()
        url_path = None if path is None else plain_path(path)
        matches = [] if url_path is None else self._url_matches(host, url_path)
        for key, number in reversed(found):
            entry = host[-len(key) + 1 :]
            for category, source in self.meanings[self._names.meanings[number]]:
                matches.append(_Found(CategoryMatch(category, entry, source), len(key)))
        if self._has_ranges and is_address(host):
            matches += self._range_matches(host)
        if self._has_host_expressions:
            matches += self._expression_matches(self._names, HOST_EXPRESSION, host)
        if self._has_url_expressions and url_path is not None:
            matches += self._expression_matches(self._urls, URL_EXPRESSION, host + url_path)
        if self._has_exceptions and matches:
            return tuple(self._without_exceptions(host, matches))
        return tuple([match for match, _ in matches])

    def _url_matches(self, host: str, path: str) -> list[_Found]:
        matches = []
        for name in dict.fromkeys((host, without_service_label(host))):
            found = list(self._urls.trie.iter_prefixes_with_ids(url_key(name, path)))
            for key, number in reversed(found):
                entry = entry_of_url_key(key, name)
                for category, source in self.meanings[self._urls.meanings[number]]:
                    matches.append(_Found(CategoryMatch(category, entry, source), len(key)))
        return matches

    def url_categories(self, host: str) -> frozenset[str]:
        """Return the categories that URLs of a canonical host are listed in; expressions are no such.

        What can be said before the path is known. Remembered per host: a host may have thousands.
        """
        found = self._url_categories.get(host)
        if found is None:
            keys = (host_key(name) + "/" for name in dict.fromkeys((host, without_service_label(host))))
            numbers = {
                self._urls.meanings[number] for key in keys for _, number in self._urls.trie.iteritems(key)
            }
            found = frozenset(category for number in numbers for category, _ in self.meanings[number])
            if len(self._url_categories) >= _MOST_REMEMBERED:
                self._url_categories.clear()
            self._url_categories[host] = found
        return found

    def _range_matches(self, host: str) -> Iterator[_Found]:
        """Yield what the ranges that an address is in are listed as, the longest prefix first."""
        for key, number in reversed(list(self._names.trie.iter_prefixes_with_ids(address_key(host)))):
            entry = entry_of_range_key(key)
            for category, source in self.meanings[self._names.meanings[number]]:
                yield _Found(CategoryMatch(category, entry, source), 0)

    def _expression_matches(self, part: _Entries, sign: str, text: str) -> Iterator[_Found]:
        for (category, source), expressions in self._expressions_of(part, sign):
            for expression in expressions.matching(text):
                yield _Found(CategoryMatch(category, expression, source), 0)

    def _expressions_of(self, part: _Entries, sign: str) -> list[tuple[tuple[str, str], ExpressionSet]]:
        """Return the expressions with this sign, a set for each category of a source.

        Made when they are first asked for: opening a snapshot takes no time.
        """
        made = self._expressions.get(sign)
        if made is None:
            texts: dict[tuple[str, str], list[str]] = {}
            for key, number in part.trie.iteritems(sign):
                for pair in self.meanings[part.meanings[number]]:
                    texts.setdefault(pair, []).append(key[1:])
            made = [(pair, ExpressionSet(sorted(texts[pair]))) for pair in sorted(texts)]
            self._expressions[sign] = made
        return made

    def _without_exceptions(self, host: str, matches: list[_Found]) -> Iterator[CategoryMatch]:
        """Yield the matches that no exception of the same list takes back.

        One sort of exception always holds, the other only where no entry of its list is closer to the host.
        """
        key = host_key(host) + THIS_NAME_ONLY
        always: set[tuple[str, str]] = set()
        for _, number in self._names.trie.iter_prefixes_with_ids(EXCEPTED_ALWAYS + key):
            always.update(self.meanings[self._names.meanings[number]])
        here: dict[tuple[str, str], int] = {}
        for excepted, number in self._names.trie.iter_prefixes_with_ids(EXCEPTED_HERE + key):
            reach = len(excepted) - len(EXCEPTED_HERE)
            here.update(dict.fromkeys(self.meanings[self._names.meanings[number]], reach))
        for match, reach in matches:
            pair = match.category, match.source
            if pair not in always and reach > here.get(pair, -1):
                yield match

    def entries(self) -> Iterator[tuple[str, Meaning]]:
        """Yield every entry's key with its meaning, in no particular order."""
        for part in (self._names, self._urls):
            for key, number in part.trie.iteritems():
                yield key, self.meanings[part.meanings[number]]

    def meaning_of(self, key: str) -> Meaning:
        """Return what the entry with exactly this key is listed as; empty if there is none."""
        if key.startswith((HOST_EXPRESSION, URL_EXPRESSION)):
            part = self._names if key.startswith(HOST_EXPRESSION) else self._urls
        else:
            part = self._urls if "/" in key else self._names
        number = part.trie.get(key)
        return () if number is None else self.meanings[part.meanings[number]]

    def __len__(self) -> int:
        return len(self._names.trie) + len(self._urls.trie)

    def close(self) -> None:
        """Unmap the files. Only for one that no thread may still look something up in."""
        self._names.close()
        self._urls.close()


def verify(path: Path) -> None:
    """Read the snapshot in the folder `path` whole.

    Takes as long as reading its files does, with the interpreter's lock released. Raises
    CategorySnapshotError when a byte is not as it was when the snapshot was made.
    """
    for name, expected in _read_manifest(path)["files"].items():
        try:
            with (path / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CategorySnapshotError(f"{path / name}: {error.strerror}") from error
        if digest != expected["sha256"]:
            raise CategorySnapshotError(f"{path / name}: cut or altered, its digest does not match")


def version_of(manifest: bytes) -> str:
    """Return the version that a manifest, which holds the digest of every other file, stands for."""
    return hashlib.sha256(manifest).hexdigest()[:12]


def _read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest, the digest of which is the name of its folder."""
    try:
        raw = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise CategorySnapshotError(f"{path / MANIFEST}: {error.strerror}") from error
    if version_of(raw) != path.name:
        raise CategorySnapshotError(f"{path / MANIFEST}: cut or altered, its digest is not {path.name!r}")
    manifest: dict[str, Any] = json.loads(raw)
    if manifest["format"] != FORMAT:
        raise CategorySnapshotError(
            f"{path}: a snapshot of format {manifest['format']}, where this version reads {FORMAT}; "
            "'towngate categories update' makes a new one"
        )
    return manifest
