"""One process that is started again whenever it ends."""

import asyncio
import logging
import signal

from admin.child_process import Child, NotServingError, Program

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0


class KeptProcess:
    """Runs one program, one process of it at a time."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._child: Child | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the process; None while there is none."""
        return None if self._child is None or self._child.has_ended else self._child.pid

    async def start(self) -> None:
        """Start it and wait until it serves. Raises NotServingError; then it is not kept."""
        self._child = await Child.started(self._program)
        self.keep()

    def adopt(self, pid: int) -> None:
        """Go on with a process that another program has left."""
        self._child = Child(self._program.name, pid, None)
        self.keep()

    async def restart(self, within_seconds: float) -> None:
        """End it and start it anew. Raises NotServingError; it is tried again by itself."""
        await self.stop(within_seconds)
        try:
            self._child = await Child.started(self._program)
        finally:
            self.keep()

    def keep(self) -> None:
        """Start it again from now on whenever it ends or has ended."""
        self._keeping = asyncio.create_task(self._start_whenever_it_ends(), name=f"keep {self._program.name}")

    def kill(self) -> None:
        """Have another one started in its place: it does nothing any more."""
        if self._child is not None:
            self._child.send(signal.SIGKILL)

    async def stop(self, within_seconds: float) -> None:
        """End it, and keep it no more."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._child is not None:
            self._child.send(signal.SIGTERM)
            await self._child.end_within(within_seconds)

    async def _start_whenever_it_ends(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            if self._child is not None:
                status = await self._child.ended()
                logger.error("process ended, restarting: name=%s status=%d", self._program.name, status)
            await asyncio.sleep(pause)
            try:
                self._child = await Child.started(self._program)
            except NotServingError as error:
                self._child = None
                logger.error("process did not start: %s", error)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                pause = _FIRST_PAUSE_SECONDS
