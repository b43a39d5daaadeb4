"""Origin servers for what the demo web is too well-behaved to do.

odd.example:80     answers by the path (`_ANSWERS`), and keeps the head of every request it reads
raw.example:443    reads what the client says to its end, whatever it is, then says how much it was
flood.example:443  says FLOOD_BYTES at once, before it has heard anything
slow.example:443   greets, reads only once `slow_may_read` is set, with small buffers; then as raw.example
drip.example       says a little a hundred times a second, for ever, on 80 (as HTTP) and 443
dead.example       refuses every connection, on 80 and 443
silent.example     does not answer a dial, on 80 and 443
"""

import base64
import contextlib
import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable

_ANSWERS = {
    "/hop-by-hop": b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Internal\r\nX-Internal: 1\r\n"
    b'Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic realm="trap"\r\n'
    b"X-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
    "/trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
    "/no-length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "/not-http": b"this is no answer\r\n\r\n",
    "/two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
}
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_ENDS_AFTER = ("/no-length", "/not-http")
_CHUNK_BYTES = 1 << 16
GREETING = b"220 slow.example speaks first\r\n"
FLOOD_BYTES = 64 << 20
_SMALL_BUFFER_BYTES = 4096
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class OddOrigin:
    """The running servers. `heads` are the requests that odd.example read, as they came.

    `slow_counts` is what slow.example read in each connection that has ended (-1 in one that was reset),
    `floods_cut` how many of flood.example's were closed before all was said.
    """

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.slow_may_read = threading.Event()
        self.slow_counts: list[int] = []
        self.floods_cut = 0
        self._sockets: list[socket.socket] = []
        odd = self._serve(self._answer)
        raw = self._serve(_count)
        drip = self._serve(_drip)
        flood = self._serve(self._flood)
        slow = self._serve(self._read_slowly)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        dead = self._keep(socket.socket())
        # Bound, so that nobody else gets it, and not listening.
        dead.bind(("127.0.0.1", 0))
        silent = self._keep(socket.create_server(("127.0.0.1", 0), backlog=0))
        # With its queue full, the kernel drops every further dial.
        for _ in range(3):
            waiting = self._keep(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        self._targets = {
            "odd.example:80": odd,
            "raw.example:443": raw,
            "flood.example:443": flood,
            "slow.example:443": slow,
            **{f"drip.example:{port}": drip for port in (80, 443)},
            **{f"dead.example:{port}": dead for port in (80, 443)},
            **{f"silent.example:{port}": silent for port in (80, 443)},
        }

    def hosts_lines(self) -> str:
        """Return their lines for the proxy's resolver table."""
        return "".join(f"{name} 127.0.0.1:{s.getsockname()[1]}\n" for name, s in self._targets.items())

    def close(self) -> None:
        """End the servers."""
        for held in self._sockets:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            held.close()

    def _keep(self, held: socket.socket) -> socket.socket:
        self._sockets.append(held)
        return held

    def _serve(self, serve: Callable[[socket.socket], None]) -> socket.socket:
        listening = self._keep(socket.create_server(("127.0.0.1", 0)))

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=handle, args=[connection], daemon=True).start()

        def handle(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        return listening

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as reader:
            while head := _read_head(reader):
                self.heads.append(head)
                path = head.split()[1].decode().partition("?")[0]
                fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
                _read_body(reader, fields)
                if path == "/websocket":
                    _echo_websocket(connection, reader, head)
                    return
                connection.sendall(_ANSWERS.get(path, _OK))
                if path in _ENDS_AFTER:
                    return

    def _flood(self, connection: socket.socket) -> None:
        try:
            for at in range(0, FLOOD_BYTES, _CHUNK_BYTES):
                connection.sendall(at.to_bytes(8) * (_CHUNK_BYTES // 8))
        except OSError:
            self.floods_cut += 1
            raise
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(_CHUNK_BYTES):
            pass

    def _read_slowly(self, connection: socket.socket) -> None:
        connection.sendall(GREETING)
        self.slow_may_read.wait()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        try:
            count = _read_to_end(connection)
        except OSError:
            self.slow_counts.append(-1)
            raise
        self.slow_counts.append(count)
        connection.sendall(b"%d bytes" % count)


def _count(connection: socket.socket) -> None:
    connection.sendall(b"%d bytes" % _read_to_end(connection))


def _read_to_end(connection: socket.socket) -> int:
    count = 0
    while chunk := connection.recv(_CHUNK_BYTES):
        count += len(chunk)
    return count


def _drip(connection: socket.socket) -> None:
    if connection.recv(_CHUNK_BYTES).startswith(b"GET "):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(100))
        time.sleep(0.01)


def _read_head(reader: io.BufferedReader) -> bytes:
    """Read up to the empty line; nothing when the client has left before it."""
    lines = []
    while (line := reader.readline()) != b"\r\n":
        if not line:
            return b""
        lines.append(line)
    return b"".join(lines)


def _read_body(reader: io.BufferedReader, fields: dict[bytes, bytes]) -> None:
    if fields.get(b"transfer-encoding") == b"chunked":
        while size := int(reader.readline(), 16):
            reader.read(size + 2)
        reader.readline()
    left = int(fields.get(b"content-length", b"0"))
    while left and (chunk := reader.read(min(left, _CHUNK_BYTES))):
        left -= len(chunk)


def _echo_websocket(connection: socket.socket, reader: io.BufferedReader, head: bytes) -> None:
    key = next(line[19:] for line in head.splitlines() if line.lower().startswith(b"sec-websocket-key: "))
    accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    while first := reader.read(1):
        length = reader.read(1)[0] & 0x7F
        if length == 126:
            length = int.from_bytes(reader.read(2))
        mask = reader.read(4)
        masks = int.from_bytes((mask * (length // 4 + 1))[:length])
        data = (int.from_bytes(reader.read(length)) ^ masks).to_bytes(length)
        size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2)
        connection.sendall(first + size + data)
