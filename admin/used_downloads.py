"""Access to one download that is used up: taken in from what workers claim, recorded once, and tidied.

A worker decides by the claims alone (`proxy_addons.claims`). This is for the people: the pages say it, and
records do. Claims are untrusted, as all that the spool has: more than its name nobody reads here.
"""

import asyncio
import json
import stat
from datetime import datetime, timedelta
from pathlib import Path

from admin import audit, stored_requests
from admin.audit import Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Row
from admin.exemptions import exemption_name
from policy import state_names

# A worker whose clock is behind, or that has yet to hear of it, must find the claim.
_KEPT = timedelta(days=1)
_MOST_FILES = 10_000


class UsedDownloads:
    """Looks for claims in `spool`."""

    def __init__(self, db: Database, spool: Path, clock: Clock) -> None:
        self._db = db
        self._spool = spool
        self._clock = clock

    async def look(self) -> None:
        """Note what was used up since the last look; delete claims of access that is over for a day."""
        written = await asyncio.to_thread(self._written)
        if not written:
            return
        at, access = self._clock(), await self._access(written)
        for path, written_at in written.items():
            row = access.get(path.name)
            if (from_ms(row["expires_at"]) if row else written_at + _KEPT) + _KEPT <= at:
                await asyncio.to_thread(path.unlink, missing_ok=True)
            elif row is not None and row["used_at"] is None:
                await self._note(row, min(at, max(written_at, from_ms(row["granted_at"]))), at)

    def _written(self) -> dict[Path, datetime]:
        """Return the claims, with when each was written; unfinished ones, too."""
        found = {}
        for path in sorted(self._spool.glob(f"*{state_names.CLAIM_SUFFIX}"))[:_MOST_FILES]:
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[path] = from_ms(status.st_mtime_ns // 1_000_000)
        return found

    async def _access(self, written: dict[Path, datetime]) -> dict[str, Row]:
        """Return the access to one download that claims are of, by the name of the claim."""
        named = (path.name.partition("-")[2].partition("-")[0] for path in written)
        ids = [int(id_) for id_ in named if id_.isascii() and id_.isdecimal()]
        rows = await self._db.fetch_all(
            "SELECT exemption.* FROM exemption JOIN access_request ON access_request.id = access_request"
            " WHERE duration = 'once' AND exemption.id IN (SELECT value FROM json_each(?))",
            json.dumps(ids),
        )
        return {state_names.claim(exemption_name(row["id"]), from_ms(row["granted_at"])): row for row in rows}

    async def _note(self, row: Row, used_at: datetime, at: datetime) -> None:
        async with self._db.transaction() as t:
            is_first = await t.execute(
                "UPDATE exemption SET used_at = ? WHERE id = ? AND used_at IS NULL", to_ms(used_at), row["id"]
            )
            if is_first:
                request = await stored_requests.get(t, row["access_request"])
                details: dict[str, audit.Detail] = {
                    "exemption": exemption_name(row["id"]),
                    "host": row["host"],
                }
                used = Event(EventKind.EXEMPTION_USED_UP, row["person"], request.number, at, details)
                await audit.record(t, used)
