"""An origin server on loopback for any names that keeps every byte it is told, inside TLS or not.

Each request is answered 200 with "seen", or by the path with what `answers` gives.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import trustme

_SEEN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nseen"
_CHUNK_BYTES = 1 << 16
EARLY = "/early"
"""What the paths begin with that are answered before a request's body has come."""


class RecordingOrigin:
    """The running server. `told` is all that clients said once TLS was there, `sent_bytes` what was answered.

    `ca_certificate` is the authority of its certificate.
    """

    def __init__(
        self, folder: Path, names: Iterable[str], answers: Mapping[str, bytes] | None = None
    ) -> None:
        self.told = bytearray()
        self.sent_bytes = 0
        self._names = tuple(names)
        self._answers = answers or {}
        authority = trustme.CA(organization_name="Recording origin", key_type=trustme.KeyType.ECDSA)
        self.ca_certificate = folder / "recording-origin-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_certificate))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*self._names, key_type=trustme.KeyType.ECDSA).configure_cert(self._tls)
        self._ports = {443: self._serve(self._tls), 80: self._serve(None)}

    def hosts_lines(self) -> str:
        """Return their lines for the proxy's resolver table."""
        listening = [(port, s.getsockname()[1]) for port, s in self._ports.items()]
        return "".join(f"{n}:{port} 127.0.0.1:{ours}\n" for n in self._names for port, ours in listening)

    def close(self) -> None:
        """End the server."""
        for listening in self._ports.values():
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _serve(self, tls: ssl.SSLContext | None) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", 0))

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=handle, args=[connection], daemon=True).start()

        def handle(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                secured = tls.wrap_socket(connection, server_side=True) if tls else connection
                with secured:
                    self._answer(secured)

        threading.Thread(target=accept, daemon=True).start()
        return listening

    def _answer(self, connection: socket.socket) -> None:
        heard = b""
        while chunk := connection.recv(_CHUNK_BYTES):
            self.told += chunk
            heard += chunk
            while b"\r\n\r\n" in heard:
                head, _, rest = heard.partition(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
                length = int(fields.get(b"content-length", b"0"))
                path = head.split()[1].decode().partition("?")[0]
                if len(rest) < length and not path.startswith(EARLY):
                    break
                heard = rest[length:]
                self._say(connection, self._answers.get(path, _SEEN))

    def _say(self, connection: socket.socket, answer: bytes) -> None:
        for begin in range(0, len(answer), _CHUNK_BYTES):
            part = answer[begin : begin + _CHUNK_BYTES]
            connection.sendall(part)
            self.sent_bytes += len(part)
