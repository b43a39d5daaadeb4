"""Open visits are judged again when something has changed: those it is about, a few in each turn."""

import asyncio
from collections.abc import Callable

from policy.touched import NOTHING, Touched
from proxy_addons.fail_closed import closed_on_failure
from proxy_addons.in_turns import in_turns
from proxy_addons.judge import Judge
from proxy_addons.visit_log import VisitLog


class JudgingAgain:
    """Judges what changes are about by the judge in force; that may be a newer one than the change's."""

    def __init__(self, log: VisitLog, in_force: Callable[[], Judge]) -> None:
        self._log = log
        self._in_force = in_force
        self._waiting = NOTHING
        self._has_changed = asyncio.Event()

    def change(self, touched: Touched) -> None:
        """Have the visits that a change is about judged again soon."""
        self._waiting |= touched
        self._has_changed.set()

    async def follow(self) -> None:
        """Judge again after every change, until it is cancelled.

        What changes meanwhile is judged again after that: no visit waits for another change to be over.
        """
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            touched, self._waiting = self._waiting, NOTHING
            async for visit in in_turns(self._log.open.touched(touched)):
                if visit is not None:
                    with closed_on_failure("judge_again", visit.close):
                        self._log.judge_again(visit, self._in_force())
