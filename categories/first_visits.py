"""When each site was first visited in this town: what a rule about newly seen sites asks.

Admin publishes it as a file, every worker replaces its own by it. As bytes it is a trie of registrable
domains, each with its first visit, behind a line with its format and SHA-256: a cut or altered file is
refused whole. It names sites and instants, and nobody who was there.
"""

import hashlib
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import marisa_trie  # type: ignore[import-not-found]  # ships no types

from categories.host_name import registrable_domain

_MAGIC = b"towngate-first-visits-1"
_INSTANT = "<q"
# When it was published, and the first visit of all; seconds since 1970.
_HEAD = struct.Struct("<qq")
_NO_VISIT = -1


class FirstVisitsError(Exception):
    """A file of first visits cannot be used; the one in use stays."""


def site_of(host: str) -> str:
    """Return what a canonical host is counted as: its registrable domain, or itself where it has none."""
    return registrable_domain(host) or host


class FirstVisits:
    """The first visit of every site (`site_of`) that the log knew when this was published. Immutable."""

    __slots__ = ("_began_at", "_sites", "published_at")

    def __init__(self, published_at: datetime, began_at: int, sites: marisa_trie.RecordTrie) -> None:
        self.published_at = published_at
        self._began_at = began_at
        self._sites = sites

    @classmethod
    def of(cls, first_visits: Mapping[str, datetime], published_at: datetime) -> "FirstVisits":
        """Make it from the first visit of each site; instants are aware UTC and count in whole seconds."""
        seconds = {site: int(at.timestamp()) for site, at in first_visits.items()}
        trie = marisa_trie.RecordTrie(_INSTANT, ((site, (at,)) for site, at in seconds.items()))
        return cls(published_at.replace(microsecond=0), min(seconds.values(), default=_NO_VISIT), trie)

    def __len__(self) -> int:
        """Return how many sites it knows."""
        return len(self._sites)

    def is_newly_seen(self, host: str, at: datetime, within: timedelta) -> bool:
        """Whether a canonical host's site was first visited less than `within` before `at` (aware UTC).

        So is a site that was never visited. Nothing is while the first visit of all, when the town began to
        remember, is as near: everything would be.
        """
        since = (at - within).timestamp()
        if self._began_at == _NO_VISIT or self._began_at > since:
            return False
        found = self._sites.get(site_of(host))
        return found is None or found[0][0] > since

    def to_bytes(self) -> bytes:
        """Return it as the bytes of a file."""
        body: bytes = _HEAD.pack(int(self.published_at.timestamp()), self._began_at) + self._sites.tobytes()
        return _MAGIC + b" " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "FirstVisits":
        """Read it back. Raises FirstVisitsError when the bytes are cut, altered or of another format."""
        head, _, body = data.partition(b"\n")
        magic, _, digest = head.partition(b" ")
        if magic != _MAGIC:
            raise FirstVisitsError(f"no first visits of this version: it begins with {head[:40]!r}")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise FirstVisitsError("the first visits are cut or altered: their digest does not match")
        published_at, began_at = _HEAD.unpack_from(body)
        trie = marisa_trie.RecordTrie(_INSTANT)
        trie.frombytes(body[_HEAD.size :])
        return cls(datetime.fromtimestamp(published_at, UTC), began_at, trie)
