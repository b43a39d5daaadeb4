"""A plain WebSocket, as browsers open one: CONNECT to port 80, then an upgrade inside."""

import socket

from policy.decision import Lane, Verdict
from tests.proxied_town import TOWN, ProxiedTown, eventually
from tests.proxy_client import ProxyClient

UPGRADE = (
    "GET /websocket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# A mask must be there, and this one leaves the text as it is.
MASK = bytes(4)


def open_websocket(client: ProxyClient, host: str) -> tuple[socket.socket, bytes]:
    connection = client.connect(host, 80)
    connection.sendall(UPGRADE.format(host=host).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1)
    return connection, answer


def send_text(connection: socket.socket, text: bytes) -> None:
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
    connection.sendall(b"\x81" + length + MASK + text)


def receive_text(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as reader:
        first, length = reader.read(2)
        assert first == 0x81
        return reader.read(int.from_bytes(reader.read(2)) if length == 126 else length)


def test_plain_websocket_goes_through_and_is_counted(town: ProxiedTown) -> None:
    connection, answer = open_websocket(town.client, "odd.example")
    with connection:
        assert answer.startswith(b"HTTP/1.1 101 ")
        for text in (b"hello", b"x" * 1000):
            send_text(connection, text)
            assert receive_text(connection) == text

    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.scheme, visit.host) == (
        Verdict.ALLOW,
        Lane.PLAIN,
        "http",
        "odd.example",
    )
    assert 1005 < visit.bytes_up < 2000
    assert 1005 < visit.bytes_down < 2000


def test_plain_websocket_to_a_blocked_site_gets_the_page(town: ProxiedTown) -> None:
    connections = town.web.connections
    connection, answer = open_websocket(town.client, "cardroom.example")
    connection.close()

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert town.web.connections == connections
    assert town.visit().verdict is Verdict.BLOCK


def test_messages_of_a_websocket_are_not_kept(town: ProxiedTown) -> None:
    connection, _ = open_websocket(town.client, "odd.example")
    message = b"x" * 60_000
    with connection:
        for _ in range(20):
            send_text(connection, message)
            receive_text(connection)
        before = town.proxy.peak_memory_bytes()
        for _ in range(150):
            send_text(connection, message)
            receive_text(connection)
        assert town.proxy.peak_memory_bytes() - before < 6 << 20

    assert town.visit().bytes_up > 170 * 60_000


def test_open_websocket_is_closed_when_policy_blocks_its_site(town: ProxiedTown) -> None:
    connection, _ = open_websocket(town.client, "odd.example")
    with connection:
        send_text(connection, b"hello")
        assert receive_text(connection) == b"hello"
        town.publish_policy(
            TOWN.replace("rules:\n", "rules:\n  - {id: none, departments: [finance], action: block}\n")
        )
        eventually(lambda: connection.recv(100) == b"")

    assert town.visit().refusal == "closed: no longer allowed (none)"
