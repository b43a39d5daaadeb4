"""Workstations of a town on one machine: each browser reaches the proxy from an address of its own.

Chromium says from which address it connects to nobody. What stands here between the two is the cable.
"""

import asyncio
import random
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from tests.missing_parts import require, require_root

_CHUNK_BYTES = 1 << 16


@asynccontextmanager
async def cable(address: str, proxy: str) -> AsyncIterator[str]:
    """Lead what comes to the yielded HOST:PORT on to `proxy` (HOST:PORT), from `address`."""
    host, _, port = proxy.rpartition(":")
    ends: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ends.add(task)
        task.add_done_callback(ends.discard)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, int(port), local_addr=(address, 0))
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(ends):
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


@contextmanager
def own_address() -> Iterator[str]:
    """Yield an address of this machine that is not on loopback: that of its network, where it is in one.

    Elsewhere root gives it one meanwhile.
    """
    found = _address_in_a_network()
    if found is not None:
        yield found
        return
    require("ip")
    require_root("gives an address to this machine, which is in no network")
    # For tests of networks (RFC 2544). Tests that run beside this one have others.
    address = f"198.18.{random.randrange(256)}.{random.randrange(1, 255)}"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield address
    finally:
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


def _address_in_a_network() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Of UDP nothing is sent: the system only says from where it would be.
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
