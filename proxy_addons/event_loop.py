"""uvloop as mitmproxy needs it: with eager tasks, also on the first releases of Python 3.13."""

import asyncio
import weakref
from collections.abc import Coroutine
from typing import Any


class TransportsByDescriptor:
    """What a loop knows of its transports: the last one of each file descriptor, for as long as it lives.

    uvloop has a WeakValueDictionary for that, which for every connection runs more Python than the tunnel
    lane does to read a ClientHello. Here what has gone is forgotten when its descriptor is used again.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, weakref.ref[Any]] = {}

    def __setitem__(self, descriptor: int, transport: object) -> None:
        self._last[descriptor] = weakref.ref(transport)

    def __getitem__(self, descriptor: int) -> object:
        transport = self._last[descriptor]()
        if transport is None:
            raise KeyError(descriptor)
        return transport


# uvloop takes it when it is imported, and never again.
_weak_values = weakref.WeakValueDictionary
weakref.WeakValueDictionary = TransportsByDescriptor  # type: ignore[assignment,misc]
try:
    import uvloop
finally:
    weakref.WeakValueDictionary = _weak_values  # type: ignore[misc]


class WorkerLoop(uvloop.Loop):
    """uvloop hands its task factory `eager_start`, which Python 3.13.0's own factory refuses."""

    def set_task_factory(self, factory: Any) -> None:
        """Set the factory; in place of asyncio's eager one, the same taking one argument more."""
        eager: Any = _eager_task
        super().set_task_factory(eager if factory is asyncio.eager_task_factory else factory)


def _eager_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    *,
    eager_start: bool | None = None,
    **arguments: Any,
) -> asyncio.Future[Any]:
    return asyncio.eager_task_factory(loop, coro, **arguments)
