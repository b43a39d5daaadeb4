"""Real proxy processes: a Towngate worker on a socket of the test's, or a stock mitmdump."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 30.0
_CHAIN = Path(__file__).parents[1] / "proxy_addons" / "chain.py"


@contextmanager
def running_worker(state: Path, hosts: Path | None = None, **environment: str) -> Iterator[int]:
    """Run one worker; yields the port it serves."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reading, writing = os.pipe()
        command = [
            *(sys.executable, "-m", "proxy_addons", "--state", str(state)),
            *("--listen-fd", str(listening.fileno()), "--ready-fd", str(writing)),
            *(("--hosts", str(hosts)) if hosts else ()),
        ]
        process = subprocess.Popen(
            command, pass_fds=(listening.fileno(), writing), env={**os.environ, **environment}
        )
        os.close(writing)
        try:
            with os.fdopen(reading) as pipe:
                assert pipe.readline() == "ready\n", "the worker did not start; its log says why"
            yield listening.getsockname()[1]
        finally:
            _end(process)


@contextmanager
def running_mitmdump(state: Path, port: int, hosts: Path | None = None) -> Iterator[int]:
    """Run a stock mitmdump with the chain as a script; yields its port."""
    command = [
        *(str(Path(sys.executable).with_name("mitmdump")), "-q", "-s", str(_CHAIN)),
        *("--listen-host", "127.0.0.1", "-p", str(port), "--set", f"towngate_state={state}"),
        *(("--set", f"towngate_hosts={hosts}") if hosts else ()),
    ]
    process = subprocess.Popen(command)
    try:
        _wait_for_port(port, process)
        yield port
    finally:
        _end(process)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "the proxy ended at its start; its log says why"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the proxy did not listen in time")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
