"""A supervisor that cannot start what it wants to, or hears of an end: what serves goes on.

Its worker is a program of one line, in place of the real one.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

import admin.nursery
import admin.supervisor
from admin import child_process, handover, restart_socket
from admin.child_process import Child, NotServingError, Program
from admin.handover import NewProgramError
from admin.kept_process import KeptProcess
from admin.listening import Address
from admin.restart_socket import Asker, RestartUnfinishedError
from admin.service_manager import ServiceManager
from admin.state_folder import StateFolder
from admin.supervisor import Parts, Supervisor

_FAKE_WORKER = "import os, sys, time; os.write(int(sys.argv[-1]), b'ready\\n'); time.sleep(600)"
WORKER = Program("worker 1", (sys.executable, "-c", _FAKE_WORKER), ())
MISSING = Program("worker 1", ("/nowhere/python",), ())


@pytest_asyncio.fixture
async def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    """Return one whose one worker serves, and that can be asked to restart."""
    state = StateFolder(tmp_path / "state")
    state.create()
    anywhere = Address("127.0.0.1", 0)
    found = Supervisor(Parts(state, anywhere, anywhere, None, 1, 1 << 40, 600))
    monkeypatch.setattr(found._workers, "_start_worker", lambda _number: Child.started(WORKER))
    found._control = restart_socket.listen(state.restart_socket)
    await found._workers.start(1)
    yield found
    await found._workers.stop(10)
    assert found._control is not None
    found._control.close()


def asked_to_restart(supervisor: Supervisor) -> list[tuple[bool, str]]:
    said = []
    with suppress(RestartUnfinishedError):
        for line in restart_socket.ask(supervisor._parts.state.restart_socket):
            said.append(line)
    return said


async def test_a_restart_whose_program_cannot_be_spawned_is_told_and_the_next_is_heard(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "_COMMAND", ["/nowhere/python"])
    answering = asyncio.create_task(supervisor._answer_askers())
    for _ in range(2):
        asking = asyncio.create_task(asyncio.to_thread(asked_to_restart, supervisor))
        await asyncio.wait((answering, asking), return_when=asyncio.FIRST_COMPLETED)
        assert not answering.done()
        ((went_well, text),) = await asking
        assert not went_well and "everything goes on as it was: it cannot be started: No such file" in text
    answering.cancel()


async def test_where_the_new_program_cannot_take_over_workers_can_be_forked_again(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery = supervisor._nursery = KeptProcess(WORKER)
    await nursery.start()
    before = nursery.pid
    # On trial it starts, but not then.
    monkeypatch.setattr(handover, "_COMMAND", ["true"])
    monkeypatch.setattr(supervisor, "_nursery_program", lambda *_: WORKER)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(NewProgramError, match="No such file"):
        await supervisor._become_new_program(Asker(ours))
    async with asyncio.timeout(60):
        while nursery.pid in (None, before):
            await asyncio.sleep(0.02)
    await nursery.stop(10)


HANGING = Program("the nursery of workers", (sys.executable, "-c", "import time; time.sleep(600)"), ())
DYING = Program("the nursery of workers", (sys.executable, "-c", "raise OSError('broken')"), ())


@pytest.mark.parametrize(
    ("program", "within_seconds", "says"),
    [
        (HANGING, 1.0, "the nursery of workers did not serve within 1 seconds, and was stopped"),
        (DYING, 60.0, "the nursery of workers ended at its start; the log says why"),
    ],
)
async def test_a_nursery_that_is_broken_on_disk_leaves_the_one_that_runs_at_work(
    program: Program,
    within_seconds: float,
    says: str,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nursery = supervisor._nursery = KeptProcess(WORKER)
    await nursery.start()
    before = nursery.pid, supervisor._workers.remains()
    monkeypatch.setattr(handover, "_COMMAND", ["true"])
    monkeypatch.setattr(child_process, "START_SECONDS", within_seconds)
    monkeypatch.setattr(supervisor, "_nursery_program", lambda *_: program)
    answering = asyncio.create_task(supervisor._answer_askers())
    ((went_well, text),) = await asyncio.to_thread(asked_to_restart, supervisor)
    answering.cancel()
    assert not went_well
    assert text == f"what is installed now does not start, so everything goes on as it was: {says}"
    assert (nursery.pid, supervisor._workers.remains()) == before
    await nursery.stop(10)


async def test_a_nursery_on_trial_that_does_not_end_when_told_to_holds_no_restart_up(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_FAKE_WORKER}"
    program = Program("the nursery of workers", (sys.executable, "-c", deaf), ())
    monkeypatch.setattr(admin.supervisor, "_STOP_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "_nursery_program", lambda *_: program)
    async with asyncio.timeout(60):
        await supervisor._try_new_nursery()


async def test_a_nursery_that_does_nothing_any_more_is_put_out_and_another_takes_its_place(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin.nursery, "START_SECONDS", 0.05)
    monkeypatch.setattr(Supervisor, "_worker_options", lambda _self, number: [str(number)])
    # It says that it serves, and takes no order.
    nursery = supervisor._nursery = KeptProcess(WORKER)
    await nursery.start()
    before = nursery.pid
    with pytest.raises(NotServingError, match="proxy worker 1 was not forked within"):
        await supervisor._start_worker(1)
    async with asyncio.timeout(60):
        while nursery.pid in (None, before):
            await asyncio.sleep(0.02)
    await nursery.stop(10)


async def test_a_worker_that_did_not_start_leaves_no_figures(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fork(name: str, _command_line: Sequence[str]) -> Child:
        ended = os.posix_spawnp("true", ["true"], {})
        os.waitpid(ended, 0)
        (supervisor._parts.state.metrics / f"gauge_livemin_{ended}.db").write_bytes(bytes(64))
        raise NotServingError(f"{name} ended at its start; the log says why")

    monkeypatch.setattr(supervisor._orders, "fork", fork)
    monkeypatch.setattr(Supervisor, "_worker_options", lambda *_: [])
    with pytest.raises(NotServingError):
        await supervisor._start_worker(1)
    assert not list(supervisor._parts.state.metrics.iterdir())


async def test_the_watchdog_hears_of_the_supervisor_only_while_a_worker_serves(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_number: int) -> Child:
        raise NotServingError("no worker starts")

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)

        def is_pinged() -> bool:
            heard = []
            with suppress(BlockingIOError):
                while True:
                    heard.append(systemd.recv(1000))
            return b"WATCHDOG=1" in heard

        supervisor._systemd = ServiceManager(
            {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000"}
        )
        looking = asyncio.create_task(supervisor._look())
        async with asyncio.timeout(60):
            while not is_pinged():
                await asyncio.sleep(0.02)
            monkeypatch.setattr(supervisor._workers, "_start_worker", fails)
            os.kill(supervisor._workers.remains()[0].pid, signal.SIGKILL)
            while supervisor._workers.states["ready"]:
                await asyncio.sleep(0.02)
        is_pinged()
        # Ten times as long as it would take.
        await asyncio.sleep(0.2)
        assert not is_pinged()
        looking.cancel()


async def test_a_process_that_cannot_be_spawned_does_not_serve() -> None:
    # What tests before this one have left is not closed meanwhile.
    gc.collect()
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(NotServingError, match="worker 1 cannot be started: No such file"):
        await Child.started(MISSING)
    assert set(Path("/proc/self/fd").iterdir()) == before


async def test_without_a_descriptor_left_who_asks_is_heard_when_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restart_socket, "_DEAF_SECONDS", 0.02)
    listening = restart_socket.listen(tmp_path / "restart.sock")
    assert listening is not None
    with listening, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(tmp_path / "restart.sock"))
        connection.sendall(b"restart\n")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        asking = asyncio.create_task(restart_socket.next_asker(listening))
        try:
            async with asyncio.timeout(60):
                while not asking.done() and "not heard yet" not in caplog.text:
                    await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await (await asking).close()
        assert connection.recv(100) == b"done\n"
