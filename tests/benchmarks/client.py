"""What programs behind a proxy do, with blocking sockets; sixteen threads make sixteen at once.

Every answer is read to its last byte and its status checked: a proxy is not fast because it fails.
"""

import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Event, Request, TextMessage

AT_ONCE = 16

_BUFFER_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60.0
_HTTPS_PORT = 443
_END_OF_HEAD = b"\r\n\r\n"


class WrongAnswerError(Exception):
    """A proxy or origin server did not answer as it must; the figures would mean nothing."""


class Target(NamedTuple):
    """What a proxy is asked for, and the name of the site that is there."""

    host: str
    port: int
    site: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def at_once(count: int, once: Callable[[int], None]) -> list[float]:
    """Call `once` with 0 to count - 1, sixteen at a time; return how many seconds each call took.

    An exception is raised when all are done.
    """
    numbers = iter(range(count))
    seconds = []

    def work() -> None:
        # One step of a range iterator is atomic.
        for number in numbers:
            began = time.perf_counter()
            once(number)
            seconds.append(time.perf_counter() - began)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(work) for _ in range(AT_ONCE)]:
            done.result()
    return seconds


def get_through_tunnel(
    proxy_port: int,
    target: Target,
    tls: ssl.SSLContext,
    path: str,
    status: int = 200,
    times: int = 1,
    *,
    pause_seconds: float = 0.0,
) -> None:
    """CONNECT, do a full TLS handshake, GET so many times, and close; pause after each MiB of an answer.

    Raises WrongAnswerError for another status.
    """
    with tunnel_to(proxy_port, target, tls) as tunnel:
        for _ in range(times):
            tunnel.sendall(f"GET {path} HTTP/1.1\r\nHost: {_host_field(target)}\r\n\r\n".encode())
            _read_answer(tunnel, status, pause_seconds)


def tunnel_to(proxy_port: int, target: Target, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """CONNECT, and do a full TLS handshake with whoever answers."""
    plain = _connect(proxy_port)
    try:
        plain.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        _read_head(plain, 200)
        return tls.wrap_socket(plain, server_hostname=target.site)
    except BaseException:
        plain.close()
        raise


class WebSocket:
    """One WebSocket to a target, open until `close`."""

    def __init__(self, connection: socket.socket, target: Target) -> None:
        self._connection = connection
        self._web_socket = WSConnection(ConnectionType.CLIENT)
        connection.sendall(self._web_socket.send(Request(_host_field(target), "/")))
        self._next(AcceptConnection)

    def say(self, text: str) -> None:
        """Send a message and read it back. Raises WrongAnswerError when another one comes."""
        self._connection.sendall(self._web_socket.send(TextMessage(text)))
        answer = self._next(TextMessage)
        if answer.data != text:
            raise WrongAnswerError(f"not {text[:80]!r}: {answer.data[:80]!r}")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _next[E: Event](self, kind: type[E]) -> E:
        while True:
            data = self._connection.recv(65536)
            if not data:
                raise WrongAnswerError("a WebSocket was closed")
            self._web_socket.receive_data(data)
            for event in self._web_socket.events():
                if not isinstance(event, kind):
                    raise WrongAnswerError(f"not a {kind.__name__}: {event}")
                return event


def get_plain(
    proxy_port: int,
    targets: Iterable[Target],
    path: str,
    status: int = 200,
    *,
    pause_seconds: float = 0.0,
) -> None:
    """GET from each target in turn, over one connection to the proxy, and close; pause after each MiB.

    Raises WrongAnswerError for another status.
    """
    with _connect(proxy_port) as connection:
        for target in targets:
            lines = f"GET http://{target}{path} HTTP/1.1\r\nHost: {target}\r\n\r\n"
            connection.sendall(lines.encode())
            _read_answer(connection, status, pause_seconds)


def post_through_tunnel(
    proxy_port: int, target: Target, tls: ssl.SSLContext, path: str, size_bytes: int
) -> None:
    """CONNECT, do a full TLS handshake, send so much, read that all of it came, and close.

    Raises WrongAnswerError when it did not.
    """
    with tunnel_to(proxy_port, target, tls) as tunnel:
        _post(tunnel, path, _host_field(target), size_bytes)


def post_plain(proxy_port: int, target: Target, path: str, size_bytes: int) -> None:
    """Send so much over plain HTTP, and read that all of it came. Raises WrongAnswerError when it did not."""
    with _connect(proxy_port) as connection:
        _post(connection, f"http://{target}{path}", str(target), size_bytes)


def every(targets: Sequence[Target], count: int) -> list[Target]:
    """Return so many targets, all in turn."""
    return list(itertools.islice(itertools.cycle(targets), count))


def _host_field(target: Target) -> str:
    return target.site if target.port == _HTTPS_PORT else f"{target.site}:{target.port}"


def _connect(proxy_port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy_port), _TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _post(connection: socket.socket, asked: str, host: str, size_bytes: int) -> None:
    lines = f"POST {asked} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size_bytes}\r\n\r\n"
    connection.sendall(lines.encode())
    block, left = memoryview(bytes(_BUFFER_BYTES)), size_bytes
    while left:
        connection.sendall(block[:left])
        left -= min(left, len(block))
    head, body = _read_head(connection, 200)
    while len(body) < _content_length(head) and (data := connection.recv(65536)):
        body += data
    if body != str(size_bytes).encode():
        raise WrongAnswerError(f"{size_bytes} bytes were sent, and {body[:200]!r} came")


def _read_answer(connection: socket.socket, status: int, pause_seconds: float = 0.0) -> None:
    head, body = _read_head(connection, status)
    length = _content_length(head)
    left = length - len(body)
    buffer = bytearray(min(_BUFFER_BYTES, max(left, 1)))
    until_pause = _BUFFER_BYTES
    while left > 0:
        count = connection.recv_into(buffer)
        if not count:
            raise WrongAnswerError(f"closed with {left} bytes of {length} missing")
        left -= count
        until_pause -= count
        if pause_seconds and until_pause <= 0:
            time.sleep(pause_seconds)
            until_pause = _BUFFER_BYTES


def _read_head(connection: socket.socket, status: int) -> tuple[bytes, bytes]:
    """Return a head, and what came of its body along with it."""
    data = b""
    while _END_OF_HEAD not in data:
        more = connection.recv(65536)
        if not more:
            raise WrongAnswerError(f"closed after {data[:200]!r}")
        data += more
    head, _, body = data.partition(_END_OF_HEAD)
    if int(head.split(b" ", 2)[1]) != status:
        raise WrongAnswerError(f"not a {status}: {data[:200]!r}")
    return head, body


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise WrongAnswerError(f"no Content-Length: {head[:200]!r}")
