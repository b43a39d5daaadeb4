"""Promises of time, on a machine that other tests keep busy: tried until one try is in time.

Such a machine is late now and then, but not every time.
"""

from collections.abc import Awaitable, Callable

AT_ONCE_SECONDS = 1.0
_TRIES = 3


def assert_at_once(seconds_of: Callable[[], float], within_seconds: float = AT_ONCE_SECONDS) -> None:
    """Try something until it takes less than so many seconds; `seconds_of` tries it, and says how long."""
    took: list[float] = []
    while not took or took[-1] >= within_seconds:
        assert len(took) < _TRIES, f"took {took} seconds"
        took.append(seconds_of())


async def assert_soon(
    seconds_of: Callable[[], Awaitable[float]], within_seconds: float = AT_ONCE_SECONDS
) -> None:
    """Do what `assert_at_once` does, with a coroutine."""
    took: list[float] = []
    while not took or took[-1] >= within_seconds:
        assert len(took) < _TRIES, f"took {took} seconds"
        took.append(await seconds_of())
