"""Tells people by mail, once a day for each limit, that a tunnel of theirs was closed for it: no page could.

Each look is at the visits of the last minutes; a letter is put once, however often it is put.
"""

from collections.abc import Callable
from datetime import timedelta

from admin import outbox
from admin.clock import Clock
from admin.database import Database
from admin.outbox import Letter, LetterKind
from admin.visit_log import clients
from policy.town_policy import Policy
from policy.town_time import zone_of

_LOOKED_BACK = timedelta(minutes=15)


class LimitLetters:
    """Looks for tunnels that limits have closed. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def look(self) -> None:
        """Put a letter to each person whose tunnel was closed, and who has none of today for that limit."""
        policy, at = self._policy(), self._clock()
        if not policy.limits:
            return
        found = await clients.closed_by_limits(self._db.visits, at - _LOOKED_BACK)
        known = [closed for closed in found if closed.person in policy.people]
        if not known:
            return
        async with self._db.transaction() as t:
            for closed in known:
                day = closed.started_at.astimezone(zone_of(policy)).date()
                values = {"host": closed.host, "limit": closed.limit, "at": closed.started_at.isoformat()}
                again = f"{day} {closed.limit}"
                await outbox.put(
                    t, Letter(LetterKind.LIMIT_CLOSED, closed.person, "LIMIT", values, again), at
                )
