"""Whether the admin site answers, so that a page does not offer what cannot be done."""

import asyncio
import time

_REMEMBER_YES_SECONDS = 5.0
_REMEMBER_NO_SECONDS = 1.0
_TIMEOUT_SECONDS = 0.5


class AdminProbe:
    """Asks by opening a connection, when a page is made and the last answer is some seconds old."""

    def __init__(self) -> None:
        self._until = 0.0
        self._answers = False
        self._asking = asyncio.Lock()

    async def answers(self, address: tuple[str, int] | None) -> bool:
        """Return whether something listens at the admin site's (host, port)."""
        if address is None:
            return False
        async with self._asking:
            if time.monotonic() >= self._until:
                self._answers = await _listens(*address)
                seconds = _REMEMBER_YES_SECONDS if self._answers else _REMEMBER_NO_SECONDS
                self._until = time.monotonic() + seconds
        return self._answers


async def _listens(host: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    except OSError:
        return False
    transport.close()
    return True
