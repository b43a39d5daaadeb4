"""A client of the proxy, for tests: what came back and who vouched for it, down to single bytes."""

import base64
import contextlib
import functools
import html
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An http_response, and over TLS who signed the certificate of the other end and for which names.

    `body` is empty where only its size was wanted.
    """

    status: int
    headers: HTTPMessage
    body: bytes
    body_bytes: int
    issuer: str | None = None
    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def continue_form(self) -> str:
        """Where the form of a warning goes; it must be one."""
        assert self.status == 403, self.text
        found = re.search(r'<form id="continue" method="post" action="([^"]+)"></form>', self.text)
        assert found is not None, self.text
        return html.unescape(found[1])


class RefusedConnectError(Exception):
    """The proxy did not open a tunnel."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.text}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class ProxyClient:
    """A workstation: it trusts `trusts` (PEM files), signs in with `sign_in`, sits at `address`."""

    port: int
    trusts: tuple[Path, ...] = ()
    sign_in: tuple[str, str] | None = None
    address: str = "127.0.0.1"

    def at(self, address: str) -> "ProxyClient":
        """Return the same client at another address of loopback."""
        return replace(self, address=address)

    def trusting(self, *certificates: Path) -> "ProxyClient":
        """Return the same client with other certificate authorities."""
        return replace(self, trusts=certificates)

    def signed_in(self, person: str, password: str) -> "ProxyClient":
        """Return the same client with a person's name and proxy password."""
        return replace(self, sign_in=(person, password))

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a URL through the proxy. Raises RefusedConnectError when there is no tunnel."""
        return self.request("GET", url, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        *,
        keep_body: bool = True,
    ) -> Answer:
        """Send one http_request on a connection of its own.

        A `body` of chunks wants its Content-Length in `headers`.
        """
        target = urlsplit(url)
        assert target.hostname is not None
        if target.scheme == "http":
            with self.dial() as plain:
                fields = {**self.credentials, **(headers or {})}
                return exchange(plain, method, url, target.netloc, body, fields, keep_body=keep_body)
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        with self.tunnel(target.hostname, target.port or 443) as secured:
            return exchange(secured, method, path, target.netloc, body, headers, keep_body=keep_body)

    def dial(self) -> socket.socket:
        """Connect to the proxy."""
        source = (self.address, 0)
        return socket.create_connection(("127.0.0.1", self.port), _TIMEOUT_SECONDS, source_address=source)

    def connect(self, host: str, port: int = 443) -> socket.socket:
        """CONNECT; return the connection behind the proxy's 200."""
        connection = self.dial()
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            answer = exchange(connection, "CONNECT", target, target, fields=self.credentials)
            if answer.status != 200:
                raise RefusedConnectError(answer)
        except BaseException:
            connection.close()
            raise
        return connection

    def tunnel(
        self,
        host: str,
        port: int = 443,
        sni: str | None = None,
        *,
        hello_in: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> ssl.SSLSocket:
        """CONNECT, then TLS for `sni` (the host itself unless given) with whoever answers.

        `hello_in` makes the segments in which the ClientHello is sent.
        """
        connection = self.connect(host, port)
        if hello_in is not None:
            connection = _first_bytes_in_parts(connection, hello_in)
        try:
            return self.tls.wrap_socket(connection, server_hostname=sni or host)
        except BaseException:
            connection.close()
            raise

    @property
    def tls(self) -> ssl.SSLContext:
        return _tls(self.trusts)

    @property
    def credentials(self) -> dict[str, str]:
        if self.sign_in is None:
            return {}
        return {"Proxy-Authorization": basic(*self.sign_in)}

    def say(self, *parts: bytes, pause_seconds: float = 0.0) -> bytes:
        """Send bytes to the proxy, each part in a segment of its own; return all that came back."""
        with self.dial() as connection:
            send_in_parts(connection, parts, pause_seconds)
            return read_to_end(connection)


@functools.cache
def _tls(trusts: tuple[Path, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for path in trusts:
        context.load_verify_locations(path)
    return context


def basic(person: str, password: str) -> str:
    """Return the value of a Basic authorization field (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{person}:{password}".encode()).decode()


def exchange(
    connection: socket.socket,
    method: str,
    target: str,
    host: str,
    body: bytes | Iterable[bytes] = b"",
    fields: Mapping[str, str] | None = None,
    *,
    keep_body: bool = True,
) -> Answer:
    """Send one http_request on an open connection and read its answer whole."""
    length = {"Content-Length": str(len(body))} if isinstance(body, bytes) and body else {}
    headers = {"Host": host, **length, **(fields or {})}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    for chunk in (body,) if isinstance(body, bytes) else body:
        connection.sendall(chunk)
    return read_answer(connection, method, keep_body=keep_body)


def read_answer(connection: socket.socket, method: str = "GET", *, keep_body: bool = True) -> Answer:
    """Read the next http_response of an open connection."""
    # Asked first: of a connection that was cut meanwhile, the handshake is said not to be done.
    issuer, names = _vouched(connection)
    with HTTPResponse(connection, method=method) as response:
        response.begin()
        body, size = b"", 0
        # What follows the 200 of a CONNECT is the tunnel's.
        while (method, response.status) != ("CONNECT", 200) and (chunk := response.read(1 << 20)):
            size += len(chunk)
            body += chunk if keep_body else b""
        return Answer(response.status, response.msg, body, size, issuer, names)


def _vouched(connection: socket.socket) -> tuple[str | None, tuple[str, ...]]:
    if not isinstance(connection, ssl.SSLSocket):
        return None, ()
    certificate = connection.getpeercert() or {}
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    names = tuple(value for _, value in certificate.get("subjectAltName", ()))
    return issuer.get("commonName") or issuer.get("organizationName"), names


def _first_bytes_in_parts(
    connection: socket.socket, split: Callable[[bytes], Iterable[bytes]]
) -> socket.socket:
    """Return another end of the connection, whose first bytes go out in parts."""
    ours, theirs = socket.socketpair()
    ours.settimeout(_TIMEOUT_SECONDS)

    def send() -> None:
        send_in_parts(connection, split(theirs.recv(1 << 16)), pause_seconds=0.001)
        _copy(theirs, connection)

    for pump in (send, functools.partial(_copy, connection, theirs)):
        threading.Thread(target=pump, daemon=True).start()
    return ours


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for chunk in _chunks(source):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


def send_in_parts(connection: socket.socket, parts: Iterable[bytes], pause_seconds: float = 0.0) -> None:
    """Send each part in a segment of its own. What the other end no longer wants is not an error."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_seconds)


def read_to_end(connection: socket.socket) -> bytes:
    """Return what comes until the connection ends, also when it is reset."""
    return b"".join(_chunks(connection))


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(1 << 16):
            yield chunk
