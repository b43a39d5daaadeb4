"""What becomes of requests that nobody answers: a reminder, then those above may answer as well.

When is stored with each request, so that nothing is lost while admin is down: what became due meanwhile
is done by the first look. Each is done once, however many look.
"""

import asyncio
from collections.abc import Callable

from admin import access_request_lists, access_requests
from admin.clock import Clock
from admin.database import Database
from policy.town_policy import Policy

_LOOK_SECONDS = 20.0


class Unanswered:
    """Looks for requests whose time has come. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def run(self) -> None:
        """Look three times a minute, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Remind of, or pass on, what is due; what is due for both is passed on."""
        at = self._clock()
        for request in await access_request_lists.unanswered(self._db, at):
            policy = self._policy()
            async with self._db.transaction() as t:
                if at >= request.due_at and await access_requests.pass_on(t, policy, request, at):
                    continue
                if request.remind_at is not None and at >= request.remind_at:
                    await access_requests.remind(t, policy, request, at)
