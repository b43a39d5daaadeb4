"""Real proxy processes: a Towngate worker on a socket of the test's, or a stock mitmdump."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 60.0
_END_SECONDS = 60.0
_CHAIN = Path(__file__).parents[1] / "proxy_addons" / "chain.py"


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """A running proxy: where it listens, its process, and the file its log goes to."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def peak_memory_bytes(self) -> int:
        """Return the most memory that the process ever held (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None, status
        return int(found[1]) * 1024

    def logged(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text()


@contextmanager
def running_worker(
    state: Path,
    hosts: Path | None = None,
    *,
    program: tuple[str, ...] = ("-m", "proxy_addons"),
    options: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[RunningProxy]:
    """Run one worker until the block ends; `program` is what Python runs in its place, with `options`."""
    log = state / "worker.log"
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("ab") as errors:
        reading, writing = os.pipe()
        command = [
            *(sys.executable, *program, "--state", str(state)),
            *("--listen-fd", str(listening.fileno()), "--ready-fd", str(writing)),
            *("--own-port", str(listening.getsockname()[1])),
            *(("--hosts", str(hosts)) if hosts else ()),
            *options,
        ]
        process = subprocess.Popen(
            command, pass_fds=(listening.fileno(), writing), stderr=errors, env={**os.environ, **environment}
        )
        os.close(writing)
        try:
            with os.fdopen(reading) as pipe:
                assert pipe.readline() == "ready\n", f"the worker did not start:\n{log.read_text()}"
            yield RunningProxy(listening.getsockname()[1], process, log)
        finally:
            _end(process)


@contextmanager
def running_mitmdump(state: Path, port: int, hosts: Path | None = None) -> Iterator[RunningProxy]:
    """Run a stock mitmdump with the chain as a script, listening on `port`, until the block ends."""
    log = state / "mitmdump.log"
    command = [
        *(str(Path(sys.executable).with_name("mitmdump")), "-q", "-s", str(_CHAIN)),
        *("--listen-host", "127.0.0.1", "-p", str(port), "--set", f"towngate_state={state}"),
        *(("--set", f"towngate_hosts={hosts}") if hosts else ()),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait_for_port(port, process, log)
            yield RunningProxy(port, process, log)
        finally:
            _end(process)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, f"the proxy ended at its start:\n{log.read_text()}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the proxy did not listen in time:\n{log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
