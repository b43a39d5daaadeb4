"""Runs a coroutine without a task.

asyncio keeps a weak reference to each task that waits, from Python: for a short one, such as a dial, that
takes longer than all the rest of it. The loop does as much for a future by itself.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Steps:
    """A coroutine that waits for futures alone (`asyncio.timeout` wants a task), and returns nothing.

    It runs at once up to its first wait. What it raises goes to the event loop's exception handler.
    """

    __slots__ = ("_coroutine", "_is_cancelled", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._is_cancelled = False
        self._waits_for: asyncio.Future[Any] | None = None
        self._step()

    def cancel(self) -> None:
        """Raise CancelledError in it, where it waits; nothing happens when it has ended."""
        if self._waits_for is not None and not self._waits_for.cancel():
            # What is waited for has ended in this very turn: it is told when it goes on.
            self._is_cancelled = True

    def _step(self, _: asyncio.Future[Any] | None = None) -> None:
        self._waits_for = None
        try:
            if self._is_cancelled:
                self._is_cancelled = False
                waits_for = self._coroutine.throw(asyncio.CancelledError())
            else:
                waits_for = self._coroutine.send(None)
        except (StopIteration, asyncio.CancelledError):
            return
        # What a task does, too: says that the future was really waited for.
        waits_for._asyncio_future_blocking = False
        self._waits_for = waits_for
        waits_for.add_done_callback(self._step)
