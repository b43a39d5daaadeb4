"""uvloop as mitmproxy needs it: with eager tasks, also on the first releases of Python 3.13."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop


class WorkerLoop(uvloop.Loop):
    """uvloop hands its task factory `eager_start`, which Python 3.13.0's own factory refuses."""

    def set_task_factory(self, factory: Any) -> None:
        """Set the factory; in place of asyncio's eager one, the same taking one argument more."""
        eager: Any = _eager_task
        super().set_task_factory(eager if factory is asyncio.eager_task_factory else factory)


def _eager_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    *,
    eager_start: bool | None = None,
    **arguments: Any,
) -> asyncio.Future[Any]:
    return asyncio.eager_task_factory(loop, coro, **arguments)
