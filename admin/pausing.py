"""Pauses access whose site has become a security risk, or of a kind that nobody can allow, while it is.

The proxy needs nobody for that: deciding counts no exemption for a risk that was not accepted, nor for
what the policy never lets anybody allow.
This is for the people: what it means is recorded and told once, and the pages say so.
"""

import asyncio
import json
from datetime import datetime

from admin import audit, exemptions, outbox, request_time_line, stored_requests
from admin.asking_terms import never_allowed, stops_downloads
from admin.audit import Event, EventKind
from admin.clock import Clock
from admin.database import Database, Transaction
from admin.exemptions import Paused
from admin.one_by_one import OneByOne
from admin.outbox import Letter, LetterKind
from admin.publisher import Publisher
from admin.site_lists import SiteLists
from categories.snapshot import CategorySnapshotError

_WATCH_SECONDS = 0.5
_ACTOR = "the lists"


class Pausing:
    """Looks at access in force whenever lists, corrections, access or the policy have changed."""

    def __init__(self, db: Database, publisher: Publisher, lists: SiteLists, clock: Clock) -> None:
        self._db = db
        self._publisher = publisher
        self._lists = lists
        self._clock = clock
        self._looked_at: tuple[str, str, int] | None = None

    async def watch(self) -> None:
        """Look twice a second whether something has changed, for ever."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                await self.look()
            except CategorySnapshotError:
                # Today says that there are no lists; what was paused stays so.
                continue

    async def look(self) -> None:
        """Pause and resume what is due, if something has changed since the last look.

        Raises CategorySnapshotError when no lists can be read, RoundError where it failed for some.
        """
        row = await self._db.fetch_one("SELECT change FROM publication")
        policy = self._publisher.policy
        present = (await self._lists.version(), policy.version, row["change"] if row else 0)
        if present == self._looked_at:
            return
        with OneByOne() as each:
            for granted in await exemptions.live_with_pauses(self._db, self._clock()):
                exemption = granted.exemption
                if not exemption.host:
                    # No risk is ever open by categories or a device, and nothing that nobody can allow.
                    continue
                listed_as = await self._lists.categories(exemption.host, exemption.path or None)
                risks = listed_as & policy.security_categories
                shut = risks - exemption.accepted_risks
                if not exemption.lifts_limits or stops_downloads(policy, exemption.lifts_rule):
                    shut |= never_allowed(policy, listed_as)
                if shut != granted.paused_for:
                    with each.about(exemption.id):
                        await self._set(granted, shut)
        self._looked_at = present

    async def _set(self, granted: Paused, shut: frozenset[str]) -> None:
        """Note what the exemption is paused for; tell of it when it begins, and record when it ends."""
        at = self._clock()
        async with self._db.transaction() as t:
            if not await exemptions.set_paused(t, granted, shut):
                return
            if granted.paused_for and shut:
                return
            kind = EventKind.EXEMPTION_PAUSED if shut else EventKind.EXEMPTION_RESUMED
            request = await stored_requests.get(t, granted.access_request)
            details: dict[str, audit.Detail] = {
                "exemption": granted.exemption.id,
                "host": granted.exemption.host + granted.exemption.path,
                "risks": sorted(shut or granted.paused_for),
            }
            await audit.record(t, Event(kind, _ACTOR, request.number, at, details))
            if shut:
                await self._tell(t, granted, shut, at)

    async def _tell(self, t: Transaction, granted: Paused, shut: frozenset[str], at: datetime) -> None:
        """Write to the asker, to those who agreed, and to IT."""
        request = await stored_requests.get(t, granted.access_request)
        agreed = {
            move.actor for move in await request_time_line.time_line(t, request) if move.role is not None
        }
        it_security = self._publisher.policy.roles.get("it_security", ())
        never = sorted(never_allowed(self._publisher.policy, shut))
        values = {
            "category": (never or sorted(shut))[0],
            "host": granted.exemption.host + granted.exemption.path,
        }
        # Paused a second time is told a second time.
        again = json.dumps([granted.exemption.id, at.isoformat()])
        for person in sorted({*request.askers, *agreed, *it_security}):
            letter = Letter(LetterKind.EXEMPTION_PAUSED, person, request.number, values, again=again)
            await outbox.put(t, letter, at)
