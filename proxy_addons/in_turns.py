"""Long work on the event loop, a few milliseconds in each of its turns."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

_TURN_SECONDS = 0.005
"""What flows in ten thousand tunnels must not stall."""


async def in_turns[Item](items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield items; once a turn has been this long, whatever else waits goes first."""
    until = time.perf_counter() + _TURN_SECONDS
    for item in items:
        yield item
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _TURN_SECONDS
