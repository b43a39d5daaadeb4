"""What was in force beside the lists, publication by publication: so that a visit can be decided again by it.

Each is kept once it has its sequence, and before a proxy can read it. What two have in common is kept once.
Nothing is deleted.
"""

import asyncio
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

from admin.clock import from_ms, to_ms
from admin.database import Database, Reader
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.snapshot_lines import from_lines, to_lines


@dataclass(frozen=True, slots=True)
class KeptSize:
    """How many publications are kept, and what they take, without what SQLite adds to it."""

    publications: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines that were published last: their ids, as they are kept, and by their text."""

    ids: list[int]
    packed: bytes
    by_text: Mapping[str, int]


_NONE = _Lines([], b"", {})


class KeptPolicies:
    """Keeps what is published. One process at a time publishes (`admin_lock`): it remembers what it kept."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._last = _NONE

    async def keep(self, snapshot: PolicySnapshot) -> None:
        """Keep what is being published. Raises sqlite3.Error.

        Of a large town that is much to look through, and to pack: other threads do it, and nobody who writes
        waits for them.
        """
        last = await self._last_kept()
        row = await self._db.fetch_one("SELECT coalesce(max(id), 0) AS id FROM kept_line")
        lines, added = await asyncio.to_thread(_lines_of, snapshot, last, row["id"] if row else 0)
        async with self._db.transaction() as t:
            await t.execute_many("INSERT INTO kept_line (id, text) VALUES (?, ?)", added)
            await t.execute(
                "INSERT INTO kept_policy (sequence, published_at, lines) VALUES (?, ?, ?)",
                snapshot.sequence,
                to_ms(snapshot.published_at),
                lines.packed if lines is not last else None,
            )
        self._last = lines

    async def _last_kept(self) -> _Lines:
        """Return what is kept of the last publication; none where it is damaged: all is kept anew."""
        row = await self._db.fetch_one(
            "SELECT lines FROM kept_policy WHERE lines IS NOT NULL ORDER BY sequence DESC LIMIT 1"
        )
        packed = row["lines"] if row is not None else b""
        if packed != self._last.packed:
            self._last = await self._read(packed)
        ids = set(self._last.ids)
        row = await self._db.fetch_one(
            "SELECT count(*) AS count FROM kept_line WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps([*ids]),
        )
        return self._last if row is not None and row["count"] == len(ids) else _NONE

    async def _read(self, packed: bytes) -> _Lines:
        try:
            ids = _ids(packed)
        except (zlib.error, ValueError):
            return _NONE
        texts = await _texts(self._db, ids)
        return _Lines(ids, packed, {text: id_ for id_, text in texts.items()})


def _lines_of(snapshot: PolicySnapshot, last: _Lines, newest: int) -> tuple[_Lines, list[tuple[int, str]]]:
    """Return the lines of a snapshot, `last` itself where they are the same; and those that are new."""
    texts = to_lines(snapshot)
    new = [text for text in dict.fromkeys(texts) if text not in last.by_text]
    added = {text: newest + number for number, text in enumerate(new, start=1)}
    ids = [added.get(text) or last.by_text[text] for text in texts]
    if ids == last.ids:
        return last, []
    lines = _Lines(ids, _packed(ids), dict(zip(texts, ids, strict=True)))
    return lines, [(id_, text) for text, id_ in added.items()]


async def of_sequence(db: Reader, sequence: int) -> PolicySnapshot | None:
    """Return what was published under a sequence; None where that was not kept.

    Raises policy.snapshot.SnapshotError when it is damaged, or of a form that this version does not know.
    """
    row = await db.fetch_one(
        "SELECT published_at, (SELECT lines FROM kept_policy AS kept WHERE kept.sequence <= this.sequence"
        " AND lines IS NOT NULL ORDER BY sequence DESC LIMIT 1) AS lines"
        " FROM kept_policy AS this WHERE sequence = ?",
        sequence,
    )
    if row is None:
        return None
    try:
        ids = _ids(row["lines"])
    except (zlib.error, ValueError) as error:
        raise SnapshotError(f"the policy kept as {sequence} is damaged: {error}") from error
    texts = await _texts(db, ids)
    if not texts.keys() >= set(ids):
        raise SnapshotError(f"the policy kept as {sequence} is damaged: lines of it are gone")
    return from_lines([texts[id_] for id_ in ids], sequence, from_ms(row["published_at"]))


async def size_of(db: Database) -> KeptSize:
    """Measure what is kept. Raises sqlite3.Error when it cannot be read."""
    row = await db.fetch_one(
        "SELECT (SELECT count(*) FROM kept_policy) AS publications,"
        " (SELECT coalesce(sum(length(lines)), 0) FROM kept_policy)"
        " + (SELECT coalesce(sum(length(CAST(text AS BLOB))), 0) FROM kept_line) AS bytes"
    )
    return KeptSize(row["publications"], row["bytes"]) if row else KeptSize(0, 0)


async def _texts(db: Reader, ids: list[int]) -> dict[int, str]:
    rows = await db.fetch_all(
        "SELECT id, text FROM kept_line WHERE id IN (SELECT value FROM json_each(?))", json.dumps(ids)
    )
    return {row["id"]: row["text"] for row in rows}


def _packed(ids: list[int]) -> bytes:
    return zlib.compress(json.dumps([one - before for before, one in pairwise([0, *ids])]).encode(), 9)


def _ids(packed: bytes) -> list[int]:
    return list(accumulate(json.loads(zlib.decompress(packed))))
