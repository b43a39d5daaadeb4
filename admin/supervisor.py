"""Starts Towngate's processes, keeps them running, and ends them.

    supervisor ── admin       on a socket that the supervisor made
               ├─ worker 1..N on one listening socket that the supervisor made and they share
               └─ the metrics listener, in a thread of its own

The sockets are the supervisor's, so that a port in use is found before anything starts and a
process that is replaced loses no connection.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from admin.metrics_listener import MetricsListener
from admin.state_folder import StateFolder

logger = logging.getLogger(__name__)

_START_SECONDS = 60.0
_STOP_SECONDS = 4.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0


class StartError(Exception):
    """Something could not be started; everything that was is stopped again."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT. Raises ValueError when it is not."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8080")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What to run. None leaves a part out; `admin_arguments` go to `towngate admin`.

    Without `has_lane` the workers carry every tunnel through mitmproxy.
    `connections` is how many one client address may have open in a worker; None: as the proxy has it.
    """

    state: StateFolder
    proxy: Address | None
    metrics: Address | None
    admin: Address | None
    workers: int = 2
    hosts_file: Path | None = None
    admin_arguments: tuple[str, ...] = ()
    has_lane: bool = True
    connections: int | None = None


class Supervisor:
    """Runs the parts until told to stop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sockets: list[socket.socket] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._children: list[_Child] = []
        self._admin_child: _Child | None = None
        self._metrics = MetricsListener(parts.state.metrics, parts.state.admin_metrics)
        self._stopping = asyncio.Event()
        self._proxy_lock: int | None = None
        # Only the supervisor holds the writing end: its end, however it comes, is theirs too.
        self._lifeline, self._our_end = os.pipe()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready`, and keep it running until SIGTERM, SIGINT or SIGHUP.

        Raises StartError when a part cannot be started.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        try:
            await self._start()
            on_ready()
            await self._stopping.wait()
        finally:
            await self._stop()

    async def _start(self) -> None:
        parts = self._parts
        if parts.proxy is not None:
            try:
                self._proxy_lock = parts.state.hold_proxy_lock()
            except BlockingIOError as error:
                raise StartError(
                    f"{parts.state.root}: is being restored; start when that has ended"
                ) from error
        # Every port first: nothing is started when one of them is taken.
        proxy_socket = self._listen("proxy", parts.proxy)
        admin_socket = self._listen("admin", parts.admin)
        if parts.metrics is not None:
            self._metrics.forget_earlier_runs()
            try:
                self._metrics.start(parts.metrics.host, parts.metrics.port)
            except OSError as error:
                raise _port_error("metrics", parts.metrics, error) from error
        if admin_socket is not None:
            self._admin_child = self._admin(admin_socket)
            await self._keep(self._admin_child)
        if proxy_socket is not None:
            workers = (self._worker(number, proxy_socket) for number in range(1, parts.workers + 1))
            await asyncio.gather(*(self._keep(worker) for worker in workers))

    def _listen(self, what: str, address: Address | None) -> socket.socket | None:
        if address is None:
            return None
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            listening = socket.create_server((address.host, address.port), family=family, backlog=1024)
        except OSError as error:
            raise _port_error(what, address, error) from error
        listening.setblocking(False)
        self._sockets.append(listening)
        return listening

    def _admin(self, listening: socket.socket) -> "_Child":
        command = [
            *(sys.executable, "-m", "admin.command", "admin"),
            *("--state", str(self._parts.state.root), "--socket-fd", str(listening.fileno())),
            *self._parts.admin_arguments,
        ]
        return _Child("admin", command, listening, self._lifeline)

    def _worker(self, number: int, listening: socket.socket) -> "_Child":
        command = [
            *(sys.executable, "-m", "proxy_addons", "--state", str(self._parts.state.root)),
            *("--number", str(number), "--listen-fd", str(listening.fileno())),
        ]
        if self._parts.hosts_file is not None:
            command += ["--hosts", str(self._parts.hosts_file)]
        if not self._parts.has_lane:
            command.append("--no-lane")
        if self._parts.connections is not None:
            command += ["--connections", str(self._parts.connections)]
        # Nobody is led to these through the proxy.
        others = (address.port for address in (self._parts.metrics, self._parts.admin) if address)
        for port in (listening.getsockname()[1], *others):
            command += ["--own-port", str(port)]
        environment = {"PROMETHEUS_MULTIPROC_DIR": str(self._parts.state.metrics)}
        return _Child(f"proxy worker {number}", command, listening, self._lifeline, environment)

    async def _keep(self, child: "_Child") -> None:
        """Start a child, wait until it serves, and restart it whenever it ends."""
        self._children.append(child)
        failure = await child.start()
        if failure is not None:
            raise StartError(failure)
        self._keepers.append(asyncio.create_task(self._restart(child), name=f"keep {child.name}"))

    async def _restart(self, child: "_Child") -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            status = await child.ended()
            self._metrics.forget(child.pid)
            logger.error("process ended, restarting: name=%s status=%s pause=%.1f", child.name, status, pause)
            await asyncio.sleep(pause)
            failure = await child.start()
            if failure is not None:
                logger.error("process did not start: %s", failure)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS) if failure else _FIRST_PAUSE_SECONDS

    async def _stop(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        # The workers end first, all at once: admin still takes in what their last visits were.
        workers = [child for child in self._children if child is not self._admin_child]
        for ending in (workers, [self._admin_child] if self._admin_child else []):
            for child in ending:
                child.send(signal.SIGTERM)
            await asyncio.gather(*(child.end_within(_STOP_SECONDS) for child in ending))
        self._metrics.stop()
        if self._proxy_lock is not None:
            os.close(self._proxy_lock)
        os.close(self._our_end)
        os.close(self._lifeline)
        for listening in self._sockets:
            listening.close()


class _Child:
    """A process that says on a pipe that it serves, or why it cannot.

    `lifeline` is a pipe that it watches: it ends when the pipe does.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        listening: socket.socket,
        lifeline: int,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._command = [*command, "--lifeline-fd", str(lifeline)]
        self._fds = (listening.fileno(), lifeline)
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    async def start(self) -> str | None:
        """Start it; return None once it serves, else why it does not. Then it has ended."""
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *("--ready-fd", str(writing)),
                pass_fds=[*self._fds, writing],
                env=self._environment,
                # A terminal's Ctrl-C reaches the supervisor alone, which ends its children in order.
                start_new_session=True,
            )
        finally:
            os.close(writing)
        said = await _first_line(reading)
        if said == "ready":
            return None
        self.send(signal.SIGKILL)
        await self.ended()
        if said is None:
            return f"{self.name} did not serve within {_START_SECONDS:.0f} seconds, and was stopped"
        return said or f"{self.name} ended at its start; the log says why"

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        return await self._process.wait() if self._process else 0

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def end_within(self, seconds: float) -> None:
        """Wait for its end, and kill it when it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            logger.error("process did not end in time, killed: name=%s", self.name)
            self.send(signal.SIGKILL)
            await self.ended()


async def _first_line(reading: int) -> str | None:
    """Return the first line of a pipe, "" when it ends without, None when it takes too long."""
    with open(reading, "rb", buffering=0) as pipe:  # noqa: ASYNC230 - a pipe, not a file
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                return (await reader.readline()).decode(errors="replace").strip()
        except TimeoutError:
            return None
        finally:
            transport.close()


def _port_error(what: str, address: Address, error: OSError) -> StartError:
    return StartError(
        f"{what} cannot listen on {address}: {error.strerror}; end what uses it, "
        f"or choose another address with --{what}"
    )
