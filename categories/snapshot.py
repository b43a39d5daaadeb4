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
from typing import Any, Literal

import marisa_trie  # type: ignore[import-not-found]  # ships no types

from categories.entry_key import entry_of_url_key, host_key, url_key, without_service_label
from categories.host_name import translated_ipv4
from categories.match import CategoryMatch

FORMAT = 1
MANIFEST = "snapshot.json"
NAMES = "names"
URLS = "urls"
TRIE_SUFFIX = ".trie"
MEANINGS_SUFFIX = ".meanings"

type Meaning = tuple[tuple[str, str], ...]
"""What an entry is listed as: (category, source) pairs."""


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

        URL entries of the host are looked at only when `path` (from its first slash, the query left
        off) is given; they come before domain entries. An address of 64:ff9b::/96 is listed as the
        IPv4 address within it, too.
        """
        ipv4 = translated_ipv4(host)
        matches = self._matches(host, path)
        return matches if ipv4 is None else matches + self._matches(ipv4, path)

    def _matches(self, host: str, path: str | None) -> tuple[CategoryMatch, ...]:
        found = list(self._names.trie.iter_prefixes_with_ids(host_key(host)))
        if path is None and not found:
            return ()
        matches = [] if path is None else self._url_matches(host, path)
        for key, number in reversed(found):
            entry = host[1 - len(key) :]
            for category, source in self.meanings[self._names.meanings[number]]:
                matches.append(CategoryMatch(category, entry, source))
        return tuple(matches)

    def _url_matches(self, host: str, path: str) -> list[CategoryMatch]:
        matches = []
        for name in dict.fromkeys((host, without_service_label(host))):
            found = list(self._urls.trie.iter_prefixes_with_ids(url_key(name, path)))
            for key, number in reversed(found):
                entry = entry_of_url_key(key, name)
                for category, source in self.meanings[self._urls.meanings[number]]:
                    matches.append(CategoryMatch(category, entry, source))
        return matches

    def entries(self) -> Iterator[tuple[str, Meaning]]:
        """Yield every entry's key with its meaning, in no particular order."""
        for part in (self._names, self._urls):
            for key, number in part.trie.iteritems():
                yield key, self.meanings[part.meanings[number]]

    def meaning_of(self, key: str) -> Meaning:
        """Return what the entry with exactly this key is listed as; empty if there is none."""
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
