"""The proxies under test, each a real process of one worker, asked for the same origin server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.client import Target
from tests.benchmarks.origin import SITES, Origin
from tests.benchmarks.town import BLOCKED, publish_town

TOWNGATE = "towngate"
STOCK = "mitmdump"

_START_SECONDS = 30.0
_NAMES = [f"site-{number}.{SITES}" for number in range(1000)]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy, and what to ask it for.

    `https` and `http` are the names by which it reaches the origin server, `blocked` those it
    answers itself under the certificate authority `ca_certificate`.
    """

    name: str
    about: str
    pid: int
    port: int
    origin: Origin
    https: Sequence[Target]
    http: Sequence[Target]
    blocked: Sequence[Target] = ()
    ca_certificate: Path | None = None


type Start = Callable[[Path, Origin], AbstractContextManager[Proxy]]


@contextmanager
def towngate(folder: Path, origin: Origin) -> Iterator[Proxy]:
    """Run one worker as the supervisor does: policy, categories, visits and metrics on."""
    state, categories = publish_town(folder, f"http://127.0.0.1:{origin.http_port}")
    hosts = folder / "hosts"
    hosts.write_text(
        "".join(
            f"{name}:443 127.0.0.1:{origin.https_port}\n{name}:80 127.0.0.1:{origin.http_port}\n"
            for name in _NAMES
        )
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        reading, writing = os.pipe()
        command = [
            *(sys.executable, "-m", "proxy_addons", "--state", str(state.root), "--hosts", str(hosts)),
            *("--listen-fd", str(listening.fileno()), "--ready-fd", str(writing)),
        ]
        with _process(
            command,
            pass_fds=(listening.fileno(), writing),
            environment={"PROMETHEUS_MULTIPROC_DIR": str(state.metrics)},
        ) as process:
            os.close(writing)
            with os.fdopen(reading) as pipe:
                if pipe.readline() != "ready\n":
                    raise RuntimeError("Towngate's worker did not start; its log says why")
            yield Proxy(
                name=TOWNGATE,
                about=f"one worker; policy, visits and metrics on; {categories}",
                pid=process.pid,
                port=listening.getsockname()[1],
                origin=origin,
                https=[Target(name, 443, name) for name in _NAMES],
                http=[Target(name, 80, name) for name in _NAMES],
                blocked=[Target(BLOCKED, 443, BLOCKED)],
                ca_certificate=state.ca / "town-ca.pem",
            )


@contextmanager
def stock_mitmdump(folder: Path, origin: Origin) -> Iterator[Proxy]:
    """Run mitmdump as it comes, told to tunnel every CONNECT and to stream large bodies."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["-q", "--ignore-hosts", ".*", "--set", "stream_large_bodies=1m"]
    command = [
        *(str(Path(sys.executable).with_name("mitmdump")), *options),
        *("--listen-host", "127.0.0.1", "-p", str(port), "--set", f"confdir={folder}"),
    ]
    with _process(command) as process:
        _wait_for_port(port, process)
        yield Proxy(
            name=STOCK,
            about=f"stock, no script: mitmdump {' '.join(options)}",
            pid=process.pid,
            port=port,
            # By address, since it has no table of hosts: neither proxy asks DNS.
            origin=origin,
            https=[Target("127.0.0.1", origin.https_port, name) for name in _NAMES],
            http=[Target("127.0.0.1", origin.http_port, name) for name in _NAMES],
        )


PROXIES: Sequence[Start] = (towngate, stock_mitmdump)


@contextmanager
def _process(
    command: Sequence[str], pass_fds: Sequence[int] = (), environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, pass_fds=pass_fds, env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the proxy did not listen in time; its log says why")
