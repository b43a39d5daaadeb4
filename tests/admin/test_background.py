import asyncio

import pytest

from admin import background
from admin.background import Background


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_FIRST_PAUSE", 0.01)


async def test_a_task_that_fails_is_logged_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    starts = 0
    third = asyncio.Event()

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts == 3:
            third.set()
            await asyncio.sleep(60)
        raise OSError("the disk is away")

    async with Background() as running:
        running.keep_running("ingest", work)
        await asyncio.wait_for(third.wait(), 30)
        assert running.failures == {}
    assert starts == 3
    assert caplog.text.count("background task ended: task=ingest") == 2
    assert "the disk is away" in caplog.text


async def test_a_task_that_pauses_is_named_with_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_FIRST_PAUSE", 60.0)

    async def work() -> None:
        raise OSError("the disk is away")

    async with asyncio.timeout(30), Background() as running:
        running.keep_running("ingest", work)
        while not running.failures:
            await asyncio.sleep(0.01)
        assert running.failures == {"ingest": "the disk is away"}


async def test_the_end_of_the_block_stops_every_task_and_waits_for_it() -> None:
    tidied = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            tidied.append(name)

    async with Background() as running:
        running.keep_running("a", lambda: work("a"))
        running.keep_running("b", lambda: work("b"))
        await asyncio.sleep(0.05)
    assert sorted(tidied) == ["a", "b"]


async def test_a_look_is_taken_again_and_again_also_after_one_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("admin.background._FIRST_PAUSE", 0.01)
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise OSError("disk full")

    async with Background() as background, asyncio.timeout(30):
        background.keep_looking("look", look, seconds=0.01)
        while looks < 4:
            await asyncio.sleep(0.01)
