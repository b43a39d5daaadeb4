"""From a name to a connection: names are looked up, every address judged, the judged one dialled."""

import asyncio
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from categories.host_name import canonical_host
from policy.notation import port as port_number
from proxy_addons.judge import Judge

_DIAL_SECONDS = 10.0
_ATTEMPT_SECONDS = 3.0


class HostsFileError(Exception):
    """A line of the hosts file cannot be read; the proxy does not start."""


class Resolver:
    """Dials origin servers. `hosts` are names that the town answers itself, before DNS.

    An address that is private, or the proxy's own machine, is refused unless policy lists it: a
    name that resolves there gains nothing. What the hosts file or the admin site's own address
    says is trusted as the town's word.
    """

    def __init__(
        self,
        judge: Callable[[], Judge],
        hosts: dict[tuple[str, int], tuple[str, int]],
        dial_seconds: float = _DIAL_SECONDS,
        attempt_seconds: float = _ATTEMPT_SECONDS,
    ) -> None:
        self._judge = judge
        self._hosts = hosts
        self._dial_seconds = dial_seconds
        self._attempt_seconds = attempt_seconds

    async def open_connection(
        self, host: str, port: int, *, local_addr: tuple[str, int] | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an origin server, in place of `asyncio.open_connection`.

        Raises OSError, with a text for people, when the name or every address of it fails.
        """
        return await _open_connection(sock=await self.connected_socket(host, port, local_addr))

    async def connected_socket(
        self, host: str, port: int, local_addr: tuple[str, int] | None = None
    ) -> socket.socket:
        """Return a socket that is connected to an origin server. Raises OSError as `open_connection`."""
        try:
            async with asyncio.timeout(self._dial_seconds):
                return await self._connect(host, port, local_addr)
        except TimeoutError as error:
            raise OSError(f"no answer within {self._dial_seconds:g} seconds") from error

    async def _connect(self, host: str, port: int, local_addr: tuple[str, int] | None) -> socket.socket:
        reason = "the name has no address"
        addresses = await self._addresses(host, port)
        for number, (address, actual_port) in enumerate(addresses, start=1):
            # One that does not answer must not use up the time of those after it.
            seconds = self._attempt_seconds if number < len(addresses) else None
            try:
                async with asyncio.timeout(seconds):
                    return await _connected_socket(address, actual_port, local_addr)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(reason)

    async def _addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        judge = self._judge()
        if (host, port) in self._hosts:
            return [self._hosts[host, port]]
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise OSError("the name was not found") from error
        addresses = [str(info[4][0]) for info in found]
        if (host, port) != judge.admin_site:
            refused = next((a for a in addresses if not judge.may_dial(a)), None)
            if refused is not None:
                raise OSError(f"it leads to a private address ({refused})")
        return [(address, port) for address in dict.fromkeys(addresses)]


async def _connected_socket(address: str, port: int, local_addr: tuple[str, int] | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local_addr is not None:
            connecting.bind(local_addr)
        await asyncio.get_running_loop().sock_connect(connecting, (address, port))
    except BaseException:
        connecting.close()
        raise
    return connecting


_open_connection = asyncio.open_connection


def use(resolver: Resolver) -> None:
    """Make mitmproxy dial through a resolver: it calls `asyncio.open_connection` for every dial."""

    async def open_connection(
        host: str, port: int, *, local_addr: tuple[str, int] | None = None, **_: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await resolver.open_connection(host, port, local_addr=local_addr)

    asyncio.open_connection = open_connection  # type: ignore[assignment]  # as mitmproxy calls it


def read_hosts_file(path: Path) -> dict[tuple[str, int], tuple[str, int]]:
    """Read lines `NAME:PORT ADDRESS:PORT`, where '#' begins a comment.

    Raises HostsFileError with file, line and what is wrong; OSError when it cannot be read.
    """
    hosts = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            name, address = words
            host, port = _host_and_port(name)
            to, to_port = _host_and_port(address)
            hosts[canonical_host(host).strip("[]"), port] = (str(ip_address(to.strip("[]"))), to_port)
        except ValueError as error:
            raise HostsFileError(
                f"{path}:{number}: {line.strip()!r} is not 'NAME:PORT ADDRESS:PORT' ({error})"
            ) from error
    return hosts


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} has no port")
    return host, port_number(port)
