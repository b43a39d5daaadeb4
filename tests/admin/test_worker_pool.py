"""Workers that come and go; a fake one each, a program of three lines, in place of the real one."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from admin import worker_pool
from admin.child_process import Child, NotServingError, Program
from admin.worker_pool import Reason, WorkerPool, WorkerRemains

# As the real one: it ends at SIGUSR1, since nothing is open in it, and at SIGTERM.
_FAKE_WORKER = "import os, sys, time; os.write(int(sys.argv[-1]), {says}); time.sleep(600)"


class Programs:
    """What is started next."""

    def __init__(self) -> None:
        self.says = b"ready\n"
        self.python = sys.executable
        self.forgotten: list[int] = []

    async def start(self, number: int) -> Child:
        command = (self.python, "-c", _FAKE_WORKER.format(says=self.says))
        return await Child.started(Program(f"worker {number}", command, ()))


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest_asyncio.fixture
async def pool(programs: Programs) -> AsyncIterator[WorkerPool]:
    found = WorkerPool(programs.start, 1 << 40, programs.forgotten.append)
    await found.start(2)
    yield found
    await found.stop(10)


def pids(pool: WorkerPool) -> dict[int, int]:
    return {worker.number: worker.pid for worker in pool.remains() if not worker.is_draining}


async def until_forgotten(programs: Programs, pid: int) -> None:
    async with asyncio.timeout(60):
        while pid not in programs.forgotten:
            await asyncio.sleep(0.02)


async def test_a_worker_is_replaced_and_the_old_one_ends(pool: WorkerPool, programs: Programs) -> None:
    before = pids(pool)
    await pool.replace(1, Reason.RESTART)
    assert pids(pool)[1] != before[1] and pids(pool)[2] == before[2]
    await until_forgotten(programs, before[1])
    assert pool.states == {"starting": 0, "ready": 2, "draining": 0}
    assert pool.restarts == {"died": 0, "memory": 0, "restart": 1}


async def test_a_worker_stays_where_no_other_can_be_put_in_its_place(
    pool: WorkerPool, programs: Programs
) -> None:
    before = pids(pool)
    programs.says = b"this disk is full\n"
    with pytest.raises(NotServingError, match="this disk is full"):
        await pool.replace(1, Reason.RESTART)
    assert pids(pool) == before
    assert pool.restarts["restart"] == 0


async def test_a_worker_that_does_not_answer_is_killed_and_another_started(
    pool: WorkerPool, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pids(pool)
    pool.look()
    assert pids(pool) == before
    # None of these ever says more than that it serves.
    monkeypatch.setattr(worker_pool, "_SILENT_SECONDS", 0.0)
    pool.look()
    for pid in before.values():
        await until_forgotten(programs, pid)
    async with asyncio.timeout(60):
        while pool.states["ready"] < 2:
            await asyncio.sleep(0.02)
    assert not set(pids(pool).values()) & set(before.values())
    assert pool.restarts["died"] == 2


async def test_a_worker_that_ends_while_none_can_be_started_is_started_once_one_can(
    pool: WorkerPool, programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    programs.python = "/nowhere/python"
    dead = pids(pool)[2]
    os.kill(dead, signal.SIGKILL)
    async with asyncio.timeout(60):
        while "worker 2 cannot be started: No such file" not in caplog.text:
            await asyncio.sleep(0.02)
    programs.python = sys.executable
    async with asyncio.timeout(60):
        while pids(pool).get(2, dead) == dead:
            await asyncio.sleep(0.02)


async def test_a_worker_beyond_the_number_that_is_wanted_now_drains(programs: Programs) -> None:
    # As it is left by the program before: no child that this one has started.
    left = []
    for _ in range(2):
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        command = [sys.executable, "-c", _FAKE_WORKER.format(says=programs.says), str(writing)]
        left.append((os.posix_spawn(sys.executable, command, dict(os.environ)), reading))
        os.close(writing)
    found = WorkerPool(programs.start, 1 << 40, programs.forgotten.append)
    found.adopt(1, [WorkerRemains(number, *worker, False) for number, worker in enumerate(left, start=1)])
    try:
        await until_forgotten(programs, left[1][0])
        assert pids(found) == {1: left[0][0]}
    finally:
        await found.stop(10)
