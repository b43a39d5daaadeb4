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
from tests.running_town import free_ports
from tests.squid_proxy import running_squid

_START_SECONDS = 30.0
NAMES = [f"site-{number}.{SITES}" for number in range(1000)]
OPENED = [f"opened-{number}.{SITES}" for number in range(100)]
HTTPS = [Target(name, 443, name) for name in NAMES]
"""What Towngate is asked for."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy, and what to ask it for.

    `https` and `http` are the names by which it reaches the origin server; `opened` are reached
    decrypted, under the certificate authority `ca_certificate`, under which it answers itself for
    those `blocked`. Two of one name share the work of a peer: each does what the other has nothing for.
    """

    name: str
    about: str
    pid: int
    port: int
    origin: Origin
    https: Sequence[Target] = ()
    http: Sequence[Target] = ()
    opened: Sequence[Target] = ()
    blocked: Sequence[Target] = ()
    ca_certificate: Path | None = None


type Start = Callable[[Path, Origin], AbstractContextManager[Proxy]]


def write_hosts(folder: Path, origin: Origin) -> Path:
    """Write Towngate's hosts file: every site is the origin server."""
    path = folder / "hosts"
    path.write_text(
        "".join(
            f"{name}:443 127.0.0.1:{origin.https_port}\n{name}:80 127.0.0.1:{origin.http_port}\n"
            for name in (*NAMES, *OPENED)
        )
    )
    return path


@contextmanager
def towngate(folder: Path, origin: Origin, *, connections: int | None = None) -> Iterator[Proxy]:
    """Run one worker as the supervisor does: policy, categories, visits and metrics on.

    `connections` is how many one client may have open, where that is more than usual.
    """
    admin_url = f"http://127.0.0.1:{origin.http_port}"
    town, _, categories = publish_town(folder, admin_url, OPENED, origin.ca_certificate)
    state, hosts = town.state, write_hosts(folder, origin)
    options = () if connections is None else ("--connections", str(connections))
    metrics = str(state.metrics)
    with running_worker(state.root, hosts, options=options, PROMETHEUS_MULTIPROC_DIR=metrics) as worker:
        yield Proxy(
            name="towngate",
            about=f"one worker; policy, visits and metrics on; {categories}",
            pid=worker.process.pid,
            port=worker.port,
            origin=origin,
            https=HTTPS,
            http=[Target(name, 80, name) for name in NAMES],
            opened=[Target(name, 443, name) for name in OPENED],
            blocked=[Target(BLOCKED, 443, BLOCKED)],
            ca_certificate=state.ca / "town-ca.pem",
        )


@contextmanager
def stock_mitmdump(folder: Path, origin: Origin) -> Iterator[Proxy]:
    """Run mitmdump as it comes, told to tunnel every CONNECT and to stream large bodies."""
    with _mitmdump(folder, "--ignore-hosts", ".*") as (process, port, about):
        yield Proxy(
            name="mitmdump",
            about=f"as it comes, one process, no script: {about}",
            pid=process.pid,
            port=port,
            origin=origin,
            # By address, since it has no table of hosts: neither proxy asks DNS.
            https=[Target("127.0.0.1", origin.https_port, name) for name in NAMES],
            http=[Target("127.0.0.1", origin.http_port, name) for name in NAMES],
        )


@contextmanager
def opening_mitmdump(folder: Path, origin: Origin) -> Iterator[Proxy]:
    """Run another mitmdump, which decrypts every CONNECT, as it does unless told otherwise."""
    trust = f"ssl_verify_upstream_trusted_ca={origin.ca_certificate}"
    with _mitmdump(folder, "--set", trust) as (process, port, about):
        yield Proxy(
            name="mitmdump",
            about=f"where it decrypts: {about}",
            pid=process.pid,
            port=port,
            origin=origin,
            opened=[Target("127.0.0.1", origin.https_port, name) for name in OPENED],
            ca_certificate=folder / "mitmproxy-ca-cert.pem",
        )


@contextmanager
def _mitmdump(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    (port,) = free_ports(1)
    said = ["-q", *options, "--set", "stream_large_bodies=1m"]
    command = [
        *(str(Path(sys.executable).with_name("mitmdump")), *said),
        *("--listen-host", "127.0.0.1", "-p", str(port), "--set", f"confdir={folder}"),
    ]
    with subprocess.Popen(command) as process:
        try:
            _wait_for_port(port, process)
            yield process, port, f"mitmdump {' '.join(said).replace(str(folder.parent), '...')}"
        finally:
            process.terminate()


@contextmanager
def squid(folder: Path, origin: Origin) -> Iterator[Proxy]:
    """Run Debian's squid with an RSA authority of its own, which filters nothing: it splices the sites
    that Towngate tunnels, and bumps those that it opens."""
    with running_squid(folder, bumped=r"^opened-", trusts=origin.ca_certificate) as running:
        yield Proxy(
            name="squid",
            about=f"{running.version}; one worker, no cache, its access log on, no list",
            pid=running.pid,
            port=running.port,
            origin=origin,
            https=[Target("127.0.0.1", origin.https_port, name) for name in NAMES],
            http=[Target("127.0.0.1", origin.http_port, name) for name in NAMES],
            opened=[Target("127.0.0.1", origin.https_port, name) for name in OPENED],
            ca_certificate=running.ca_certificate,
        )


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the proxy did not listen in time; its log says why")
