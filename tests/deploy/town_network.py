"""A town's network in namespaces of its own: workstation, servers, gateway, and the internet outside.

    workstation 10.10.20.15 ─┐
                             gateway ─ wan0 ─ outside 203.0.113.10
    servers 10.10.1.5, .53  ─┘

Nothing of it touches this machine's own network, and all of it ends with the test.
"""

import contextlib
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.missing_parts import require, require_root

WORKSTATION, WORKSTATION6 = "10.10.20.15", "fd00:10:20::15"
PROXY, PROXY6 = "10.10.1.5", "fd00:10:1::5"
RESOLVER, RESOLVER6 = "10.10.1.53", "fd00:10:1::53"
OUTSIDE, OUTSIDE6 = "203.0.113.10", "2001:db8::10"

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\noutside\n"
"""What every port outside says to whoever reaches it."""

_PATIENCE_SECONDS = 30.0
"""What the rules stop is refused, not waited for."""


class Namespace:
    """A network namespace; it lasts until it is closed."""

    def __init__(self) -> None:
        with _own_namespace():
            os.unshare(os.CLONE_NEWNET)
            self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _run("ip", "link", "set", "lo", "up")
        # Addresses are used at once: nobody else can have them.
        for which in ("all", "default"):
            self.set(f"net/ipv6/conf/{which}/accept_dad", "0")

    @property
    def path(self) -> str:
        """The namespace as `ip link set ... netns` takes it."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it: sockets made and programs started inside the block stay in it."""
        with _own_namespace():
            os.setns(self._fd, os.CLONE_NEWNET)
            yield

    def run(self, *words: str) -> str:
        """Run a program in it, which must succeed; return its output."""
        with self.entered():
            return _run(*words)

    def set(self, name: str, value: str) -> None:
        """Set one of its kernel's parameters."""
        with self.entered():
            Path("/proc/sys", name).write_text(value)

    def close(self) -> None:
        """Leave it to the kernel, which removes it with everything in it."""
        os.close(self._fd)


@dataclass(frozen=True, slots=True)
class TownNetwork:
    """The four places."""

    workstation: Namespace
    servers: Namespace
    gateway: Namespace
    outside: Namespace


@contextmanager
def town_network() -> Iterator[TownNetwork]:
    """Make the network, with a gateway that forwards everything; skip the test where that is refused."""
    require("ip")
    require_root("makes networks of its own")
    with contextlib.ExitStack() as stack:
        try:
            places = [Namespace() for _ in range(4)]
        except PermissionError as error:
            pytest.skip(f"needs network namespaces, which this machine refuses: {error}")
        for place in places:
            stack.callback(place.close)
        network = TownNetwork(*places)
        _connect(network.gateway, "lan0", network.workstation, [WORKSTATION, WORKSTATION6])
        _connect(network.gateway, "srv0", network.servers, [PROXY, RESOLVER, PROXY6, RESOLVER6])
        _connect(network.gateway, "wan0", network.outside, [OUTSIDE, OUTSIDE6])
        network.gateway.set("net/ipv4/ip_forward", "1")
        network.gateway.set("net/ipv6/conf/all/forwarding", "1")
        yield network


@contextmanager
def answering(
    place: Namespace, addresses: tuple[str, ...], tcp: tuple[int, ...], udp: tuple[int, ...]
) -> Iterator[None]:
    """Answer at these addresses and ports of a place until the block ends."""
    with contextlib.ExitStack() as stack:
        with place.entered():
            listening = [_bound(socket.SOCK_STREAM, *at) for at in itertools.product(addresses, tcp)]
            receiving = [_bound(socket.SOCK_DGRAM, *at) for at in itertools.product(addresses, udp)]
        for server in listening:
            server.listen()
        for serve, servers in ((_serve_tcp, listening), (_serve_udp, receiving)):
            for server in servers:
                thread = threading.Thread(target=serve, args=[server])
                thread.start()
                stack.callback(thread.join)
                stack.callback(_hang_up, server)
        yield


def reaches(place: Namespace, protocol: str, address: str, port: int, source: str = "") -> bool:
    """Whether something answers at an address, asked from a place."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with place.entered():
        probe = socket.socket(family, kind)
    with probe:
        probe.settimeout(_PATIENCE_SECONDS)
        if source:
            probe.bind((source, 0))
        try:
            probe.connect((address, port))
            probe.send(b"anybody there?")
            return probe.recv(1024) == ANSWER
        except OSError:
            return False


def _connect(gateway: Namespace, interface: str, place: Namespace, addresses: list[str]) -> None:
    """Put a place with its addresses behind an interface of the gateway, its way to all others."""
    gateway.run(
        *("ip", "link", "add", interface, "type", "veth"),
        *("peer", "name", "eth0", "netns", place.path),
    )
    gateway.run("ip", "link", "set", interface, "up")
    place.run("ip", "link", "set", "eth0", "up")
    for address in addresses:
        _add_address(place, "eth0", address)
    for first in (next(a for a in addresses if "." in a), next(a for a in addresses if ":" in a)):
        router = first.rpartition(":" if ":" in first else ".")[0] + (":1" if ":" in first else ".1")
        _add_address(gateway, interface, router)
        place.run("ip", "route", "add", "default", "via", router)


def _add_address(place: Namespace, interface: str, address: str) -> None:
    if ":" in address:
        place.run("ip", "address", "add", f"{address}/64", "dev", interface)
    else:
        place.run("ip", "address", "add", f"{address}/24", "dev", interface)


@contextmanager
def _own_namespace() -> Iterator[None]:
    """Come back to the namespace that this thread is in now."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(here)


def _bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    return server


def _serve_tcp(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                client.recv(4096)
                client.sendall(ANSWER)


def _serve_udp(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, client = server.recvfrom(4096)
            if not data:
                return
            server.sendto(ANSWER, client)


def _hang_up(server: socket.socket) -> None:
    """Make the thread that waits on a server socket go on, and end."""
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
    server.close()


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout
