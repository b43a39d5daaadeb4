"""The origin servers of the table, on loopback: each in a thread, and each hears what it is sent."""

import contextlib
import socket
import threading

from OpenSSL import SSL

from tests.tls.origin_cases import Served

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_TIMEOUT_SECONDS = 20


class OriginServer:
    """A server. `requests` are the bytes that reached it after a handshake, one entry a connection; of the
    connections so many have `ended` after an answer, on both ends.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self.connections = 0
        self.ended = 0
        self.requests: list[bytes] = []
        self._context = server_context(served)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def show(self, served: Served) -> None:
        """Show another certificate from the next connection on."""
        self.served = served
        self._context = server_context(served)

    def close(self) -> None:
        """Take no further connection."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                self.connections += 1
                with accepted, contextlib.suppress(OSError, SSL.Error):
                    accepted.settimeout(_TIMEOUT_SECONDS)
                    self._serve(accepted)

    def _serve(self, accepted: socket.socket) -> None:
        if self.served.cipher_chosen is not None:
            accepted.recv(1 << 16)
            accepted.sendall(_server_hello(self.served.cipher_chosen))
            while heard := accepted.recv(1 << 16):
                # Records of type 23 hold what is said after a handshake (RFC 8446 section 5.1).
                self.requests += [heard] if heard[0] == 23 else []
            return
        # pyOpenSSL takes a socket with a timeout for one that does not block.
        accepted.settimeout(None)
        secured = SSL.Connection(self._context, accepted)
        secured.set_accept_state()
        secured.do_handshake()
        heard = secured.recv(1 << 16)
        self.requests.append(heard)
        secured.sendall(_ANSWER)
        secured.shutdown()
        accepted.settimeout(_TIMEOUT_SECONDS)
        accepted.shutdown(socket.SHUT_WR)
        # Until the other end has seen it, and has closed its own.
        while accepted.recv(1 << 16):
            pass
        self.ended += 1


def server_context(served: Served) -> SSL.Context:
    """Return the context of a server that shows and speaks as it is told."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    # The proxy has to refuse what is weak: this end never does.
    context.set_cipher_list(served.ciphers + b":@SECLEVEL=0")
    oldest, newest = served.versions
    context.set_min_proto_version(oldest)
    context.set_max_proto_version(newest)
    context.use_privatekey(served.issued.key)
    first, *others = served.sent
    context.use_certificate(first)
    for certificate in others:
        context.add_extra_chain_cert(certificate)
    context.set_ocsp_server_callback(lambda _connection, _data: served.staple)
    return context


def _server_hello(cipher: int) -> bytes:
    """Return a ServerHello of TLS 1.2 (RFC 5246 section 7.4.1.3) that chooses a cipher."""
    body = b"\x03\x03" + bytes(32) + b"\x00" + cipher.to_bytes(2) + b"\x00"
    message = b"\x02" + len(body).to_bytes(3) + body
    return b"\x16\x03\x03" + len(message).to_bytes(2) + message
