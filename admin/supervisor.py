"""Starts Towngate's processes, keeps them running, replaces them unnoticed, and ends them.

    supervisor ── admin       on a socket that the supervisor made
               ├─ nursery     has imported what a worker needs, and forks
               ├─ worker 1..N on one listening socket that the supervisor made and they share
               └─ the metrics listener, in a thread of its own

The sockets are the supervisor's, so that a port in use is found before anything starts and a
process that is replaced loses no connection. Asked to restart, it first has the program that is on disk
take its own place (`handover`), then replaces its processes one by one.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from admin import restart_socket
from admin.child_process import Child, NotServingError, Program
from admin.handover import Handover, NewProgramError, give_way, try_new_program
from admin.kept_process import KeptProcess
from admin.listening import Address, why_not_listening
from admin.metrics_listener import MetricsListener
from admin.nursery import NotForkedError, Orders
from admin.restart_socket import Asker
from admin.service_manager import ServiceManager
from admin.state_folder import StateFolder
from admin.supervisor_metrics import SupervisorFigures
from admin.worker_pool import Reason, WorkerPool, name_of

logger = logging.getLogger(__name__)

_STOP_SECONDS = 4.0
_LOOK_SECONDS = 2.0
_UNHEALTHY_SECONDS = 15.0


class StartError(Exception):
    """Something could not be started; everything that was is stopped again."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What to run. None leaves a part out; `admin_arguments` go to `towngate admin`.

    Without `has_lane` the workers carry every tunnel through mitmproxy.
    `connections` is how many one client address may have open in a worker; None: as the proxy has it.
    A worker that holds over `worker_memory_bytes` is replaced; the connections of one that is replaced may go
    on for `drain_seconds`. Workers write their figures into `figures`; None: on disk, in the state folder.
    """

    state: StateFolder
    proxy: Address
    metrics: Address
    admin: Address | None
    workers: int
    worker_memory_bytes: int
    drain_seconds: int
    hosts_file: Path | None = None
    admin_arguments: tuple[str, ...] = ()
    has_lane: bool = True
    connections: int | None = None
    figures: Path | None = None


class Supervisor:
    """Runs the parts until told to stop."""

    def __init__(
        self,
        parts: Parts,
        handover: Handover | None = None,
        others: Mapping[str, socket.socket] | None = None,
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Begin; with a handover, where another program has left off.

        `others` are listening sockets, by name, that somebody else closes; they are handed over, too, once
        `settle` returns: what was accepted from them has been answered.
        """
        self._parts = parts
        self._others = others or {}
        self._settle = settle
        self._handover = handover
        self._systemd = ServiceManager()
        self._sockets: dict[str, socket.socket] = {}
        self._control: socket.socket | None = None
        self._proxy_lock: int | None = None
        self._admin: KeptProcess | None = None
        self._orders = Orders()
        self._nursery: KeptProcess | None = None
        self._stopping = asyncio.Event()
        self._looked_at = time.monotonic()
        # Only the supervisor holds the writing end: its end, however it comes, is theirs too.
        self._lifeline, self._our_end = handover.lifeline if handover else os.pipe()
        self._workers = WorkerPool(self._start_worker, parts.worker_memory_bytes, self._forget)
        self._figures = parts.figures or parts.state.metrics
        self._metrics = MetricsListener(
            self._figures,
            parts.state.admin_metrics,
            SupervisorFigures(
                self._workers, lambda: self._nursery is not None and self._nursery.pid is not None
            ),
            is_healthy=lambda: time.monotonic() - self._looked_at < _UNHEALTHY_SECONDS,
            is_ready=lambda: self._workers.states["ready"] > 0,
        )

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready`, and keep it running until SIGTERM, SIGINT or SIGHUP.

        `on_ready` is not called where everything runs already. Raises StartError when a part cannot be
        started.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        tasks: list[asyncio.Task[None]] = []
        try:
            if self._handover is None:
                await self._start()
                on_ready()
                self._systemd.ready(self._status)
            else:
                self._take_over(self._handover)
            tasks = [
                asyncio.create_task(self._look(), name="look after the workers"),
                asyncio.create_task(self._answer_askers(), name="restart when asked to"),
                asyncio.create_task(self._stopping.wait(), name="wait for the end"),  # type: ignore[arg-type]
            ]
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            self._systemd.stopping()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop()

    @property
    def _status(self) -> str:
        states = self._workers.states
        return f"{states['ready']} of {self._parts.workers} workers ready, {states['draining']} draining"

    async def _start(self) -> None:
        parts = self._parts
        try:
            self._proxy_lock = parts.state.hold_proxy_lock()
        except BlockingIOError as error:
            raise StartError(f"{parts.state.root}: is being restored; start when that has ended") from error
        # Every port first: nothing is started when one of them is taken.
        for part, address in (("proxy", parts.proxy), ("admin", parts.admin), ("metrics", parts.metrics)):
            if address is not None:
                self._sockets[part] = self._listen(part, address)
        try:
            self._control = restart_socket.listen(parts.state.restart_socket)
        except OSError as error:
            raise StartError(
                f"{parts.state.restart_socket}: {error.strerror}; check its folder's rights"
            ) from error
        self._metrics.forget_earlier_runs()
        self._metrics.serve(self._sockets["metrics"])
        try:
            if parts.admin is not None:
                self._admin = KeptProcess(self._admin_program())
                await self._admin.start()
            self._nursery = KeptProcess(self._nursery_program(self._orders, self._figures))
            await self._nursery.start()
            await self._workers.start(parts.workers)
        except NotServingError as error:
            raise StartError(str(error)) from error

    def _listen(self, part: str, address: Address) -> socket.socket:
        kept = self._systemd.kept(part, (address.host, address.port))
        if kept is not None:
            kept.setblocking(False)
            return kept
        try:
            listening = address.listen()
        except OSError as error:
            raise StartError(
                f"{part} cannot listen on {address}: {why_not_listening(error)}; end what uses it, "
                f"or choose another address with --{part}"
            ) from error
        self._systemd.keep(part, listening)
        return listening

    def _take_over(self, handover: Handover) -> None:
        """Go on where the program before has left off."""
        self._proxy_lock = handover.proxy_lock
        for part, fd in handover.sockets.items():
            if part not in self._others:
                self._sockets[part] = socket.socket(fileno=fd)
        if handover.control is not None:
            self._control = socket.socket(fileno=handover.control)
            self._control.setblocking(False)
        self._metrics.take_in_ended()
        self._metrics.serve(self._sockets["metrics"])
        if "admin" in self._sockets:
            self._admin = KeptProcess(self._admin_program())
            if handover.admin_pid is not None:
                self._admin.adopt(handover.admin_pid)
        self._nursery = KeptProcess(self._nursery_program(self._orders, self._figures))
        self._workers.adopt(self._parts.workers, handover.workers)
        self._workers.restarts.update(handover.restarts)

    def _admin_program(self) -> Program:
        listening = self._sockets["admin"].fileno()
        command = (
            *(sys.executable, "-m", "admin.command", "admin"),
            *("--state", str(self._parts.state.root), "--socket-fd", str(listening)),
            *("--lifeline-fd", str(self._lifeline)),
            *self._parts.admin_arguments,
        )
        return Program("admin", command, (listening, self._lifeline))

    def _nursery_program(self, orders: Orders, figures: Path) -> Program:
        fds = (self._sockets["proxy"].fileno(), self._lifeline)
        return orders.nursery(fds, {"PROMETHEUS_MULTIPROC_DIR": str(figures)})

    async def _start_worker(self, number: int) -> Child:
        try:
            return await self._orders.fork(name_of(number), self._worker_options(number))
        except NotServingError as error:
            # It may have begun to count.
            self._metrics.take_in_ended()
            if isinstance(error, NotForkedError) and self._nursery is not None:
                self._nursery.kill()
            raise

    def _worker_options(self, number: int) -> list[str]:
        parts, listening = self._parts, self._sockets["proxy"]
        options = [
            *("--state", str(parts.state.root), "--number", str(number)),
            *("--listen-fd", str(listening.fileno()), "--lifeline-fd", str(self._lifeline)),
            *("--drain-seconds", str(parts.drain_seconds)),
        ]
        if parts.hosts_file is not None:
            options += ["--hosts", str(parts.hosts_file)]
        if not parts.has_lane:
            options.append("--no-lane")
        if parts.connections is not None:
            options += ["--connections", str(parts.connections)]
        # Nobody is led to these through the proxy.
        others = (address.port for address in (parts.metrics, parts.admin) if address)
        for port in (listening.getsockname()[1], *others):
            options += ["--own-port", str(port)]
        return options

    def _forget(self, _pid: int) -> None:
        self._metrics.take_in_ended()

    async def _look(self) -> None:
        pause = min(_LOOK_SECONDS, self._systemd.ping_seconds or _LOOK_SECONDS)
        pinged_at = 0.0
        while True:
            # Workers that do not answer are ended here: to be here is to have all that are ready answer.
            self._workers.look()
            self._looked_at = time.monotonic()
            self._systemd.tell_status(self._status)
            states, ping_seconds = self._workers.states, self._systemd.ping_seconds
            serves = bool(states["ready"] or states["starting"])
            if serves and ping_seconds and self._looked_at - pinged_at >= ping_seconds:
                self._systemd.all_is_well()
                pinged_at = self._looked_at
            await asyncio.sleep(pause)

    async def _answer_askers(self) -> None:
        if self._handover is not None:
            await self._replace_all(Asker(socket.socket(fileno=self._handover.asker)))
        while self._control is not None:
            asker = await restart_socket.next_asker(self._control)
            self._systemd.reloading("Restarting")
            try:
                await self._become_new_program(asker)
            except (NewProgramError, OSError) as error:
                await asker.complain(
                    f"what is installed now does not start, so everything goes on as it was: {error}"
                )
                await asker.close()
            self._systemd.ready(self._status)
        # Another supervisor is asked in its place.
        await self._stopping.wait()

    async def _become_new_program(self, asker: Asker) -> None:
        """Have the program on disk take over; returns never. Raises NewProgramError."""
        await try_new_program(self._remains(asker))
        await self._try_new_nursery()
        async with self._workers.nothing_starting():
            if self._nursery is not None:
                # The new program has its workers forked by one that has imported what is new.
                await self._nursery.stop(_STOP_SECONDS)
            if self._settle is not None:
                await self._settle()
            handover = self._remains(asker)
            try:
                give_way(handover)
            except OSError as error:
                if self._nursery is not None:
                    self._nursery.keep()
                raise NewProgramError(error.strerror) from error

    async def _try_new_nursery(self) -> None:
        """Start the nursery that is on disk now, beside the one that runs. Raises NewProgramError."""
        orders = Orders()
        try:
            with tempfile.TemporaryDirectory(dir=self._figures) as figures:
                child = await Child.started(self._nursery_program(orders, Path(figures)))
                child.send(signal.SIGTERM)
                await child.end_within(_STOP_SECONDS)
        except NotServingError as error:
            raise NewProgramError(str(error)) from error
        finally:
            orders.close()

    def _remains(self, asker: Asker) -> Handover:
        return Handover(
            sockets={
                name: listening.fileno()
                for name, listening in (*self._sockets.items(), *self._others.items())
            },
            lifeline=(self._lifeline, self._our_end),
            proxy_lock=self._proxy_lock,
            control=None if self._control is None else self._control.fileno(),
            asker=asker.fd,
            admin_pid=None if self._admin is None else self._admin.pid,
            workers=tuple(self._workers.remains()),
            restarts=dict(self._workers.restarts),
        )

    async def _replace_all(self, asker: Asker) -> None:
        """Put new processes in the place of all, one by one, and tell how it goes."""
        await asker.say("the supervisor runs the program that is installed now")
        if self._admin is not None:
            async with _told_of_failure(asker, "it is tried again by itself"):
                await self._admin.restart(_STOP_SECONDS)
                await asker.say("admin was restarted")
        if self._nursery is not None:
            async with _told_of_failure(asker, "the old workers go on"):
                await self._nursery.restart(_STOP_SECONDS)
                await self._replace_workers(asker)
        self._systemd.ready(self._status)
        await asker.close()

    async def _replace_workers(self, asker: Asker) -> None:
        for number in self._workers.numbers:
            async with _told_of_failure(asker, "the old one goes on"):
                await self._workers.replace(number, Reason.RESTART)
                await asker.say(
                    f"proxy worker {number} was replaced; the one before it ends with its connections"
                )

    async def _stop(self) -> None:
        # The workers end first, all at once: admin still takes in what their last visits were.
        await self._workers.stop(_STOP_SECONDS)
        if self._nursery is not None:
            await self._nursery.stop(_STOP_SECONDS)
        self._orders.close()
        if self._admin is not None:
            await self._admin.stop(_STOP_SECONDS)
        self._metrics.stop()
        self._metrics.forget_ended()
        if self._control is not None:
            self._parts.state.restart_socket.unlink(missing_ok=True)
            self._control.close()
        if self._proxy_lock is not None:
            os.close(self._proxy_lock)
        os.close(self._our_end)
        os.close(self._lifeline)
        for listening in self._sockets.values():
            listening.close()


@asynccontextmanager
async def _told_of_failure(asker: Asker, consequence: str) -> AsyncIterator[None]:
    try:
        yield
    except NotServingError as error:
        await asker.complain(f"{error}; {consequence}")
