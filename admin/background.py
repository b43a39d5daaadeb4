"""Work that goes on behind the pages: started together, restarted when it fails, stopped cleanly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0


class Background:
    """Keeps tasks running from `async with` to its end.

    A task that fails is logged and started again after a pause, which doubles up to 10 seconds.
    `failures` names the tasks that are pausing, with what went wrong.
    """

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self._keepers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, which never returns of itself, until the end of the block."""
        self._keepers.append(asyncio.create_task(self._keep(name, work), name=f"keep {name}"))

    def keep_looking(self, name: str, look: Callable[[], Awaitable[object]], *, seconds: float) -> None:
        """Call `look` again and again, with a pause between, until the end of the block."""

        async def work() -> None:
            while True:
                await look()
                await asyncio.sleep(seconds)

        self.keep_running(name, work)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pause = _FIRST_PAUSE
        while True:
            self.failures.pop(name, None)
            started_at = asyncio.get_running_loop().time()
            task = asyncio.ensure_future(work())
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            error = task.exception()
            logger.error("background task ended: task=%s restarts_in=%s", name, pause, exc_info=error)
            self.failures[name] = str(error) if error else "it ended"
            if asyncio.get_running_loop().time() - started_at > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
