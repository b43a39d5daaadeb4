"""What was in force beside the lists, publication by publication: so that a visit can be decided again by it.

Each is kept in the transaction that gives it its sequence, so before a proxy can read it. What two have in
common is kept once. Nothing is deleted.
"""

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise

from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Transaction
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.snapshot_lines import from_lines


@dataclass(frozen=True, slots=True)
class KeptSize:
    """How many publications are kept, and what they take, without what SQLite adds to it."""

    publications: int
    size_bytes: int


async def keep(t: Transaction, sequence: int, published_at: datetime, lines: list[str]) -> None:
    """Keep what is being published: `lines` as `policy.snapshot_lines.to_lines` makes them."""
    last = await t.fetch_one(
        "SELECT lines FROM kept_policy WHERE lines IS NOT NULL ORDER BY sequence DESC LIMIT 1"
    )
    try:
        ids = _ids(last["lines"]) if last is not None else []
    except (zlib.error, ValueError):
        ids = []  # publishing goes on: all lines are kept anew
    known = {text: id_ for id_, text in (await _texts(t, ids)).items()}
    row = await t.fetch_one("SELECT coalesce(max(id), 0) AS id FROM kept_line")
    newest = row["id"] if row else 0
    new = [line for line in dict.fromkeys(lines) if line not in known]
    known |= {line: newest + number for number, line in enumerate(new, start=1)}
    await t.execute_many(
        "INSERT INTO kept_line (id, text) VALUES (?, ?)", [(known[line], line) for line in new]
    )
    kept = [known[line] for line in lines]
    await t.execute(
        "INSERT INTO kept_policy (sequence, published_at, lines) VALUES (?, ?, ?)",
        sequence,
        to_ms(published_at),
        _packed(kept) if kept != ids else None,
    )


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
