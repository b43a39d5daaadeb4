"""A list server on loopback, for what only a real one does: redirect, dawdle, break off."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

type Answer = Callable[[BaseHTTPRequestHandler], None]


class ListServer(ThreadingHTTPServer):
    """Answers each path as `answers` says and notes of each message what it asked of whom.

    `conditions` are its If-None-Match and If-Modified-Since.
    """

    daemon_threads = True

    def __init__(self, answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.hosts: list[str] = []
        self.conditions: list[tuple[str | None, str | None]] = []
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self._scheme = "https" if tls else "http"

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the address of a path, by a name or address of loopback."""
        return f"{self._scheme}://{host}:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that clients leave early is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: ListServer

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        self.server.conditions.append((self.headers["If-None-Match"], self.headers["If-Modified-Since"]))
        self.server.answers[self.path](self)

    def log_message(self, *_: object) -> None:
        pass


def answer(data: bytes = b"", status: int = 200, **headers: str) -> Answer:
    """Answer with this body; `Content_Length` may lie."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(data))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return send


def edition(data: bytes, etag: str = "", last_modified: str = "") -> Answer:
    """Answer with this body, but 304 to who has it already."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        has = handler.headers["If-None-Match"], handler.headers["If-Modified-Since"]
        if has in ((etag or None, last_modified or None), (etag or None, None)) and any(has):
            answer(status=304)(handler)
            return
        headers = {"ETag": etag, "Last_Modified": last_modified}
        answer(data, **{name: value for name, value in headers.items() if value})(handler)

    return send


@contextmanager
def serving(answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> Iterator[ListServer]:
    """Serve these paths until the end of the block."""
    with ListServer(answers, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
