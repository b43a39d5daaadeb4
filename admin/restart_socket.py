"""Where the running supervisor is asked to restart: a socket in the state folder, for the proxy's user only.

One question a connection, `restart`. The answer is lines: `- TEXT` says how it goes, `! TEXT` what did not
go; the last is `done` or `failed`.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

_QUESTION = b"restart\n"
_DONE, _FAILED = "done", "failed"
_ASK_SECONDS = 5.0
_DEAF_SECONDS = 1.0


class NobodyRunsError(Exception):
    """There is no supervisor to be asked, or it may not be."""


class RestartUnfinishedError(Exception):
    """Something was not restarted; what is said before says what."""


class Asker:
    """Who asked for a restart. That they have left changes nothing."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._has_failed = False

    @property
    def fd(self) -> int:
        """The connection's descriptor."""
        return self._connection.fileno()

    async def say(self, text: str) -> None:
        """Say what was done."""
        logger.info("restart: %s", text)
        await self._send(f"- {text}")

    async def complain(self, text: str) -> None:
        """Say what could not be done."""
        logger.error("restart: %s", text)
        self._has_failed = True
        await self._send(f"! {text}")

    async def close(self) -> None:
        """Say that this was all."""
        await self._send(_FAILED if self._has_failed else _DONE)
        self._connection.close()

    async def _send(self, line: str) -> None:
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._connection, f"{line}\n".encode())


def listen(path: Path) -> socket.socket | None:
    """Listen for questions; None, logged, where another supervisor of this state folder does."""
    listening = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as address:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(address) == 0:
                    logger.warning("another supervisor is asked to restart here: path=%s", path)
                    listening.close()
                    return None
            path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                listening.bind(address)
            finally:
                os.umask(before)
        listening.listen()
    except BaseException:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


async def next_asker(listening: socket.socket) -> Asker:
    """Wait until someone asks for a restart; where no connection can be taken (no descriptor), try again."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, _ = await loop.sock_accept(listening)
        except OSError as error:
            logger.error("who asks for a restart is not heard yet: error=%s", error.strerror)
            await asyncio.sleep(_DEAF_SECONDS)
            continue
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                if await loop.sock_recv(connection, len(_QUESTION)) == _QUESTION:
                    return Asker(connection)
        except (OSError, TimeoutError):
            pass
        connection.close()


def ask(path: Path) -> Iterator[tuple[bool, str]]:
    """Ask for a restart; yield what is said: whether it went well, and the words.

    Raises NobodyRunsError before anything is said, RestartUnfinishedError after it.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with _short(path) as address:
                connection.connect(address)
        except OSError as error:
            raise NobodyRunsError(error.strerror) from error
        connection.sendall(_QUESTION)
        with connection.makefile(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                sign, _, text = line.rstrip("\n").partition(" ")
                if sign == _DONE:
                    return
                if sign == _FAILED:
                    raise RestartUnfinishedError("not everything was restarted")
                yield sign == "-", text
    raise RestartUnfinishedError("the supervisor ended before it said that all was done; its log says why")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Return a name for a path of any length: the kernel takes 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
