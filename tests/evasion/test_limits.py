"""What has no end is cut: heads, URLs, ClientHellos, connections, answers; and memory stays flat."""

import contextlib
import functools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from admin.demo_web import DemoWeb
from policy.decision import Cause
from tests.client_hellos import client_hello
from tests.evasion.hasty_worker import CONNECTIONS
from tests.proxied_town import PATIENCE_SECONDS, TOWN, ProxiedTown, eventually, served_web
from tests.proxy_client import exchange, read_to_end, send_in_parts
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker

MEMORY_BYTES = 20 << 20
FLOOD_BYTES = 64 << 20
HOST = b"Host: library.example\r\nConnection: close\r\n\r\n"
LINE = b"GET http://library.example/ HTTP/1.1\r\n"
_FIELD = b"X-Note: " + b"x" * 1000 + b"\r\n"

ENDLESS = {
    "a head": (b"HTTP/1.1 200 OK\r\n", _FIELD),
    "a line of a head": (b"HTTP/1.1 200 OK\r\nX-Note: ", b"x" * 1000),
    "a first line": (b"HTTP/1.1 200 ", b"x" * 1000),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n" + _FIELD + b"\r\n"),
}
ENDLESS_BODIES = {
    "chunks": (b"", b"2000\r\n" + b"x" * 0x2000 + b"\r\n"),
    "a chunk's extension": (b"5", b";" + b"x" * 1000),
    "trailers": (b"0\r\n", _FIELD),
}


def pour(connection: socket.socket, first: bytes, again: bytes) -> None:
    """Answer a request with what has no end, as far as this is read."""
    connection.recv(1 << 16)
    connection.sendall(first)
    more = again * (1 + (1 << 16) // len(again))
    for _ in range(FLOOD_BYTES // len(more)):
        connection.sendall(more)


class EndlessOrigin:
    """Servers each of which answers with something that has no end, by name."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self._listening: list[socket.socket] = []
        for name, (first, again) in ENDLESS.items():
            self._serve(name, functools.partial(pour, first=first, again=again))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for name, (first, again) in ENDLESS_BODIES.items():
            self._serve(name, functools.partial(pour, first=head + first, again=again))

    def host_of(self, name: str) -> str:
        return f"endless-{list(self.ports).index(name)}.example"

    def hosts_lines(self) -> str:
        return "".join(f"{self.host_of(name)}:80 127.0.0.1:{port}\n" for name, port in self.ports.items())

    def close(self) -> None:
        for listening in self._listening:
            listening.close()

    def _serve(self, name: str, answer: Callable[[socket.socket], None]) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self._listening.append(listening)
        self.ports[name] = listening.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with contextlib.suppress(OSError), connection:
                        answer(connection)

        threading.Thread(target=accept, daemon=True).start()


@pytest.fixture(scope="module")
def endless() -> Iterator[EndlessOrigin]:
    origin = EndlessOrigin()
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWeb]:
    with served_web(tmp_path_factory.mktemp("demo-web")) as web:
        yield web


@pytest.fixture(scope="module")
def hasty_town(
    web: DemoWeb, endless: EndlessOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("town")
    hosts: Path = web.hosts_file(folder / "hosts")
    hosts.write_text(hosts.read_text() + endless.hosts_lines())
    published = PublishedTown(folder / "state", document=TOWN)
    with running_worker(
        published.state.root,
        hosts,
        program=("-m", "tests.evasion.hasty_worker"),
        PROMETHEUS_MULTIPROC_DIR=str(published.state.metrics),
    ) as proxy:
        yield ProxiedTown(web, published, proxy)
    assert "Traceback" not in proxy.logged()


@pytest.fixture
def town(hasty_town: ProxiedTown) -> ProxiedTown:
    """Return a town whose worker waits half a second for what must come."""
    hasty_town.begin()
    return hasty_town


@pytest.mark.parametrize(
    "said",
    [
        b"G",
        b"GET http://library.example/ HTTP/1.1\r\n",
        b"GET http://library.example/ HTTP/1.1\r\nX-Note: a\r\n",
    ],
    ids=["a byte", "a line", "two lines"],
)
def test_request_head_that_does_not_end_is_answered_408(said: bytes, town: ProxiedTown) -> None:
    answer = town.client.say(said)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert (town.visit().cause, town.visit().refusal) == (
        Cause.MALFORMED,
        "a request head that was not finished in time",
    )


def test_head_that_drips_is_cut_all_the_same(town: ProxiedTown) -> None:
    with town.client.dial() as connection:
        connection.sendall(b"GET http://library.example/ HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"X-Note: a\r\n")
                time.sleep(0.05)
        assert read_to_end(connection).startswith(b"HTTP/1.1 408 ")
    town.visit()


def test_kept_connection_may_be_idle_and_is_then_read_again(town: ProxiedTown) -> None:
    with town.client.dial() as connection:
        assert exchange(connection, "GET", "http://library.example/", "library.example").status == 200
        time.sleep(0.8)
        assert exchange(connection, "GET", "http://library.example/", "library.example").status == 200


@pytest.mark.parametrize("host", ["library.example", "cardroom.example"])
@pytest.mark.parametrize(
    "said", [b"", client_hello("library.example")[:100]], ids=["nothing", "half a hello"]
)
def test_connect_without_a_whole_hello_is_closed_and_recorded_once(
    said: bytes, host: str, town: ProxiedTown
) -> None:
    with town.client.connect(host) as connection:
        connection.sendall(said)
        assert read_to_end(connection) == b""

    assert town.visit().refusal == "no ClientHello in time"


def tunnel_in_time(town: ProxiedTown) -> ssl.SSLSocket:
    """Return a tunnel; on a busy machine a ClientHello may come too late itself, and another is tried."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return town.client.tunnel("library.example")
        except OSError:
            assert time.monotonic() < until


def test_tunnel_is_not_ended_by_the_deadline_of_its_hello(town: ProxiedTown) -> None:
    with tunnel_in_time(town) as secured:
        time.sleep(0.8)
        assert exchange(secured, "GET", "/", "library.example").status == 200


@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "without end"])
def test_url_over_16_kb_is_answered_414(is_finished: bool, town: ProxiedTown) -> None:
    line = b"GET http://library.example/" + b"x" * (17 << 10)

    answer = town.client.say(line + (b" HTTP/1.1\r\n" + HOST if is_finished else b""))

    assert answer.startswith(b"HTTP/1.1 414 ")
    assert town.visit().refusal == "a URL of over 16 KiB"


def test_url_of_16_kb_is_read(town: ProxiedTown) -> None:
    url = b"http://library.example/"
    answer = town.client.say(b"GET " + url + b"x" * ((16 << 10) - len(url)) + b" HTTP/1.1\r\n" + HOST)

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", ENDLESS)
def test_answer_whose_head_has_no_end_becomes_a_502_and_memory_stays_flat(
    name: str, endless: EndlessOrigin, town: ProxiedTown
) -> None:
    town.client.get("http://library.example/")
    before = town.proxy.peak_memory_bytes()

    answer = town.client.get(f"http://{endless.host_of(name)}/")

    assert answer.status == 502
    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES


@pytest.mark.parametrize("name", ENDLESS_BODIES)
def test_body_that_has_no_end_leaves_memory_flat(
    name: str, endless: EndlessOrigin, town: ProxiedTown
) -> None:
    town.client.get("http://library.example/")
    before = town.proxy.peak_memory_bytes()
    host = endless.host_of(name)

    answer = town.client.say(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES
    assert (len(answer) > FLOOD_BYTES // 2) is (name == "chunks")


def test_request_whose_chunks_have_no_end_leaves_memory_flat(town: ProxiedTown) -> None:
    town.client.get("http://library.example/")
    before = town.proxy.peak_memory_bytes()
    with town.client.dial() as connection:
        connection.sendall(
            b"POST http://library.example/upload HTTP/1.1\r\nHost: library.example\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5;"
        )
        send_in_parts(connection, [b"x" * (1 << 20)] * (FLOOD_BYTES >> 20))

    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES


def test_connection_over_the_limit_of_its_address_is_answered_429_and_counted(town: ProxiedTown) -> None:
    refused = town.metric("egress_connections_refused_total")
    other = town.client.at("127.0.0.2")
    with contextlib.ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(town.client.dial())
        plain = b"GET http://library.example/ HTTP/1.1\r\n" + HOST
        connect = b"CONNECT library.example:443 HTTP/1.1\r\nHost: library.example:443\r\n\r\n"

        def is_refused() -> bool:
            return town.client.say(plain).startswith(b"HTTP/1.1 429 ")

        eventually(is_refused)
        answer = town.client.say(connect)

        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"over 20 connections open" in answer
        assert b"retry-after: 10" in answer.lower()
        assert other.say(plain).startswith(b"HTTP/1.1 200 ")
        assert town.metric("egress_connections_refused_total") >= refused + 2
    eventually(lambda: town.client.say(plain).startswith(b"HTTP/1.1 200 "))


def test_connection_over_twice_the_limit_is_closed(town: ProxiedTown) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(2 * CONNECTIONS):
            held.enter_context(town.client.dial())
        eventually(lambda: town.client.say() == b"")
    eventually(lambda: town.client.say(b"GET http://library.example/ HTTP/1.1\r\n" + HOST)[9:12] == b"200")
