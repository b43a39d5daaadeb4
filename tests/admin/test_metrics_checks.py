"""`/-/healthy` and `/-/ready` of a supervisor, asked over its metrics listener."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from admin.child_process import Child, Program
from admin.listening import Address
from admin.state_folder import StateFolder
from admin.supervisor import Parts, Supervisor

_FAKE_WORKER = "import os, sys, time; os.write(int(sys.argv[-1]), b'ready\\n'); time.sleep(600)"
_BROKEN = Program("worker 1", (sys.executable, "-c", "raise SystemExit(1)"), ())


class Watched:
    """A supervisor whose metrics are served, and whose worker is a program of one line."""

    def __init__(self, supervisor: Supervisor, url: str) -> None:
        self.supervisor = supervisor
        self.url = url

    async def answers(self) -> dict[str, tuple[int, str]]:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            asked = {path: await client.get(f"/-/{path}") for path in ("healthy", "ready")}
        return {path: (answer.status_code, answer.text) for path, answer in asked.items()}


@pytest_asyncio.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    state = StateFolder(tmp_path / "state")
    state.create()
    anywhere = Address("127.0.0.1", 0)
    supervisor = Supervisor(Parts(state, anywhere, anywhere, None, 1, 1 << 40, 600))
    program = Program("worker 1", (sys.executable, "-c", _FAKE_WORKER), ())
    monkeypatch.setattr(supervisor._workers, "_start_worker", lambda _number: Child.started(program))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        supervisor._metrics.serve(listening)
        yield Watched(supervisor, f"http://127.0.0.1:{listening.getsockname()[1]}")
    await supervisor._workers.stop(10)
    supervisor._metrics.stop()


YES, NO = (200, "yes\n"), (503, "no\n")


async def test_it_is_ready_only_while_a_worker_takes_connections(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await watched.answers() == {"healthy": YES, "ready": NO}
    await watched.supervisor._workers.start(1)
    assert await watched.answers() == {"healthy": YES, "ready": YES}
    monkeypatch.setattr(watched.supervisor._workers, "_start_worker", lambda _number: Child.started(_BROKEN))
    (worker,) = watched.supervisor._workers.remains()
    os.kill(worker.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while watched.supervisor._workers.states["ready"]:
            await asyncio.sleep(0.02)
    assert await watched.answers() == {"healthy": YES, "ready": NO}


async def test_it_is_healthy_only_while_the_supervisor_looks(watched: Watched) -> None:
    await watched.supervisor._workers.start(1)
    watched.supervisor._looked_at -= 3600
    assert await watched.answers() == {"healthy": NO, "ready": YES}
    looking = asyncio.create_task(watched.supervisor._look())
    await asyncio.sleep(0)
    assert await watched.answers() == {"healthy": YES, "ready": YES}
    looking.cancel()
