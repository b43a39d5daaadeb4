"""A category snapshot: every entry of every source in mapped files that all workers share.

A folder that is named by its version (categories/README.md says what is in its files). Nothing but
the manifest is read when it is opened, and the expressions, of which a set is made; a lookup walks
the mapped trie once.
"""

import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import marisa_trie  # type: ignore[import-not-found]  # ships no types

from categories.entry_key import (
    EXCEPTED_ALWAYS,
    EXCEPTED_HERE,
    HOST_EXPRESSION,
    MAY_END_AN_ADDRESS,
    RANGES,
    THIS_NAME_ONLY,
    URL_EXPRESSION,
    address_key,
    bare_path,
    entry_of_range_key,
    entry_of_url_key,
    host_key,
    host_of_url_key,
    plain_path,
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

type _Found = tuple[CategoryMatch, int]
"""An entry that covers a host, and its reach, which grows with how closely its key describes the host."""


class CategorySnapshotError(Exception):
    """A snapshot cannot be used; whoever has one open keeps it."""


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


class _Expressions:
    """All expressions of a snapshot for hosts, or all for URLs, with what each is listed as.

    One set of all: each set that is asked takes 3 us, whatever is in it.
    """

    def __init__(self, listed: Mapping[str, Meaning]) -> None:
        self._listed = listed
        self._set = ExpressionSet(sorted(listed))

    def matching(self, text: str) -> list[_Found]:
        """Return what the expressions that match somewhere in the text are listed as."""
        return [
            (CategoryMatch(category, expression, source), 0)
            for expression in self._set.matching(text)
            for category, source in self._listed[expression]
        ]


class CategorySnapshot:
    """An open snapshot. Immutable; lookups may run in any thread.

    `version` is a short digest of what it holds, `built_at` (aware UTC) when it was made from its
    sources, `sources` the names of those, `counts` the number of entries per (category, source),
    `size_bytes` that of the files that are mapped.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], built_at: datetime) -> None:
        self.folder = folder
        self.version = folder.name
        self.built_at = built_at
        self.size_bytes = sum(file["bytes"] for file in manifest["files"].values())
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
        self._host_expressions = self._expressions(self._names, HOST_EXPRESSION)
        self._url_expressions = self._expressions(self._urls, URL_EXPRESSION)
        self._url_categories: dict[str, frozenset[str]] = {}
        self._has_more_for_hosts = self._has_ranges or self._host_expressions is not None

    def _expressions(self, part: _Entries, sign: str) -> "_Expressions | None":
        listed = {key[1:]: self.meanings[part.meanings[number]] for key, number in part.trie.iteritems(sign)}
        return _Expressions(listed) if listed else None

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
        if host[-1] in MAY_END_AN_ADDRESS and is_address(host):
            return self._address_matches(host, path)
        return self._matches(host, f"{host[::-1]}.", path)

    def _address_matches(self, host: str, path: str | None) -> tuple[CategoryMatch, ...]:
        matches = self._matches(host, host_key(host), path, is_address=True)
        ipv4 = translated_ipv4(host)
        return matches if ipv4 is None else matches + self._address_matches(ipv4, path)

    def _matches(
        self, host: str, key: str, path: str | None, *, is_address: bool = False
    ) -> tuple[CategoryMatch, ...]:
        """Return what a host, the key of which is `key`, is listed as."""
        # Most hosts have no entry, and this says so sooner than asking for numbers, too.
        covering = self._names.trie.prefixes(key + THIS_NAME_ONLY)
        if path is None and not covering and not self._has_more_for_hosts:
            return ()
        found: list[_Found] = []
        url_path = None
        if path is not None:
            url_path = plain_path(path)
            self._add_url_matches(host, key, url_path, found)
            if (bare := bare_path(url_path)) != url_path:
                more: list[_Found] = []
                self._add_url_matches(host, key, bare, more)
                found += [match for match in more if match not in found]
        for covers in reversed(covering):
            entry = host[-len(covers) + 1 :]
            for category, source in self.meanings[self._names.meanings[self._names.trie.key_id(covers)]]:
                found.append((CategoryMatch(category, entry, source), len(covers)))
        if is_address and self._has_ranges:
            found += self._range_matches(host)
        if self._host_expressions is not None:
            found += self._host_expressions.matching(host)
        if self._url_expressions is not None and url_path is not None:
            found += self._url_expressions.matching(host + url_path)
        if self._has_exceptions and found:
            return tuple(self._without_exceptions(key, found))
        return tuple([match for match, _ in found])

    def _add_url_matches(self, host: str, key: str, path: str, found: list[_Found]) -> None:
        """Add what URL entries for the host, and for it without www and its like, say of a path."""
        trie, numbers = self._urls.trie, self._urls.meanings
        end = path if path.endswith("/") else path + "/"
        asked = [(host, key + end)]
        bare = without_service_label(host)
        if bare != host:
            asked.append((bare, f"{bare[::-1]}.{end}"))
        for name, url in asked:
            for covers in reversed(trie.prefixes(url)):
                entry = entry_of_url_key(covers, name)
                for category, source in self.meanings[numbers[trie.key_id(covers)]]:
                    found.append((CategoryMatch(category, entry, source), len(covers)))

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

    def hosts_with_urls(self, categories: frozenset[str]) -> tuple[str, ...]:
        """Return the hosts of which URLs are listed in one of the categories, in order. Reads every URL."""
        wanted = {
            number
            for number, meaning in enumerate(self.meanings)
            if not categories.isdisjoint(category for category, _ in meaning)
        }
        hosts = {
            host_of_url_key(key)
            for key, number in self._urls.trie.iteritems()
            if self._urls.meanings[number] in wanted and not key.startswith(URL_EXPRESSION)
        }
        return tuple(sorted(hosts))

    def _range_matches(self, host: str) -> Iterator[_Found]:
        """Yield what the ranges that an address is in are listed as, the longest prefix first."""
        for key, number in reversed(list(self._names.trie.iter_prefixes_with_ids(address_key(host)))):
            entry = entry_of_range_key(key)
            for category, source in self.meanings[self._names.meanings[number]]:
                yield CategoryMatch(category, entry, source), 0

    def _without_exceptions(self, key: str, matches: list[_Found]) -> Iterator[CategoryMatch]:
        """Yield the matches that no exception of the same list takes back.

        One sort of exception always holds, the other only where no entry of its list is closer to the host.
        """
        key += THIS_NAME_ONLY
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
