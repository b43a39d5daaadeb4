"""`python -m tests.benchmarks.origin CERTIFICATE`: the origin server that is asked through proxies.

A process of its own, so that its work is not taken for the proxy's. It answers `GET /bytes/N` with N
zero bytes, `POST /` with how many came (`POST /slowly`: it rests after each MiB), and a WebSocket's messages
with themselves, over HTTP and HTTPS, a thread a connection; on its first line it says on which ports.
"""

import argparse
import contextlib
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

SITES = "bench.example"
"""The origin's certificate is for every name directly below this one."""

PAUSE_SECONDS = 0.04
"""How long a slow reader rests after each MiB: whoever sends is always ahead of it."""

_BLOCK = memoryview(bytes(1 << 20))
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """A running origin server. `ca_certificate` is what its clients trust."""

    http_port: int
    https_port: int
    ca_certificate: Path


@contextmanager
def running_origin(folder: Path) -> Iterator[Origin]:
    """Serve on two free ports of loopback; certificates are written to `folder`."""
    authority = trustme.CA()
    ca_certificate, certificate = folder / "origin-ca.pem", folder / "origin.pem"
    authority.cert_pem.write_to_path(ca_certificate)
    authority.issue_cert(f"*.{SITES}").private_key_and_cert_chain_pem.write_to_path(certificate)
    command = [sys.executable, "-m", "tests.benchmarks.origin", str(certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ports = json.loads(process.stdout.readline())
            yield Origin(ports["http"], ports["https"], ca_certificate)
        finally:
            process.terminate()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.tls = tls


class _Connection(socketserver.BaseRequestHandler):
    """One connection: requests without a body, one after the other, until the client has enough."""

    server: _Server

    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that leaves in the middle is owed nothing.
        with contextlib.suppress(OSError):
            if self.server.tls is not None:
                connection = self.server.tls.wrap_socket(connection, server_side=True)
            with connection:
                _serve(connection)


def _serve(connection: socket.socket) -> None:
    head = b""
    while data := connection.recv(65536):
        head += data
        if head.startswith(b"POST ") and _END_OF_HEAD in head:
            _take_in(connection, head)
            head = b""
        if not head.endswith(_END_OF_HEAD):
            continue
        if b"\r\nupgrade: websocket\r\n" in head.lower():
            _echo(connection, head)
            return
        folder, _, count = head.split(b" ", 2)[1].rpartition(b"/")
        head = b""
        if not folder.endswith(b"/bytes") or not count.isdigit():
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            continue
        left = int(count)
        first = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % left
        first += _BLOCK[: min(left, 16384)]
        connection.sendall(first)
        left -= min(left, 16384)
        while left:
            block = _BLOCK[: min(left, len(_BLOCK))]
            connection.sendall(block)
            left -= len(block)


def _take_in(connection: socket.socket, data: bytes) -> None:
    """Read what is posted, and say how much it was."""
    head, _, body = data.partition(_END_OF_HEAD)
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    is_slow = head.split(b" ", 2)[1].endswith(b"/slowly")
    came, buffer = len(body), bytearray(len(_BLOCK))
    next_pause = len(_BLOCK)
    while came < length and (count := connection.recv_into(buffer)):
        came += count
        if is_slow and came >= next_pause:
            time.sleep(PAUSE_SECONDS)
            next_pause = came + len(_BLOCK)
    said = str(came).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


def _echo(connection: socket.socket, data: bytes) -> None:
    web_socket = WSConnection(ConnectionType.SERVER)
    while data:
        web_socket.receive_data(data)
        for event in web_socket.events():
            if isinstance(event, Request):
                connection.sendall(web_socket.send(AcceptConnection()))
            elif isinstance(event, TextMessage):
                connection.sendall(web_socket.send(TextMessage(event.data)))
        data = connection.recv(65536)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.origin", description=__doc__)
    parser.add_argument("certificate", type=Path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(parser.parse_args().certificate)
    # No client resumes: every connection costs a full handshake.
    tls.num_tickets = 0
    http, https = _Server(), _Server(tls)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    print(json.dumps({"http": http.server_address[1], "https": https.server_address[1]}), flush=True)
    https.serve_forever()


if __name__ == "__main__":
    main()
