"""The origin server of every site at once: it answers whatever it is asked, and keeps what it saw."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

PORTS = (80, 443, 22, 25, 8080, 8443)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\norigin\n"
_UNASKED_101 = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
_READ_BYTES = 1 << 16
_TLS_HANDSHAKE = 0x16


@dataclass(slots=True)
class Seen:
    """A connection that reached the origin: to which of its addresses, and every byte it read.

    `sni` is None where no TLS was spoken, and empty where the ClientHello named no host.
    """

    address: str
    port: int
    sni: str | None = None
    data: bytearray = field(default_factory=bytearray)


class Origin:
    """The running server. `seen` are the connections, in the order they came."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[Seen] = []
        authority = trustme.CA()
        self.ca_certificate = folder / "origin-ca.pem"
        authority.cert_pem.write_to_path(self.ca_certificate)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*_CERTIFIED).configure_cert(self._tls)
        self._listening = [
            socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
            for port in PORTS
        ]
        for listening in self._listening:
            threading.Thread(target=self._accept, args=[listening], daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        for listening in self._listening:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        address, port = connection.getsockname()[:2]
        seen = Seen(address.removeprefix("::ffff:"), port)
        self.seen.append(seen)
        with contextlib.suppress(OSError), connection:
            first = connection.recv(1, socket.MSG_PEEK)
            if first[:1] != bytes([_TLS_HANDSHAKE]):
                self._converse(connection, seen)
                return
            with self._secured(connection, seen) as secured:
                self._converse(secured, seen)

    @contextmanager
    def _secured(self, connection: socket.socket, seen: Seen) -> Iterator[ssl.SSLSocket]:
        seen.sni = ""
        context = self._tls

        def keep_name(_: object, name: str | None, __: object) -> None:
            seen.sni = name or ""

        context.sni_callback = keep_name
        with context.wrap_socket(connection, server_side=True) as secured:
            yield secured

    def _converse(self, connection: socket.socket, seen: Seen) -> None:
        unread = bytearray()
        while chunk := connection.recv(_READ_BYTES):
            seen.data += chunk
            unread += chunk
            while (end := _end_of_message(unread)) is not None:
                message = bytes(unread[:end])
                del unread[:end]
                if b"/unasked-101" in message.split(b"\n", 1)[0]:
                    connection.sendall(_UNASKED_101)
                    return self._hear_out(connection, seen)
                connection.sendall(_OK)
        return None

    def _hear_out(self, connection: socket.socket, seen: Seen) -> None:
        while chunk := connection.recv(_READ_BYTES):
            seen.data += chunk
            connection.sendall(b"tunnelled: " + chunk)


_CERTIFIED = (
    *("library.example", "news.example", "cardroom.example", "*.cardroom.example", "six.example"),
    *("inner.example", "translate.google.com", "web.archive.org"),
)


def _end_of_message(data: bytearray) -> int | None:
    """Return where the first message ends, read as leniently as the most lenient server; None before it."""
    heads = [(data.find(end), len(end)) for end in (b"\r\n\r\n", b"\n\n")]
    found = [(at, length) for at, length in heads if at >= 0]
    if not found:
        return None
    at, length = min(found)
    head, body = bytes(data[:at]).lower(), at + length
    if b"chunked" in head:
        last = data.find(b"0\r\n\r\n", body)
        return None if last < 0 else last + 5
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        if name.strip() == b"content-length" and value.strip().isdigit():
            return body + int(value) if len(data) >= body + int(value) else None
    return body
