"""What a supervisor leaves to the program that takes its place in the same process (exec).

Descriptors stay open, children stay children; what they are is said in the environment.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from admin.worker_pool import WorkerRemains

_VARIABLE = "TOWNGATE_HANDOVER"
_TRIAL_VARIABLE = "TOWNGATE_HANDOVER_TRIAL"
_TRIAL_SECONDS = 60.0
_COMMAND = [sys.executable, *sys.orig_argv[1:]]
"""The program as it was started; what it finds on disk now may be newer."""


class NewProgramError(Exception):
    """The program on disk cannot take this one's place; this one goes on."""


@dataclass(frozen=True, slots=True)
class Handover:
    """Descriptors and pids. `asker` is the connection of whoever wants to hear how the restart goes."""

    sockets: dict[str, int]
    """Listening sockets, by the part that listens."""
    lifeline: tuple[int, int]
    proxy_lock: int | None
    control: int | None
    asker: int
    admin_pid: int | None
    workers: tuple[WorkerRemains, ...]
    restarts: dict[str, int]

    def fds(self) -> Iterator[int]:
        """Yield every descriptor that has to stay open."""
        yield from self.sockets.values()
        yield from self.lifeline
        yield from (fd for fd in (self.proxy_lock, self.control) if fd is not None)
        yield self.asker
        yield from (worker.reports for worker in self.workers)

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Handover":
        """Read it. Raises KeyError, TypeError or ValueError for what is none."""
        fields = json.loads(text)
        fields["lifeline"] = tuple(fields["lifeline"])
        fields["workers"] = tuple(WorkerRemains(**worker) for worker in fields["workers"])
        return cls(**fields)


def taken() -> Handover | None:
    """Return what the program before has left; None where there was none.

    In a trial, whose only question is whether this program can be started, it ends the process instead.
    """
    text = os.environ.pop(_VARIABLE, None)
    if text is None:
        return None
    handover = Handover.from_json(text)
    if os.environ.pop(_TRIAL_VARIABLE, None):
        raise SystemExit(0)
    for fd in handover.fds():
        os.set_inheritable(fd, False)
    return handover


async def try_new_program(handover: Handover) -> None:
    """Start the program that is on disk now, up to where it would take over. Raises NewProgramError."""
    try:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, _VARIABLE: handover.to_json(), _TRIAL_VARIABLE: "1"},
        )
    except OSError as error:
        raise NewProgramError(f"it cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(_TRIAL_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError as error:
        raise NewProgramError(f"it did not start within {_TRIAL_SECONDS:.0f} seconds") from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if process.returncode != 0:
        lines = errors.decode(errors="replace").split("\n")
        raise NewProgramError(next((line for line in reversed(lines) if line.strip()), "it said nothing"))


def give_way(handover: Handover) -> NoReturn:
    """Have the program that is on disk now take this one's place. Raises OSError; then this one goes on."""
    fds = list(handover.fds())
    sys.stdout.flush()
    sys.stderr.flush()
    for fd in fds:
        os.set_inheritable(fd, True)
    try:
        os.execve(sys.executable, _COMMAND, {**os.environ, _VARIABLE: handover.to_json()})  # noqa: S606
    finally:
        for fd in fds:
            os.set_inheritable(fd, False)
