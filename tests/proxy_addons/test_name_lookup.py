"""Who waits for whom when names are looked up. The resolver is a fake that answers when it is let."""

import asyncio
import threading
from collections import Counter

import pytest

from proxy_addons.name_lookup import AT_ONCE, AT_ONCE_OF_ONE, NameLookup

CLIENT, OTHER_CLIENT = "10.10.20.15", "10.10.20.16"
ADDRESS = ("192.88.99.1",)
_PATIENCE_SECONDS = 60.0
"""Reached only by what does not work."""


class SlowResolver:
    """Answers as many names as it is let; `asked` are the names in the order of asking."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers = threading.Semaphore(0)

    def let(self, answers: int = 10_000) -> None:
        self._answers.release(answers)

    def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        if host != "quick.example":
            self._answers.acquire(timeout=_PATIENCE_SECONDS)
        return ADDRESS


@pytest.fixture
def resolver() -> SlowResolver:
    return SlowResolver()


@pytest.fixture
def names(resolver: SlowResolver) -> NameLookup:
    return NameLookup(resolver)


def ask_for(names: NameLookup, hosts: list[str], client: str) -> list[asyncio.Task[tuple[str, ...]]]:
    return [asyncio.create_task(names.addresses(host, client)) for host in hosts]


async def test_client_has_a_quarter_of_the_threads(names: NameLookup, resolver: SlowResolver) -> None:
    crowd = ask_for(names, [f"{n}.example" for n in range(200)], CLIENT)
    await asyncio.sleep(0)

    assert await names.addresses("quick.example", OTHER_CLIENT) == ADDRESS
    assert len(resolver.asked) == AT_ONCE_OF_ONE + 1

    resolver.let()
    assert await asyncio.gather(*crowd) == [ADDRESS] * 200


async def test_clients_take_turns_when_all_threads_are_busy(
    names: NameLookup, resolver: SlowResolver
) -> None:
    crowd = [
        task
        for client in range(6)
        for task in ask_for(names, [f"{n}.of-{client}.example" for n in range(AT_ONCE_OF_ONE)], str(client))
    ]
    await asyncio.sleep(0)
    assert names._begun.total() == AT_ONCE

    resolver.let(8)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while len(resolver.asked) < AT_ONCE + 8:
            await asyncio.sleep(0.01)

    later = Counter(name.partition(".of-")[2] for name in resolver.asked[AT_ONCE:])
    assert later == {"4.example": 4, "5.example": 4}

    resolver.let()
    await asyncio.gather(*crowd)


async def test_name_in_the_queue_of_one_client_is_looked_up_for_another_at_once(
    names: NameLookup, resolver: SlowResolver
) -> None:
    crowd = ask_for(names, [*(f"{n}.example" for n in range(50)), "quick.example"], CLIENT)
    await asyncio.sleep(0)

    assert await names.addresses("quick.example", OTHER_CLIENT) == ADDRESS
    assert await crowd[-1] == ADDRESS
    assert resolver.asked.count("quick.example") == 1

    resolver.let()
    await asyncio.gather(*crowd)


async def test_name_that_nobody_waits_for_any_more_is_not_looked_up(
    names: NameLookup, resolver: SlowResolver
) -> None:
    crowd = ask_for(names, [f"{n}.example" for n in range(200)], CLIENT)
    await asyncio.sleep(0)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)

    resolver.let()

    assert await names.addresses("one-more.example", CLIENT) == ADDRESS
    assert len(resolver.asked) == AT_ONCE_OF_ONE + 1


async def test_client_whose_queue_is_full_is_told_and_another_is_not(
    names: NameLookup, resolver: SlowResolver
) -> None:
    crowd = ask_for(names, [f"{n}.example" for n in range(AT_ONCE_OF_ONE + 500)], CLIENT)
    await asyncio.sleep(0)

    with pytest.raises(OSError, match=r"^too many names are being looked up$"):
        await names.addresses("one-more.example", CLIENT)
    assert await names.addresses("quick.example", OTHER_CLIENT) == ADDRESS

    resolver.let()
    await asyncio.gather(*crowd)
    assert await names.addresses("one-more.example", CLIENT) == ADDRESS


async def test_failure_of_the_resolver_reaches_who_asked() -> None:
    def fail(host: str) -> tuple[str, ...]:
        raise MemoryError(host)

    failing = NameLookup(fail)

    for _ in range(2):
        with pytest.raises(MemoryError):
            await failing.addresses("library.example", CLIENT)
