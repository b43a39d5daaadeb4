"""Changes of mitmproxy, beside those that test_bodies and test_bad_input hold (bodies, pages, heads)."""

import asyncio
import socket
from importlib import metadata

import pytest
from mitmproxy import http, options
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy.commands import CloseConnection
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.events import ConnectionClosed, DataReceived, Event
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import SimpleConnectionHandler
from mitmproxy.test import tflow
from OpenSSL import SSL

from proxy_addons import mitmproxy_changes
from proxy_addons.mitmproxy_changes.replacing import original
from tests.odd_origin import OddOrigin
from tests.proxied_town import ProxiedTown
from tests.proxy_client import ProxyClient, exchange, read_answer


def test_making_a_message_does_not_check_the_types_of_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr("mitmproxy.utils.typecheck.check_option_type", lambda name, *_: checked.append(name))
    mitmproxy_changes.apply(lambda *_: None)

    http.Response.make(200)

    assert checked == []


def test_mitmproxy_is_the_version_whose_methods_are_replaced() -> None:
    assert metadata.version("mitmproxy") == "12.2.3"


def test_answer_with_trailers_comes_whole_and_without_them(town: ProxiedTown) -> None:
    with town.client.dial() as connection:
        answer = exchange(connection, "GET", "http://odd.example/trailers", "odd.example")
        again = exchange(connection, "GET", "http://odd.example/", "odd.example")

    assert (answer.status, answer.body) == (200, b"ok")
    assert "X-Sum" not in answer.headers
    assert again.status == 200
    assert "Traceback" not in town.proxy.logged()


def test_request_with_trailers_goes_on_without_them(town: ProxiedTown, odd_origin: OddOrigin) -> None:
    with town.client.dial() as connection:
        connection.sendall(
            b"POST http://odd.example/ HTTP/1.1\r\nHost: odd.example\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        answer = read_answer(connection)

    assert answer.status == 200
    assert b"Transfer-Encoding: chunked" in odd_origin.heads[-1]
    assert town.visit().bytes_up > 5


@pytest.mark.parametrize("path", ["/not-http", "/two-lengths"])
def test_answer_that_cannot_be_read_becomes_a_502_of_our_own(path: str, town: ProxiedTown) -> None:
    answer = town.client.get(f"http://odd.example{path}")

    assert answer.status == 502
    assert answer.text == "The site could not be reached, or its answer could not be read.\n"
    assert "Server" not in answer.headers


def test_answer_without_a_length_ends_with_its_connection(town: ProxiedTown) -> None:
    answer = ProxyClient(town.proxy.port).get("http://odd.example/no-length")

    assert (answer.status, answer.body) == (200, b"until the end")


class RememberingLayer(Layer):
    """Keeps the events it is told of."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.seen: list[Event] = []

    def _handle_event(self, event: Event) -> CommandGenerator[None]:
        self.seen.append(event)
        yield from ()


async def test_connection_cancelled_while_it_waits_for_its_turn_is_closed() -> None:
    mitmproxy_changes.apply(lambda *_: None)
    theirs, ours = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    mode = ProxyMode.parse("regular")
    handler = SimpleConnectionHandler(reader, writer, options.Options(), mode, {})
    told = handler.layer = RememberingLayer(handler.layer.context)
    async with handler._server_event_lock:
        reading = asyncio.create_task(handler.handle_connection(handler.client))
        theirs.sendall(b"x")
        await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert [type(event) for event in told.seen] == [ConnectionClosed]
    assert handler.client.state is ConnectionState.CLOSED
    theirs.settimeout(1)
    assert await asyncio.to_thread(theirs.recv, 1) == b""
    theirs.close()


class HangingUpLayer(Layer):
    """A layer that closes the client's connection whatever it says."""

    def _handle_event(self, event: Event) -> CommandGenerator[None]:
        if isinstance(event, DataReceived):
            yield CloseConnection(self.context.client)


async def test_connection_that_ends_within_the_first_step_of_its_task_is_closed() -> None:
    mitmproxy_changes.apply(lambda *_: None)
    theirs, ours = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    reader.feed_data(b"x")
    handler = SimpleConnectionHandler(reader, writer, options.Options(), ProxyMode.parse("regular"), {})
    handler.layer = HangingUpLayer(handler.layer.context)
    loop = asyncio.get_running_loop()

    handling = asyncio.Task(handler.handle_connection(handler.client), loop=loop, eager_start=True)
    await asyncio.wait([handling], timeout=2)

    assert handling.cancelled()
    theirs.settimeout(1)
    assert await asyncio.to_thread(theirs.recv, 1) == b""
    theirs.close()


def test_closed_connections_to_origin_servers_are_forgotten_at_the_next_request() -> None:
    mitmproxy_changes.apply(lambda *_: None)
    made = Context(tflow.tclient_conn(), options.Options())
    http_layer = HttpLayer(made, HTTPMode.regular)
    open_one, closed = (Server(address=(host, 80)) for host in ("a.example", "b.example"))
    open_one.state = ConnectionState.OPEN
    http_layer.connections = dict.fromkeys((made.client, open_one, closed), http_layer)
    made.client.state = ConnectionState.CLOSED

    list(http_layer.make_stream(1))

    assert set(http_layer.connections) == {made.client, open_one}
    # While a request is going on, nothing is forgotten.
    open_one.state = ConnectionState.CLOSED
    list(http_layer.make_stream(3))
    assert set(http_layer.connections) == {made.client, open_one}


def test_forked_context_is_as_mitmproxys_own() -> None:
    mitmproxy_changes.apply(lambda *_: None)
    context = Context(tflow.tclient_conn(), options.Options())
    context.layers.append(RememberingLayer(context))

    forked, own = context.fork(), original(Context.fork)(context)

    assert vars(forked) == vars(own)
    assert forked.layers is not context.layers


def test_client_hello_is_parsed_once_and_as_mitmproxy_does() -> None:
    mitmproxy_changes.apply(lambda *_: None)
    beginning = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    beginning.set_connect_state()
    beginning.set_tlsext_host_name(b"library.example")
    with pytest.raises(SSL.WantReadError):
        beginning.do_handshake()
    hello = beginning.bio_read(1 << 16)

    parsed = tls.parse_client_hello(bytearray(hello))

    assert parsed is not None
    assert parsed is tls.parse_client_hello(hello)
    assert repr(parsed) == repr(original(tls.parse_client_hello)(hello))
    assert tls.parse_client_hello(hello[:-1]) is None
    with pytest.raises(ValueError, match="Invalid ClientHello"):
        tls.parse_client_hello(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03")
