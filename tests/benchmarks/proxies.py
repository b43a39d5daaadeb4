"""The proxies under test, each a real process of one worker, asked for the same origin server."""

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
from tests.running_proxy import running_worker

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
    with running_worker(state.root, hosts, PROMETHEUS_MULTIPROC_DIR=str(state.metrics)) as worker:
        yield Proxy(
            name="towngate",
            about=f"one worker; policy, visits and metrics on; {categories}",
            pid=worker.process.pid,
            port=worker.port,
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
    with subprocess.Popen(command) as process:
        try:
            _wait_for_port(port, process)
            yield Proxy(
                name="mitmdump",
                about=f"as it comes, one process, no script: mitmdump {' '.join(options)}",
                pid=process.pid,
                port=port,
                origin=origin,
                # By address, since it has no table of hosts: neither proxy asks DNS.
                https=[Target("127.0.0.1", origin.https_port, name) for name in _NAMES],
                http=[Target("127.0.0.1", origin.http_port, name) for name in _NAMES],
            )
        finally:
            process.terminate()


PROXIES: Sequence[Start] = (towngate, stock_mitmdump)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the proxy did not listen in time; its log says why")
