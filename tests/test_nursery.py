"""The nursery, and workers that it forks: real ones, in a town of their own; the test is their supervisor."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from admin import nursery
from admin.child_process import Child, NotServingError
from admin.kept_process import KeptProcess
from admin.nursery import Orders
from tests.proxy_client import ProxyClient
from tests.published_town import PublishedTown

PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Forking:
    """A nursery that runs, and what its workers are given."""

    town: PublishedTown
    listening: socket.socket
    lifeline: int
    orders: Orders
    kept: KeptProcess
    workers: list[Child] = field(default_factory=list)

    @property
    def pid(self) -> int:
        assert self.kept.pid is not None
        return self.kept.pid

    def children(self) -> set[int]:
        found = set()
        for task in Path("/proc/self/task").iterdir():
            # A thread may end meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                found.update(map(int, (task / "children").read_text().split()))
        return found

    async def stop_nursery(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        await until(lambda: status_of(self.pid, "State").startswith("T"))

    async def worker(self, number: int) -> Child:
        options = (
            *("--state", str(self.town.state.root), "--number", str(number)),
            *("--listen-fd", str(self.listening.fileno()), "--lifeline-fd", str(self.lifeline)),
        )
        self.workers.append(await self.orders.fork(f"proxy worker {number}", options))
        return self.workers[-1]


@pytest_asyncio.fixture
async def forking(tmp_path: Path) -> AsyncIterator[Forking]:
    town, orders = PublishedTown(tmp_path / "state"), Orders()
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        lifeline, ours = os.pipe()
        for fd in (lifeline, ours):
            stack.callback(os.close, fd)
        program = orders.nursery(
            (listening.fileno(), lifeline), {"PROMETHEUS_MULTIPROC_DIR": str(town.state.metrics)}
        )
        found = Forking(town, listening, lifeline, orders, KeptProcess(program))
        await found.kept.start()
        yield found
        for worker in found.workers:
            worker.send(signal.SIGTERM)
            await worker.end_within(PATIENCE_SECONDS)
        await found.kept.stop(PATIENCE_SECONDS)
        orders.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


def status_of(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(value.strip() for key, _, value in (line.partition(":") for line in lines) if key == name)


def channels(pid: int) -> set[str]:
    """Return the sockets and pipes that a process holds, but what it says goes to; none of who has ended."""
    held = set()
    with suppress(FileNotFoundError, PermissionError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError, PermissionError):
                if int(fd.name) > 2:
                    held.add(str(fd.readlink()))
    return {one for one in held if one.startswith(("socket:", "pipe:"))}


def kilobytes(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(value) for name, value, _ in map(str.split, lines)}


def holders(channel: str) -> set[int]:
    """Return the processes that hold a socket or pipe."""
    pids = (int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit())
    return {pid for pid in pids if channel in channels(pid)}


async def test_a_worker_is_its_supervisors_child_and_goes_by_its_own_name(forking: Forking) -> None:
    worker = await forking.worker(7)
    assert status_of(worker.pid, "PPid") == str(os.getpid())
    assert status_of(worker.pid, "Name") == "proxy worker 7"
    assert os.getsid(worker.pid) == worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    assert await worker.ended() == -signal.SIGKILL


async def test_workers_share_with_each_other_what_they_serve_on_and_nothing_else(forking: Forking) -> None:
    one, two = await forking.worker(1), await forking.worker(2)
    given = {f"/proc/self/fd/{fd}" for fd in (forking.listening.fileno(), forking.lifeline)}
    shared = {str(Path(fd).readlink()) for fd in given}
    assert channels(one.pid) & channels(two.pid) == shared
    assert channels(one.pid) & channels(forking.pid) == shared


async def test_before_it_forks_a_nursery_has_one_thread(forking: Forking) -> None:
    assert status_of(forking.pid, "Threads") == "1"


async def test_most_of_what_a_worker_holds_it_shares(forking: Forking) -> None:
    worker = await forking.worker(1)
    held = kilobytes(worker.pid)
    assert held["Shared_Dirty"] > 30_000
    assert held["Private_Dirty"] < held["Shared_Dirty"]


async def test_no_two_workers_have_the_same_key(forking: Forking) -> None:
    keys = set()
    for number in (1, 2):
        worker = await forking.worker(number)
        keys.add(await asyncio.to_thread(key_of_leaf, forking))
        worker.send(signal.SIGTERM)
        await worker.ended()
    assert len(keys) == 2


def key_of_leaf(forking: Forking) -> bytes:
    client = ProxyClient(forking.listening.getsockname()[1], (forking.town.state.ca / "town-ca.pem",))
    with client.tunnel("cardroom.example") as tunnel:
        assert isinstance(tunnel, ssl.SSLSocket)
        leaf = tunnel.getpeercert(binary_form=True)
    assert leaf is not None
    key = x509.load_der_x509_certificate(leaf).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def test_a_nursery_leaves_no_figures_of_its_own_among_the_workers(forking: Forking) -> None:
    worker = await forking.worker(1)
    await forking.kept.restart(PATIENCE_SECONDS)
    kinds = ("counter", "gauge_livemax", "gauge_livemin", "gauge_livesum", "histogram")
    found = sorted(path.name for path in forking.town.state.metrics.iterdir())
    assert found == [f"{kind}_{worker.pid}.db" for kind in kinds]


async def test_a_worker_outlives_its_nursery_and_the_next_one_takes_the_orders_that_wait(
    forking: Forking,
) -> None:
    one, before = await forking.worker(1), forking.pid
    await forking.stop_nursery()
    ordering = asyncio.create_task(forking.worker(2))
    await asyncio.sleep(0)
    os.kill(before, signal.SIGKILL)
    await ordering
    assert forking.pid != before
    assert not one.has_ended


async def test_a_worker_that_cannot_start_says_why(forking: Forking) -> None:
    forking.town.state.policy_snapshot.unlink()
    with pytest.raises(NotServingError, match="no usable policy and categories have been published"):
        await forking.worker(1)


async def test_an_order_that_is_not_taken_in_time_starts_nothing_later(
    forking: Forking, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = forking.children() - {forking.pid}
    await forking.stop_nursery()
    monkeypatch.setattr(nursery, "START_SECONDS", 0.05)
    with pytest.raises(NotServingError, match="proxy worker 1 was not forked within"):
        await forking.worker(1)
    monkeypatch.undo()
    os.kill(forking.pid, signal.SIGCONT)
    two = await forking.worker(2)
    listening = str(Path(f"/proc/self/fd/{forking.listening.fileno()}").readlink())
    await until(lambda: holders(listening) == {os.getpid(), forking.pid, two.pid})
    assert forking.children() - others == {forking.pid, two.pid}, "nobody else is left"
