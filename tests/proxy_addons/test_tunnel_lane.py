"""The tunnel lane: allowed tunnels go by without mitmproxy, and whatever is not one is handed over whole."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from admin.demo_web import DemoWeb
from categories.taxonomy import taxonomy
from policy.decision import Cause, Lane, Verdict
from proxy_addons.connection_limit import ConnectionLimit
from proxy_addons.gate import Connect, Gate
from proxy_addons.tls_alert import REFUSED
from proxy_addons.tunnel_lane import TunnelLane
from tests.client_hellos import client_hello, in_two_records, post_quantum
from tests.people import CLERK
from tests.proxied_town import ORIGIN_ISSUER, TOWN, TOWN_ISSUER, ProxiedTown, eventually
from tests.proxy_client import exchange, read_to_end, send_in_parts
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker

HELLO = client_hello("raw.example")
POST_QUANTUM = post_quantum(HELLO)
CONNECT = b"CONNECT raw.example:443 HTTP/1.1\r\nHost: raw.example:443\r\n\r\n"


def tunnelled(town: ProxiedTown) -> float:
    return town.metric("egress_lane_connections_total", result="tunnelled")


def handed_over(town: ProxiedTown) -> float:
    return town.metric("egress_lane_connections_total", result="handed_over")


def test_allowed_tunnel_stays_in_the_lane_and_a_page_does_not(town: ProxiedTown) -> None:
    before = tunnelled(town), handed_over(town)
    assert town.client.get("https://library.example/").issuer == ORIGIN_ISSUER
    eventually(lambda: (tunnelled(town), handed_over(town)) == (before[0] + 1, before[1]))
    assert town.client.get("https://cardroom.example/").issuer == TOWN_ISSUER
    assert town.client.get("http://library.example/").status == 200
    eventually(lambda: (tunnelled(town), handed_over(town)) == (before[0] + 1, before[1] + 2))


@pytest.mark.parametrize(
    "parts",
    [
        (CONNECT + HELLO,),
        (CONNECT[:9], CONNECT[9:], HELLO),
        (*(CONNECT[i : i + 1] for i in range(len(CONNECT))), HELLO),
        (CONNECT, in_two_records(HELLO)),
        (CONNECT + HELLO[:1], HELLO[1:4], HELLO[4:]),
        # More than a segment of Ethernet holds.
        (CONNECT, POST_QUANTUM[:1460], POST_QUANTUM[1460:]),
    ],
)
def test_head_and_hello_may_come_in_any_pieces(parts: tuple[bytes, ...], town: ProxiedTown) -> None:
    before = tunnelled(town)
    with town.client.dial() as connection:
        send_in_parts(connection, parts, pause_seconds=0.002)
        # Who leaves before there is a tunnel wants none.
        eventually(lambda: tunnelled(town) == before + 1)
        connection.shutdown(socket.SHUT_WR)
        answer = read_to_end(connection)
    head, _, said = answer.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 Connection established"
    # Who has said their last word still hears the other: raw.example says how much it was.
    sent = len(b"".join(parts)) - len(CONNECT)
    assert said == b"%d bytes" % sent
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.bytes_up) == (Verdict.ALLOW, Lane.TUNNEL, sent)
    assert visit.bytes_down == len(said)


def test_first_connection_with_a_password_is_checked_and_the_next_is_in_the_lane(town: ProxiedTown) -> None:
    document = TOWN.replace("unknown: {action: block}", "unknown: {action: sign_in}")
    town.publish_policy(document, proxy_passwords={CLERK: PasswordHasher(1, 8, 1).hash("right")})
    client = town.client.at("127.0.0.9").signed_in(CLERK, "right")
    before = tunnelled(town)
    assert client.get("https://library.example/").issuer == ORIGIN_ISSUER
    assert tunnelled(town) == before
    assert client.get("https://library.example/").issuer == ORIGIN_ISSUER
    eventually(lambda: tunnelled(town) == before + 1)
    assert [visit.person for visit in town.visits(2)] == [CLERK, CLERK]


def test_client_that_leaves_while_the_origin_server_is_dialled_is_recorded(town: ProxiedTown) -> None:
    with town.client.connect("silent.example") as connection:
        connection.sendall(client_hello("silent.example"))
        time.sleep(0.2)
    visit = town.visit()
    assert (visit.verdict, visit.refusal) == (Verdict.ALLOW, "the client left before anything was shown")


def test_client_is_not_read_without_end_while_the_origin_server_is_dialled(town: ProxiedTown) -> None:
    before = town.proxy.peak_memory_bytes()
    with town.client.connect("silent.example") as connection:
        connection.sendall(client_hello("silent.example"))
        time.sleep(0.2)
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(64 << 20))
    assert town.proxy.peak_memory_bytes() - before < 4 << 20


def test_what_follows_a_hello_at_once_is_carried_by_mitmproxy(town: ProxiedTown) -> None:
    before = handed_over(town)
    with town.client.connect("raw.example") as connection:
        connection.sendall(HELLO + b"early data")
        eventually(lambda: handed_over(town) == before + 1)
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b"%d bytes" % (len(HELLO) + len(b"early data"))


def test_origin_server_is_not_read_faster_than_the_client_reads(town: ProxiedTown) -> None:
    size = 256 << 20
    town.client.get("https://library.example/big?bytes=4000000")
    town.begin()
    before = town.proxy.peak_memory_bytes()
    with town.client.tunnel("library.example") as slow:
        slow.sendall(b"GET /big?bytes=%d HTTP/1.1\r\nHost: library.example\r\n\r\n" % size)
        assert slow.recv(1000)
        time.sleep(1.0)
    assert town.visit().bytes_down < 32 << 20
    assert town.proxy.peak_memory_bytes() - before < 8 << 20


def test_site_that_must_not_be_opened_gets_no_page_when_it_is_out_of_reach(town: ProxiedTown) -> None:
    town.publish_policy(TOWN + "never_inspect: {sites: [dead.example]}\n")
    with town.client.connect("dead.example") as connection:
        connection.sendall(client_hello("dead.example"))
        assert read_to_end(connection) == REFUSED
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.REFUSE, Cause.UNREACHABLE)
    assert visit.refusal is not None and "refused" in visit.refusal


@pytest.fixture(scope="module")
def laneless_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    published = PublishedTown(tmp_path_factory.mktemp("laneless") / "state", document=TOWN)
    with running_worker(
        published.state.root,
        hosts_file,
        program=("-m", "tests.quick_worker"),
        options=("--no-lane",),
        PROMETHEUS_MULTIPROC_DIR=str(published.state.metrics),
    ) as proxy:
        yield ProxiedTown(web, published, proxy)


def test_without_the_lane_mitmproxy_carries_every_tunnel(laneless_town: ProxiedTown) -> None:
    assert laneless_town.client.get("https://library.example/").issuer == ORIGIN_ISSUER
    assert laneless_town.visit().lane is Lane.TUNNEL
    assert tunnelled(laneless_town) == handed_over(laneless_town) == 0


def test_site_that_must_not_be_opened_gets_no_page_without_the_lane_either(
    laneless_town: ProxiedTown,
) -> None:
    laneless_town.begin()
    laneless_town.publish_policy(TOWN + "never_inspect: {sites: [dead.example]}\n")
    with laneless_town.client.connect("dead.example") as connection:
        connection.sendall(client_hello("dead.example"))
        assert read_to_end(connection) == REFUSED
    assert laneless_town.visit().lane is Lane.REFUSE


@pytest.fixture(scope="module")
def impatient_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    published = PublishedTown(tmp_path_factory.mktemp("impatient") / "state", document=TOWN)
    with running_worker(published.state.root, hosts_file, program=("-m", "tests.impatient_worker")) as proxy:
        yield ProxiedTown(web, published, proxy)


@pytest.mark.parametrize("said", [b"", CONNECT[:20], CONNECT, CONNECT + HELLO[:100]])
def test_client_that_says_no_more_before_its_tunnel_is_let_go(
    said: bytes, impatient_town: ProxiedTown
) -> None:
    with impatient_town.client.dial() as connection:
        connection.sendall(said)
        answer = read_to_end(connection)
    # The beginning of a head is answered by mitmproxy, when its own time is over, too.
    assert answer[:13] in (b"", b"HTTP/1.1 200 ", b"HTTP/1.1 408 ")


def test_client_whose_site_is_out_of_reach_has_its_time_to_read_that(impatient_town: ProxiedTown) -> None:
    impatient_town.begin()
    with impatient_town.client.tunnel("dead.example") as secured:
        # Longer than it has for its ClientHello, which has come.
        time.sleep(1.5)
        assert exchange(secured, "GET", "/", "dead.example").status == 502
    assert impatient_town.visit().cause is Cause.UNREACHABLE


def test_tunnel_in_which_nothing_moves_is_closed_and_one_that_drips_is_not(
    impatient_town: ProxiedTown,
) -> None:
    impatient_town.begin()
    with (
        impatient_town.client.connect("raw.example") as idle,
        impatient_town.client.connect("drip.example") as dripping,
    ):
        idle.sendall(HELLO)
        dripping.sendall(client_hello("drip.example"))
        assert read_to_end(idle) == b""
        assert dripping.recv(1000)
    refusals = {visit.host: visit.refusal for visit in impatient_town.visits(2)}
    assert refusals == {"raw.example": "nothing was said for ten minutes", "drip.example": None}


async def test_connection_whose_hand_over_fails_is_closed() -> None:
    def hand_over(transport: asyncio.Transport, data: bytes, connect: Connect | None) -> None:
        handed.append(data)
        raise RuntimeError("nobody takes it")

    handed: list[bytes] = []
    gate = Gate(taxonomy())
    lane = TunnelLane(gate, ConnectionLimit(gate), hand_over, head_seconds=9, hello_seconds=9)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lane, sock=socket.create_server(("127.0.0.1", 0)))
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(CONNECT)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    assert handed == [CONNECT]
    writer.close()
    server.close()


def test_connection_that_is_kept_is_one_visit_until_it_ends(town: ProxiedTown) -> None:
    with town.client.tunnel("library.example") as secured:
        for _ in range(3):
            assert exchange(secured, "GET", "/", "library.example").status == 200
    assert town.visit().bytes_down > 1500
