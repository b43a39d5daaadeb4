"""The demo town's own little web, on loopback: what it opens, or is kept from, without internet.

Origin servers over HTTP and HTTPS for a few made-up sites, each with a certificate of the demo
web's own authority; a resolver table tells the proxy where they are. Tests serve other names by it.
"""

import asyncio
import html
import itertools
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import h11
import trustme

SITES = {
    "library.example": "The town library: opening hours, new books, and a room to read in.",
    "news.example": "The news of Exampleton: the bridge is open again, and it will rain on Friday.",
    "shop.example": "Boots, kettles and garden chairs, delivered by Tuesday.",
    "cardroom.example": "Poker, blackjack and roulette, all night long.",
    "phish.example": "Your mailbox is full. Enter your password to keep it.",
}

_HTTP, _HTTPS = "demo web, http", "demo web, https"
_CHUNK_BYTES = 64 * 1024
_SETTLE_SECONDS, _SETTLED_SECONDS = 2.0, 0.01
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{host}</title>
<link rel="icon" href="data:,">
<style>:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.5 sans-serif; margin: 3rem auto; max-width: 36rem; padding: 0 1rem }}</style></head>
<body><main><h1>{host}</h1><p>{about}</p><p>You are on {host}, over {scheme}.</p></main></body>
</html>
"""


class DemoWeb:
    """The running origin servers, and what has reached them.

    `hits` counts requests by the host they name; `connections` counts TCP connections, so that
    one which was opened and asked nothing is seen too. `ca_certificate` is what a client trusts.
    """

    def __init__(self, ca_folder: Path, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.hits: Counter[str] = Counter()
        self.connections = 0
        self.http_port = 0
        self.https_port = 0
        self.ca_certificate = ca_folder / "demo-web-ca.pem"
        self._authority = _authority(self.ca_certificate, ca_folder / "demo-web-ca.key")
        self._tls: dict[str, ssl.SSLContext] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unanswered: set[_Exchange] = set()

    def hosts_file(self, path: Path) -> Path:
        """Write the proxy's resolver table: a line `NAME:PORT ADDRESS:PORT` a site and port."""
        ports = {443: self.https_port, 80: self.http_port}
        lines = [f"{name}:{port} 127.0.0.1:{ours}\n" for name in self.names for port, ours in ports.items()]
        path.write_text("".join(lines))
        return path

    async def start(self, sockets: Mapping[str, socket.socket]) -> tuple[asyncio.Server, asyncio.Server]:
        """Serve on these sockets of `listening`, which end with it."""
        first = self._tls_for(self.names[0])
        first.sni_callback = self._choose_certificate
        loop = asyncio.get_running_loop()
        http = await loop.create_server(self._accept, sock=sockets[_HTTP])
        https = await loop.create_server(self._accept, sock=sockets[_HTTPS], ssl=first)
        self.http_port = http.sockets[0].getsockname()[1]
        self.https_port = https.sockets[0].getsockname()[1]
        return http, https

    async def settle(self) -> None:
        """Return when all that was accepted has been answered, but after two seconds at the latest.

        What ends this process then, with nothing awaited before, cuts off nobody.
        """
        accepted = -1
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                # A connection is told of a few turns of the event loop after it was accepted.
                while self._unanswered or accepted != self.connections:
                    accepted = self.connections
                    await asyncio.sleep(_SETTLED_SECONDS)

    async def hang_up(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tls_for(self, name: str) -> ssl.SSLContext:
        if name not in self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            self._authority.issue_cert(name).configure_cert(context)
            self._tls[name] = context
        return self._tls[name]

    def _choose_certificate(
        self, connection: ssl.SSLObject, sni: str | None, _default: ssl.SSLContext
    ) -> int | None:
        if sni is None:
            return None
        if sni not in self.names:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = self._tls_for(sni)
        return None

    def _accept(self) -> asyncio.StreamReaderProtocol:
        # Called before any TLS handshake: a connection that never gets that far is counted too.
        self.connections += 1
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        exchange = _Exchange(reader, writer)
        self._unanswered.add(exchange)
        try:
            while (http_request := await exchange.next_request()) is not None:
                self._unanswered.add(exchange)
                self.hits[_host(http_request)] += 1
                await self._answer(exchange, http_request)
                self._unanswered.discard(exchange)
        except (h11.RemoteProtocolError, OSError):
            pass  # The client left in the middle, or spoke no HTTP: nothing is owed to it.
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            self._unanswered.discard(exchange)
            writer.close()

    async def _answer(self, exchange: "_Exchange", http_request: h11.Request) -> None:
        target = urlsplit(http_request.target.decode("latin-1"))
        if target.path == "/big":
            wanted = parse_qs(target.query).get("bytes", [""])[0]
            if not wanted.isdecimal():
                await exchange.answer(400, "text/plain", b"/big?bytes=N sends N zero bytes\n")
                return
            await exchange.answer_with_zeros(int(wanted))
        elif target.path == "/upload":
            await exchange.answer(200, "text/plain", b"%d bytes arrived\n" % exchange.uploaded_bytes)
        else:
            host = _host(http_request)
            page = _PAGE.format(
                host=html.escape(host),
                about=SITES.get(host, "A site of the demo town's own web."),
                scheme="HTTPS" if exchange.is_tls else "HTTP",
            )
            await exchange.answer(200, "text/html; charset=utf-8", page.encode())


class _Exchange:
    """One connection's HTTP/1.1, over asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_tls = writer.get_extra_info("ssl_object") is not None
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)
        self._is_head = False
        self.uploaded_bytes = 0

    async def next_request(self) -> h11.Request | None:
        """Read a whole request, counting the bytes of its body; None when there is no further one."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        http_request: h11.Request | None = None
        while True:
            match self._http.next_event():
                case h11.Request() as begun:
                    http_request = begun
                    self._is_head = begun.method == b"HEAD"
                    self.uploaded_bytes = 0
                case h11.Data() as data:
                    self.uploaded_bytes += len(data.data)
                case h11.EndOfMessage():
                    return http_request
                case h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    self._http.receive_data(await self._reader.read(_CHUNK_BYTES))
                case _:
                    return None

    async def answer(self, status: int, media_type: str, body: bytes) -> None:
        await self._answer(status, media_type, len(body), [body])

    async def answer_with_zeros(self, count: int) -> None:
        whole, rest = divmod(count, _CHUNK_BYTES)
        chunks = itertools.chain(itertools.repeat(bytes(_CHUNK_BYTES), whole), [bytes(rest)])
        await self._answer(200, "application/octet-stream", count, chunks)

    async def _answer(self, status: int, media_type: str, size_bytes: int, body: Iterable[bytes]) -> None:
        headers = [("Content-Type", media_type), ("Content-Length", str(size_bytes))]
        await self._send(h11.Response(status_code=status, headers=headers))
        if not self._is_head:
            for chunk in body:
                await self._send(h11.Data(chunk))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()
            # Python 3.13.0 does not tell a TLS writer that its connection is lost while nothing else is
            # done, and drain() alone lets nothing else be done.
            await asyncio.sleep(0)


def listening(handed_over: Mapping[str, int]) -> dict[str, socket.socket]:
    """Return sockets to serve on, by name: of descriptors that were handed over, else on free ports."""
    return {
        name: socket.socket(fileno=handed_over[name])
        if name in handed_over
        else socket.create_server(("127.0.0.1", 0))
        for name in (_HTTP, _HTTPS)
    }


@asynccontextmanager
async def demo_web(
    ca_folder: Path, names: Iterable[str] = SITES, sockets: Mapping[str, socket.socket] | None = None
) -> AsyncIterator[DemoWeb]:
    """Serve these host names on loopback, on two free ports or the sockets given, until the block is left.

    The authority is made in `ca_folder` at first start and kept: a browser that trusts it goes on
    to. Raises OSError when that folder cannot be written to.
    """
    web = DemoWeb(ca_folder, names)
    servers = await web.start(sockets or listening({}))
    try:
        yield web
    finally:
        for server in servers:
            server.close()
        await web.hang_up()


def _authority(certificate: Path, key: Path) -> trustme.CA:
    if certificate.is_file() and key.is_file():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="Towngate demo web", organization_unit_name="Not for real sites")
    certificate.parent.mkdir(parents=True, exist_ok=True)
    key.touch(0o600)
    authority.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(certificate)
    return authority


def _host(http_request: h11.Request) -> str:
    fields = dict(http_request.headers)
    return fields.get(b"host", b"").decode("latin-1").partition(":")[0].lower()
