"""The proxy's workers: so many that take connections, and those that end with what they still have."""

import asyncio
import contextlib
import logging
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from admin.child_process import Child, NotServingError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_SILENT_SECONDS = 30.0
_BETWEEN_FOR_MEMORY_SECONDS = 300.0
_DRAIN = signal.SIGUSR1


class Reason(StrEnum):
    """Why a worker was put in another's place."""

    DIED = "died"
    MEMORY = "memory"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class WorkerRemains:
    """A worker as one program leaves it to the next in the same process: `reports` is our end of its pipe."""

    number: int
    pid: int
    reports: int
    is_draining: bool


class WorkerPool:
    """Starts workers and puts new ones in their place: the new one serves before the old one drains.

    `start_worker` starts the one of a number and waits until it serves, or raises NotServingError.
    `forget` is called with the pid of each that has ended. Of the figures, other threads may read.
    """

    def __init__(
        self,
        start_worker: Callable[[int], Awaitable[Child]],
        memory_limit_bytes: int,
        forget: Callable[[int], None],
    ) -> None:
        self._start_worker = start_worker
        self._memory_limit_bytes = memory_limit_bytes
        self._forget = forget
        self._serving: dict[int, Child] = {}
        self._draining: list[tuple[int, Child]] = []
        self._starting = 0
        self.restarts: Counter[str] = Counter({reason.value: 0 for reason in Reason})
        """How many were put in another's place, by why."""
        self._turns: dict[int, asyncio.Lock] = {}
        self._not_for_memory_before: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def states(self) -> dict[str, int]:
        """How many workers there are, by what they do."""
        return {"starting": self._starting, "ready": len(self._serving), "draining": len(self._draining)}

    @property
    def numbers(self) -> range:
        """The numbers of the workers, from 1."""
        return range(1, len(self._turns) + 1)

    async def start(self, count: int) -> None:
        """Start so many workers and wait until all serve. Raises NotServingError when one does not."""
        self._turns = {number: asyncio.Lock() for number in range(1, count + 1)}
        missing = [number for number in self.numbers if number not in self._serving]
        for number, child in zip(missing, await asyncio.gather(*map(self._started, missing)), strict=True):
            self._serve(number, child)

    def adopt(self, count: int, remains: Iterable[WorkerRemains]) -> None:
        """Go on with the workers that another program has left; start those that are missing."""
        self._turns = {number: asyncio.Lock() for number in range(1, count + 1)}
        for worker in remains:
            child = Child(name_of(worker.number), worker.pid, worker.reports)
            if worker.is_draining or worker.number not in self._turns:
                self._draining.append((worker.number, child))
                self._follow(worker.number, child)
                if not worker.is_draining:
                    # Fewer are wanted now than the program before had.
                    child.send(_DRAIN)
            else:
                self._serve(worker.number, child)
        for number in self.numbers:
            if number not in self._serving:
                self._run(self._refill(number))

    async def replace(self, number: int, reason: Reason) -> None:
        """Put a new worker in the place of one, which then drains.

        Raises NotServingError; then the old one stays.
        """
        async with self._turns[number]:
            new = await self._started(number)
            old = self._serving.get(number)
            self._serve(number, new)
            self.restarts[reason.value] += 1
            if old is not None and not old.has_ended:
                self._draining.append((number, old))
                old.send(_DRAIN)

    @asynccontextmanager
    async def nothing_starting(self) -> AsyncIterator[None]:
        """Have no worker start until the end of the block."""
        async with contextlib.AsyncExitStack() as stack:
            for turn in self._turns.values():
                await stack.enter_async_context(turn)
            yield

    def remains(self) -> list[WorkerRemains]:
        """Return what the next program in this process has to know of the workers."""
        found = [(number, child, False) for number, child in self._serving.items()]
        found += [(number, child, True) for number, child in self._draining]
        return [
            WorkerRemains(number, child.pid, child.reports, is_draining)
            for number, child, is_draining in found
            if child.reports is not None and not child.has_ended
        ]

    def look(self) -> None:
        """End workers that answer no more, and replace those that hold too much memory."""
        now = asyncio.get_running_loop().time()
        for _, child in (*self._serving.items(), *self._draining):
            if child.silent_seconds > _SILENT_SECONDS:
                logger.error("worker does not answer, killed: name=%s pid=%d", child.name, child.pid)
                child.send(signal.SIGKILL)
        for number, child in self._serving.items():
            if now < self._not_for_memory_before.get(number, 0.0):
                continue
            held = _own_memory_bytes(child.pid)
            if held > self._memory_limit_bytes:
                # A limit below what a new worker needs must not have them replaced without end.
                self._not_for_memory_before[number] = now + _BETWEEN_FOR_MEMORY_SECONDS
                logger.warning(
                    "worker holds too much: name=%s pid=%d mib=%d", child.name, child.pid, held >> 20
                )
                self._run(self._replace_for_memory(number))

    async def stop(self, within_seconds: float) -> None:
        """End all, those that drain too."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        children = [*self._serving.values(), *(child for _, child in self._draining)]
        for child in children:
            child.send(signal.SIGTERM)
        await asyncio.gather(*(child.end_within(within_seconds) for child in children))

    async def _started(self, number: int) -> Child:
        self._starting += 1
        try:
            return await self._start_worker(number)
        finally:
            self._starting -= 1

    def _serve(self, number: int, child: Child) -> None:
        self._serving[number] = child
        self._follow(number, child)

    def _follow(self, number: int, child: Child) -> None:
        self._run(self._see_end(number, child))

    def _run(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("what looks after a worker has failed", exc_info=error)

    async def _see_end(self, number: int, child: Child) -> None:
        """Wait for the end of a worker; put another in its place, unless that has been done."""
        status = await child.ended()
        self._forget(child.pid)
        if (number, child) in self._draining:
            self._draining.remove((number, child))
            logger.info("worker has drained: name=%s pid=%d status=%d", child.name, child.pid, status)
        elif self._serving.get(number) is child:
            del self._serving[number]
            self.restarts[Reason.DIED.value] += 1
            logger.error(
                "worker ended, another is started: name=%s pid=%d status=%d", child.name, child.pid, status
            )
            await self._refill(number)

    async def _refill(self, number: int) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            async with self._turns[number]:
                if number in self._serving:
                    return
                try:
                    self._serve(number, await self._started(number))
                except NotServingError as error:
                    logger.error("worker did not start: %s", error)
                else:
                    return
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _replace_for_memory(self, number: int) -> None:
        try:
            await self.replace(number, Reason.MEMORY)
        except NotServingError as error:
            logger.error("worker goes on, none can be put in its place: %s", error)


def name_of(number: int) -> str:
    """Return what the worker of a number is called; its process has this name too."""
    return f"proxy worker {number}"


def _own_memory_bytes(pid: int) -> int:
    """Return what a process holds in memory, mapped files left out; 0 when it has ended."""
    try:
        found = re.search(r"^RssAnon:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
