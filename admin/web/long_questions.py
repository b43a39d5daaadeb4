"""Questions to the visit log that may take long: while the browser waits, and no longer than 20 seconds."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request

MOST_SECONDS = 20.0
_MOST_AT_ONCE = 2
"""One fewer than a month's file has readers: for short questions one is always free."""


class TooLongError(Exception):
    """A question was given up, as it took too long."""


class BrowserGoneError(Exception):
    """A question was given up, as nobody waits for its answer."""


class LongQuestions:
    """Asks a few at a time; the others wait, and that counts."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_MOST_AT_ONCE)

    async def answer[T](self, http_request: Request, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` does; when that is given up, it is cancelled.

        Raises TooLongError, or BrowserGoneError once the page was closed or its loading stopped.
        """
        asking = asyncio.ensure_future(self._in_turn(ask))
        leaving = asyncio.ensure_future(_has_left(http_request))
        try:
            done, _ = await asyncio.wait(
                (asking, leaving), timeout=MOST_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if asking in done:
                return asking.result()
            if leaving in done:
                raise BrowserGoneError(f"{http_request.url.path}: the browser is gone")
            raise TooLongError(f"{http_request.url.path}: no answer within {MOST_SECONDS:g} seconds")
        finally:
            asking.cancel()
            leaving.cancel()
            # The readers are free again before the page says so.
            await asyncio.wait((asking, leaving))

    async def _in_turn[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._free:
            return await ask()


async def _has_left(http_request: Request) -> None:
    while (await http_request.receive())["type"] != "http.disconnect":
        pass
