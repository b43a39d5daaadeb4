"""Tunnels in which one side does not read: the other waits, nothing is kept or lost, closing is closing."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from policy.decision import Lane
from tests.client_hellos import client_hello
from tests.odd_origin import FLOOD_BYTES, GREETING, OddOrigin
from tests.proxied_town import PATIENCE_SECONDS, ProxiedTown, eventually
from tests.proxy_client import exchange, read_to_end
from tests.published_town import CATEGORIES

FLOOD, SLOW = "flood.example", "slow.example"
SMALL_BUFFER_BYTES = 4096
KEPT_BYTES = 10 << 20
"""By how much a worker may grow."""
IN_BUFFERS_BYTES = 16 << 20
"""What the kernel may hold of a connection, on both of its ways."""


@pytest.fixture
def slow_origin(odd_origin: OddOrigin) -> Iterator[OddOrigin]:
    """Return servers of which slow.example reads nothing yet, and has read nothing."""
    odd_origin.slow_may_read.clear()
    odd_origin.slow_counts.clear()
    yield odd_origin
    odd_origin.slow_may_read.set()


def tunnel(town: ProxiedTown, host: str) -> socket.socket:
    """Return a tunnel to a host that has been sent a ClientHello, with small buffers at the client."""
    connection = socket.socket()
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, buffer, SMALL_BUFFER_BYTES)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", town.proxy.port))
    target = f"{host}:443"
    assert exchange(connection, "CONNECT", target, target).status == 200
    connection.sendall(client_hello(host))
    return connection


def test_origin_server_that_speaks_first_is_heard_whole(town: ProxiedTown, slow_origin: OddOrigin) -> None:
    with tunnel(town, SLOW) as connection:
        assert connection.recv(1000) == GREETING
        slow_origin.slow_may_read.set()
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b"%d bytes" % len(client_hello(SLOW))


def test_client_that_does_not_read_holds_the_origin_server_up_and_loses_nothing(town: ProxiedTown) -> None:
    before = town.proxy.peak_memory_bytes()
    with tunnel(town, FLOOD) as connection:
        assert connection.recv(1)
        time.sleep(0.5)
        assert town.proxy.peak_memory_bytes() - before < KEPT_BYTES
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        said = b"\0" + read_to_end(connection)
    assert len(said) == FLOOD_BYTES
    assert all(said[at : at + 8] == at.to_bytes(8) for at in range(0, FLOOD_BYTES, 1 << 16))
    assert town.visit().bytes_down == FLOOD_BYTES
    assert town.proxy.peak_memory_bytes() - before < KEPT_BYTES


def test_origin_server_that_does_not_read_holds_the_client_up_and_loses_nothing(
    town: ProxiedTown, slow_origin: OddOrigin
) -> None:
    before = town.proxy.peak_memory_bytes()
    sent = 0
    with tunnel(town, SLOW) as connection:
        assert connection.recv(1000) == GREETING
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while sent < FLOOD_BYTES:
                sent += connection.send(bytes(1 << 16))
        assert sent < IN_BUFFERS_BYTES
        assert town.proxy.peak_memory_bytes() - before < KEPT_BYTES
        connection.settimeout(30)
        slow_origin.slow_may_read.set()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        connection.sendall(bytes(FLOOD_BYTES - sent))
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b"%d bytes" % (len(client_hello(SLOW)) + FLOOD_BYTES)
    assert town.proxy.peak_memory_bytes() - before < KEPT_BYTES


def test_what_a_client_has_said_before_it_leaves_reaches_a_slow_origin_server(
    town: ProxiedTown, slow_origin: OddOrigin
) -> None:
    said = 256 << 10
    with tunnel(town, SLOW) as connection:
        assert connection.recv(1000) == GREETING
        connection.sendall(bytes(said))
    time.sleep(0.2)
    slow_origin.slow_may_read.set()
    eventually(lambda: slow_origin.slow_counts == [len(client_hello(SLOW)) + said])


def test_tunnel_that_is_no_longer_allowed_is_cut_though_its_client_does_not_read(
    town: ProxiedTown, odd_origin: OddOrigin
) -> None:
    cut = odd_origin.floods_cut
    with tunnel(town, FLOOD) as connection:
        assert connection.recv(1)
        block(town, FLOOD)
        visit = town.visit()
        eventually(lambda: odd_origin.floods_cut == cut + 1)
        # What the kernel had is still read; what the worker had is not.
        assert 1 + len(read_to_end(connection)) < visit.bytes_down
    assert visit.lane is Lane.TUNNEL
    assert visit.refusal == "closed: no longer allowed (not-town-business)"
    assert visit.bytes_down < IN_BUFFERS_BYTES


def test_tunnel_that_is_no_longer_allowed_is_cut_though_its_origin_server_does_not_read(
    town: ProxiedTown, slow_origin: OddOrigin
) -> None:
    with tunnel(town, SLOW) as connection:
        assert connection.recv(1000) == GREETING
        sent: list[int] = []
        sender = threading.Thread(target=_send_until_closed, args=[connection, sent])
        sender.start()
        eventually(lambda: _stands_still(sent))
        block(town, SLOW)
        sender.join(PATIENCE_SECONDS)
        assert not sender.is_alive()
    visit = town.visit()
    assert visit.refusal == "closed: no longer allowed (not-town-business)"
    assert visit.bytes_up < IN_BUFFERS_BYTES
    slow_origin.slow_may_read.set()
    eventually(lambda: len(slow_origin.slow_counts) == 1)
    assert slow_origin.slow_counts[0] < visit.bytes_up


def block(town: ProxiedTown, host: str) -> None:
    town.publish_categories({**CATEGORIES, "gambling": [*CATEGORIES["gambling"], host]})


def _send_until_closed(connection: socket.socket, sent: list[int]) -> None:
    """Send all the time; note how much is taken each time."""
    with suppress(OSError):
        while True:
            sent.append(connection.send(bytes(1 << 16)))


def _stands_still(sent: list[int]) -> bool:
    """Whether nothing was taken for a while, after something was: every buffer on the way is full."""
    before = len(sent)
    time.sleep(0.5)
    return 0 < before == len(sent)
