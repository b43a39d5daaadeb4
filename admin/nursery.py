"""The process that the proxy's workers are forked from, and how it is told to.

It has imported what they all need (`proxy_addons.nursery`). What it forks becomes a child of this process, as
if it had been started here, and outlives it.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from admin.child_process import START_SECONDS, Child, NotServingError, Program

_PID_BYTES = 4
_ORDER_BYTES = 1 << 16
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


class NotForkedError(NotServingError):
    """The nursery did not do what it was ordered to in time: it is stuck, or there is none."""


class Orders:
    """Has workers forked by the nursery that runs; while none does, orders wait for the next."""

    def __init__(self) -> None:
        # Both ends stay open here: an order that one nursery did not take is the next one's.
        self._giving, self._taking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._giving.setblocking(False)
        self._turn = asyncio.Lock()

    def nursery(self, fds: tuple[int, ...], environment: Mapping[str, str]) -> Program:
        """Return the nursery: it takes the orders, and its workers inherit the descriptors."""
        taking = self._taking.fileno()
        command = (sys.executable, "-m", "proxy_addons.nursery", "--orders-fd", str(taking))
        return Program("the nursery of workers", command, (*fds, taking), environment)

    async def fork(self, name: str, command_line: Sequence[str]) -> Child:
        """Have a worker forked, and wait until it serves. Raises NotServingError, NotForkedError."""
        try:
            async with self._turn:
                child = await self._forked(name, command_line)
        except TimeoutError as error:
            raise NotForkedError(f"{name} was not forked within {START_SECONDS:.0f} seconds") from error
        except OSError as error:
            raise NotServingError(f"{name} cannot be started: {error.strerror}") from error
        return await child.serving()

    async def _forked(self, name: str, command_line: Sequence[str]) -> Child:
        reading, writing = os.pipe()
        try:
            with _parent_of_orphans():
                try:
                    socket.send_fds(self._giving, [json.dumps(command_line).encode()], [writing])
                finally:
                    os.close(writing)
                async with asyncio.timeout(START_SECONDS):
                    await _until_readable(reading)
                pid = int.from_bytes(os.read(reading, _PID_BYTES), sys.byteorder)
            if not pid:
                raise NotServingError(f"{name} ended at its start; the log says why")
            return _followed(name, pid, reading)
        except BaseException:
            os.close(reading)
            self._withdraw()
            raise

    def _withdraw(self) -> None:
        """Take back an order that no nursery has taken: nobody would wait for the end of its worker."""
        with suppress(BlockingIOError):
            _, fds, _, _ = socket.recv_fds(self._taking, _ORDER_BYTES, 1, socket.MSG_DONTWAIT)
            for fd in fds:
                os.close(fd)

    def close(self) -> None:
        """Give no more orders."""
        self._giving.close()
        self._taking.close()


@contextmanager
def _parent_of_orphans() -> Iterator[None]:
    """Be the parent of processes below this one whose own parent ends, as a new worker's does.

    For no longer than that: nobody here would wait for the end of others.
    """
    _set_subreaper(1)
    try:
        yield
    finally:
        _set_subreaper(0)


def _set_subreaper(value: int) -> None:
    if _libc.prctl(_SUBREAPER, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


async def _until_readable(fd: int) -> None:
    loop, is_readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(fd)


def _followed(name: str, pid: int, reports: int) -> Child:
    try:
        return Child(name, pid, reports)
    except BaseException:
        # There was no descriptor left to follow it by.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
