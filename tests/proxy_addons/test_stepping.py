"""Coroutines without a task, on the loop of a worker and on asyncio's own."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

import pytest

from proxy_addons.event_loop import WorkerLoop
from proxy_addons.stepping import Steps

LOOPS = [asyncio.new_event_loop, WorkerLoop]


def on(loop: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(work, 60))


@pytest.mark.parametrize("loop", LOOPS)
def test_coroutine_runs_to_its_first_wait_at_once_and_on_when_that_is_over(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def work() -> None:
        done: list[object] = []
        over = asyncio.Event()

        async def steps() -> None:
            done.append("begun")
            with socket.create_server(("127.0.0.1", 0)) as server:
                address = server.getsockname()
                transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address)
                done.append(transport.get_extra_info("peername") == address)
                transport.abort()
            done.extend(await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, lambda: "ab")))
            with pytest.raises(ConnectionRefusedError):
                await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address)
            over.set()

        Steps(steps())
        assert done == ["begun"]
        await over.wait()
        assert done == ["begun", True, "a", "b"]

    on(loop, work())


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelled_coroutine_is_told_where_it_waits_and_only_once(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def work() -> None:
        done: list[str] = []

        async def steps() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                done.append("cleared up")

        waiting = Steps(steps())
        waiting.cancel()
        await asyncio.sleep(0.01)
        waiting.cancel()
        assert done == ["cleared up"]

    on(loop, work())


@pytest.mark.parametrize("start", [Steps, asyncio.ensure_future])
@pytest.mark.parametrize("loop", LOOPS)
def test_coroutine_that_is_cancelled_in_the_turn_in_which_its_wait_ends_is_told_as_in_a_task(
    loop: Callable[[], asyncio.AbstractEventLoop],
    start: Callable[[Coroutine[None, None, None]], Steps | asyncio.Future[None]],
) -> None:
    async def work() -> None:
        done: list[str] = []
        over = asyncio.get_running_loop().create_future()

        async def steps() -> None:
            try:
                await over
                done.append("went on")
            except asyncio.CancelledError:
                done.append("cancelled")

        waiting = start(steps())
        await asyncio.sleep(0)
        over.set_result(None)
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert done == ["cancelled"]

    on(loop, work())
