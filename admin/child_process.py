"""A process of the supervisor's, started by it or by the program that ran in its place before."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from admin.service_manager import without_its_variables

logger = logging.getLogger(__name__)

START_SECONDS = 60.0


class NotServingError(Exception):
    """A process could not be started, or does not serve and has been ended; the message says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: a command line, the descriptors it inherits, what its environment has beside ours."""

    name: str
    command: tuple[str, ...]
    fds: tuple[int, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A process that says on a pipe that it serves, or why it cannot; then, as it likes, that it is alive.

    It is followed by its pid, which stays its own until its end has been seen here.
    """

    def __init__(self, name: str, pid: int, reports: int | None) -> None:
        """Follow a child of this process; `reports` is our end of its pipe, if that is still open."""
        self.name = name
        self.pid = pid
        self.reports = reports
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: asyncio.Future[int] = self._loop.create_future()
        self._first_line: asyncio.Future[str] = self._loop.create_future()
        self._said = b""
        self._heard_at = self._loop.time()
        self._pidfd = os.pidfd_open(pid)
        self._loop.add_reader(self._pidfd, self._see_end)
        if reports is not None:
            self._loop.add_reader(reports, self._hear)

    @classmethod
    async def started(cls, program: Program) -> Self:
        """Start it, and wait until it serves. Raises NotServingError."""
        try:
            child = cls._spawned(program)
        except OSError as error:
            raise NotServingError(f"{program.name} cannot be started: {error.strerror}") from error
        return await child.serving()

    @classmethod
    def _spawned(cls, program: Program) -> Self:
        """Start it. Raises OSError; then nothing runs and no descriptor is left open."""
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program, waited for by its pid
                [*program.command, "--ready-fd", str(writing)],
                pass_fds=[*program.fds, writing],
                env={**without_its_variables(os.environ), **program.environment},
                # A terminal's Ctrl-C reaches the supervisor alone, which ends its children in order.
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        try:
            child = cls(program.name, process.pid, reading)
        except BaseException:
            # There was no descriptor left to follow it by.
            process.kill()
            process.wait()
            os.close(reading)
            raise
        child._process = process
        return child

    async def serving(self) -> Self:
        """Wait until it serves, and return it; else it is ended. Raises NotServingError."""
        try:
            await self._wait_until_it_serves()
        except BaseException:
            self.send(signal.SIGKILL)
            await self.ended()
            raise
        return self

    async def _wait_until_it_serves(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                said = await self._first_line
        except TimeoutError as error:
            raise NotServingError(
                f"{self.name} did not serve within {START_SECONDS:.0f} seconds, and was stopped"
            ) from error
        if said != "ready":
            raise NotServingError(said or f"{self.name} ended at its start; the log says why")

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._end.done()

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was heard of it; 0 once it has closed its pipe."""
        return 0.0 if self.reports is None else self._loop.time() - self._heard_at

    async def ended(self) -> int:
        """Wait for its end; return its exit status, or the signal that ended it as a negative number."""
        return await asyncio.shield(self._end)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end_within(self, seconds: float) -> None:
        """Wait for its end, and kill it when it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            logger.error("process did not end in time, killed: name=%s", self.name)
            self.send(signal.SIGKILL)
            await self.ended()

    def _see_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if self._process is not None:
            # Else it would wait for it itself.
            self._process.returncode = code
        self._end.set_result(code)

    def _hear(self) -> None:
        if self.reports is None:
            return
        data = os.read(self.reports, 1 << 16)
        self._heard_at = self._loop.time()
        if not self._first_line.done():
            self._said += data
            line, is_whole, _ = self._said.partition(b"\n")
            if is_whole or not data:
                self._first_line.set_result(line.decode(errors="replace").strip())
        if not data:
            self._loop.remove_reader(self.reports)
            os.close(self.reports)
            self.reports = None
