"""Who comes to decide what waits already hears of it: a new head or delegate, who stands in from today on.

Looks when the policy, with who stands in, is another than at the last look, and once after each start. Each
hears of a step of a request once, whenever they came to it.
"""

from collections.abc import Callable

from admin import request_letters, waiting_requests
from admin.clock import Clock
from admin.database import Database
from policy.town_policy import Policy


class NewDeciders:
    """Looks for them. `policy` returns the running one, with those who stand in now."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock
        self._looked_by: Policy | None = None

    async def look(self) -> None:
        """Put a letter to each who may answer a request and has had none about its present step."""
        policy = self._policy()
        if policy == self._looked_by:
            return
        at = self._clock()
        async with self._db.transaction() as t:
            for request in await waiting_requests.undecided(t, at):
                await request_letters.put_to_new_deciders(t, policy, request, at)
        self._looked_by = policy
