"""From a name to a connection: names are looked up, every address judged, the judged one dialled."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

from categories.host_name import canonical_host
from policy.ip import parse_ip
from policy.notation import port as port_number
from proxy_addons import egress_metrics
from proxy_addons.judge import Judge
from proxy_addons.name_lookup import NameLookup

logger = logging.getLogger(__name__)

DIAL_SECONDS = 10.0
_APART_SECONDS = 0.25
"""The Connection Attempt Delay of RFC 8305 section 5."""


class HostsFileError(Exception):
    """A line of the hosts file cannot be read; the proxy does not start."""


class Resolver:
    """Dials origin servers. `hosts` are names that the town answers itself, before DNS.

    An address that is private, or the proxy's own machine, is refused unless policy lists it: a
    name that resolves there gains nothing. What the hosts file or the admin site's own address
    says is trusted as the town's word. `own_ports` are the proxy's, metrics' and admin's: nothing
    but the admin site's own name leads to them, whatever policy lists.
    """

    def __init__(
        self,
        judge: Callable[[], Judge],
        hosts: dict[tuple[str, int], tuple[str, int]],
        own_ports: frozenset[int] = frozenset(),
        *,
        names: NameLookup | None = None,
        dial_seconds: float = DIAL_SECONDS,
    ) -> None:
        self._judge = judge
        self._hosts = hosts
        self._own_ports = own_ports
        self._names = names or NameLookup()
        self._dial_seconds = dial_seconds

    async def open_connection(
        self, host: str, port: int, *, client: str, local_addr: tuple[str, int] | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an origin server, in place of `asyncio.open_connection`; as `connected_socket`."""
        return await _open_connection(sock=await self.connected_socket(host, port, client, local_addr))

    async def connected_socket(
        self, host: str, port: int, client: str, local_addr: tuple[str, int] | None = None
    ) -> socket.socket:
        """Return a socket that is connected to an origin server, for a client with this address.

        1. the name is looked up
        2. every address of it is judged; one that may not be reached refuses all
        3. they are dialled 250 ms apart, IPv6 and IPv4 in turn, until one answers (RFC 8305)

        Raises OSError, with a text for people, when the name or every address of it fails.
        """
        try:
            async with asyncio.timeout(self._dial_seconds):
                return await _first_to_answer(
                    await self._addresses(host, port, client),
                    lambda address, to_port: _connected_socket(address, to_port, local_addr),
                )
        except TimeoutError as error:
            egress_metrics.UPSTREAM_ERRORS.labels("timeout").inc()
            raise OSError(f"no answer within {self._dial_seconds:g} seconds") from error

    async def connect(
        self, make_protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int, client: str
    ) -> asyncio.Transport:
        """Connect a protocol to an origin server as `connected_socket` would; return its transport.

        A protocol is made for each address that is dialled. It is for the caller to give up in time.
        """
        transport = await _first_to_answer(
            await self._addresses(host, port, client),
            lambda address, to_port: _connected_transport(make_protocol, address, to_port),
        )
        # The addresses have been judged before; this is what the socket says.
        peer = transport.get_extra_info("peername")
        refusal = "it closed at once" if peer is None else self.refusal_of(host, port, *peer[:2])
        if refusal is not None:
            logger.error("connected where no one may: host=%s address=%s", host, peer)
            transport.abort()
            raise _counted("address", OSError(refusal))
        return transport

    def refusal_of(self, host: str, port: int, address: str, actual_port: int) -> str | None:
        """Say why a dial of host and port may not lead to this address; None when it may."""
        judge = self._judge()
        if (host, port) == judge.admin_site:
            return None
        if actual_port in self._own_ports and _is_here(address):
            return "it leads to the proxy itself"
        if (host, port) in self._hosts or judge.may_dial(address):
            return None
        return f"it leads to a private address ({address})"

    async def _addresses(self, host: str, port: int, client: str) -> list[tuple[str, int]]:
        if (host, port) in self._hosts:
            found = [self._hosts[host, port]]
        else:
            try:
                found = [(address, port) for address in await self._names.addresses(host, client)]
            except OSError as error:
                raise _counted("name", error) from error
        for address, actual_port in found:
            refusal = self.refusal_of(host, port, address, actual_port)
            if refusal is not None:
                raise _counted("address", OSError(refusal))
        return found


DIALLED_FOR: ContextVar[str] = ContextVar("dialled_for")
"""The address of the client for whom mitmproxy dials in this task: it asks `server_connect` in it first."""

_open_connection = asyncio.open_connection


class _Closing(Protocol):
    def close(self) -> None:
        """Close it."""


type _Dial[Connection] = Callable[[str, int], Awaitable[Connection]]


async def _first_to_answer[Connection: _Closing](
    addresses: Sequence[tuple[str, int]], dial: _Dial[Connection]
) -> Connection:
    if len(addresses) == 1:
        try:
            return await _dialled(dial, *addresses[0])
        except OSError as error:
            raise _counted("connection", error) from error
    reason = "the name has no address"
    dials: set[asyncio.Task[Connection]] = set()
    waiting = list(_in_turn(addresses))
    try:
        while dials or waiting:
            if waiting:
                dials.add(asyncio.create_task(_dialled(dial, *waiting.pop(0))))
            apart = _APART_SECONDS if waiting else None
            done, dials = await asyncio.wait(dials, timeout=apart, return_when=asyncio.FIRST_COMPLETED)
            answered = [dial for dial in done if dial.exception() is None]
            if answered:
                dials.update(answered[1:])
                return answered[0].result()
            for failed in done:
                reason = str(failed.exception())
    finally:
        for late in dials:
            late.add_done_callback(_hang_up)
            late.cancel()
    raise _counted("connection", OSError(reason))


def _counted(kind: str, error: OSError) -> OSError:
    """Count why an origin server is not reached; return that."""
    egress_metrics.UPSTREAM_ERRORS.labels(kind).inc()
    return error


async def _dialled[Connection](dial: _Dial[Connection], address: str, port: int) -> Connection:
    try:
        return await dial(address, port)
    except OSError as error:
        raise OSError(os.strerror(error.errno) if error.errno else str(error)) from error


async def _connected_socket(address: str, port: int, local_addr: tuple[str, int] | None) -> socket.socket:
    connecting = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
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


async def _connected_transport(
    make_protocol: Callable[[], asyncio.BaseProtocol], address: str, port: int
) -> asyncio.Transport:
    # With an address in place of a name, the loop looks nothing up.
    transport, _ = await asyncio.get_running_loop().create_connection(make_protocol, address, port)
    return transport


def _hang_up[Connection: _Closing](dial: asyncio.Task[Connection]) -> None:
    """End a connection that came too late."""
    if not dial.cancelled() and dial.exception() is None:
        dial.result().close()


def _in_turn(addresses: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Yield addresses of both families in turn, beginning with that of the first."""
    is_ipv6 = [":" in address for address, _ in addresses]
    first = [a for a, is_6 in zip(addresses, is_ipv6, strict=True) if is_6 == is_ipv6[0]]
    other = [a for a, is_6 in zip(addresses, is_ipv6, strict=True) if is_6 != is_ipv6[0]]
    for pair in zip_longest(first, other):
        yield from filter(None, pair)


def _is_here(address: str) -> bool:
    """Whether an address is this machine's own: only then a socket can be bound to it."""
    ip = parse_ip(address)
    if ip.is_loopback or ip.is_unspecified:
        return True
    with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError:
            return False
    return True


def use(resolver: Resolver) -> None:
    """Make mitmproxy dial through a resolver: it calls `asyncio.open_connection` for every dial."""

    async def open_connection(
        host: str, port: int, *, local_addr: tuple[str, int] | None = None, **_: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        client = DIALLED_FOR.get()
        return await resolver.open_connection(host, port, client=client, local_addr=local_addr)

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
