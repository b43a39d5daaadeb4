"""A plain WebSocket, as browsers open one: CONNECT to port 80, then an upgrade inside."""

import socket
from typing import BinaryIO

import pytest

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


def send_frame(connection: socket.socket, first: int, data: bytes) -> None:
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    connection.sendall(bytes([first]) + length + MASK + data)


def receive_frame(reader: BinaryIO) -> tuple[int, bytes]:
    first, length = reader.read(2)
    return first, reader.read(int.from_bytes(reader.read(2)) if length == 126 else length)


def send_text(connection: socket.socket, text: bytes) -> None:
    send_frame(connection, 0x81, text)


def receive_text(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as reader:
        first, text = receive_frame(reader)
        assert first == 0x81
        return text


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


@pytest.mark.parametrize("kind", [1, 2], ids=["text", "binary"])
def test_long_message_goes_on_and_is_counted_while_it_comes(kind: int, town: ProxiedTown) -> None:
    connection, _ = open_websocket(town.client, "odd.example")
    block, got, frames = "ü".encode() * 30_000, bytearray(), list[int]()
    connection.settimeout(20)
    with connection, connection.makefile("rb") as reader:
        before = town.proxy.peak_memory_bytes()
        for number in range(500):
            send_frame(connection, kind if number == 0 else 0, block)
            # It is kept on both ways, but not for long.
            while len(got) < (number - 10) * len(block):
                first, data = receive_frame(reader)
                frames.append(first)
                got += data
        assert frames[0] == kind and set(frames[1:]) == {0}
        assert town.proxy.peak_memory_bytes() - before < 6 << 20
        send_frame(connection, 0x80, b"the end")
        while frames[-1] != 0x80:
            first, data = receive_frame(reader)
            frames.append(first)
            got += data
    assert got == block * 500 + b"the end"
    visit = town.visit()
    assert 500 * len(block) < visit.bytes_up < 501 * len(block)
    assert 500 * len(block) < visit.bytes_down < 501 * len(block)


def test_message_of_a_few_frames_goes_on_as_it_came(town: ProxiedTown) -> None:
    connection, _ = open_websocket(town.client, "odd.example")
    frames = [(0x01, b"one "), (0x00, b""), (0x00, "für zwei".encode()), (0x80, b"!"), (0x81, b"alone")]
    with connection, connection.makefile("rb") as reader:
        for first, data in frames:
            send_frame(connection, first, data)
        assert [receive_frame(reader) for _ in frames] == frames
