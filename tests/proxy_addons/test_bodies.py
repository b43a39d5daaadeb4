"""Bodies of any size go by: the worker holds none of them, and counts every byte."""

from collections.abc import Iterator

import pytest

from policy.decision import Cause, Lane, Verdict
from tests.client_hellos import client_hello
from tests.proxied_town import ProxiedTown
from tests.proxy_client import read_to_end

SIZE_BYTES = 256 << 20
BLOCKED_SIZE_BYTES = 200 << 20
CHUNK_BYTES = 1 << 20
MEMORY_BYTES = 20 << 20
HEADS_BYTES = 1000
TLS_SHARE = 0.02
"""What TLS adds to the bytes of a long body, at most."""


def chunks(size_bytes: int) -> Iterator[bytes]:
    chunk = bytes(CHUNK_BYTES)
    return (chunk for _ in range(size_bytes // CHUNK_BYTES))


@pytest.fixture(scope="module")
def warm_town(shared_town: ProxiedTown) -> ProxiedTown:
    """Return the town once its worker has done in small what the tests do."""
    for scheme in ("http", "https"):
        shared_town.client.get(f"{scheme}://library.example/big?bytes=4000000")
        for host in ("library.example", "cardroom.example"):
            shared_town.client.request("PUT", f"{scheme}://{host}/upload", bytes(4_000_000))
    return shared_town


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_download_leaves_memory_flat_and_is_counted(
    scheme: str, warm_town: ProxiedTown, town: ProxiedTown
) -> None:
    before = town.proxy.peak_memory_bytes()

    answer = town.client.request("GET", f"{scheme}://library.example/big?bytes={SIZE_BYTES}", keep_body=False)

    assert answer.body_bytes == SIZE_BYTES
    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES
    visit = town.visit()
    assert_counted(visit.bytes_down, SIZE_BYTES, scheme)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_upload_leaves_memory_flat_and_is_counted(
    scheme: str, warm_town: ProxiedTown, town: ProxiedTown
) -> None:
    before = town.proxy.peak_memory_bytes()

    answer = town.client.request(
        "PUT",
        f"{scheme}://library.example/upload",
        chunks(SIZE_BYTES),
        {"Content-Length": str(SIZE_BYTES)},
    )

    assert answer.text == f"{SIZE_BYTES} bytes arrived\n"
    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES
    visit = town.visit()
    assert_counted(visit.bytes_up, SIZE_BYTES, scheme)


def assert_counted(counted: int, body_bytes: int, scheme: str) -> None:
    overhead = counted - body_bytes
    assert 0 < overhead < HEADS_BYTES + (TLS_SHARE * body_bytes if scheme == "https" else 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_upload_to_a_blocked_site_is_dropped_and_gets_the_page(
    scheme: str, warm_town: ProxiedTown, town: ProxiedTown
) -> None:
    before = town.proxy.peak_memory_bytes()
    connections = town.web.connections

    answer = town.client.request(
        "PUT",
        f"{scheme}://cardroom.example/upload",
        chunks(BLOCKED_SIZE_BYTES),
        {"Content-Length": str(BLOCKED_SIZE_BYTES)},
    )

    assert answer.status == 403
    assert "Gambling" in answer.text
    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES
    assert town.web.connections == connections
    assert town.visit().lane is Lane.BLOCK


def test_upload_to_a_site_that_cannot_be_reached_gets_the_page(town: ProxiedTown) -> None:
    answer = town.client.request("POST", "http://dead.example/", bytes(3_000_000))

    assert answer.status == 502
    assert "dead.example" in answer.text
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.BLOCK, Cause.UNREACHABLE)
    assert visit.refusal == "Connection refused"


def test_upload_is_held_while_its_site_does_not_answer_and_then_gets_the_page(
    warm_town: ProxiedTown, town: ProxiedTown
) -> None:
    before = town.proxy.peak_memory_bytes()

    answer = town.client.request(
        "PUT", "http://silent.example/", chunks(SIZE_BYTES), {"Content-Length": str(SIZE_BYTES)}
    )

    assert answer.status == 502
    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES
    assert town.visit().refusal == "no answer within 10 seconds"


def test_client_that_does_not_wait_for_its_answer_is_closed(
    warm_town: ProxiedTown, town: ProxiedTown
) -> None:
    before = town.proxy.peak_memory_bytes()
    with town.client.dial() as connection, pytest.raises(ConnectionError):
        connection.sendall(b"GET http://drip.example/ HTTP/1.1\r\nHost: drip.example\r\n\r\n")
        for chunk in chunks(SIZE_BYTES):
            connection.sendall(chunk)

    assert town.proxy.peak_memory_bytes() - before < MEMORY_BYTES
    town.visit()


def test_tunnel_carries_an_answer_after_the_client_has_said_its_last_word(town: ProxiedTown) -> None:
    hello = client_hello("raw.example")
    with town.client.connect("raw.example") as connection:
        connection.sendall(hello + bytes(100_000))
        connection.shutdown(1)
        answer = read_to_end(connection)

    assert answer == b"%d bytes" % (len(hello) + 100_000)
    visit = town.visit()
    assert (visit.bytes_up, visit.bytes_down) == (len(hello) + 100_000, len(answer))
    assert visit.refusal is None


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_client_that_leaves_in_the_middle_is_recorded_once_with_its_bytes(
    scheme: str, town: ProxiedTown
) -> None:
    if scheme == "https":
        connection = town.client.connect("drip.example")
        connection.sendall(client_hello("drip.example"))
    else:
        connection = town.client.dial()
        connection.sendall(b"GET http://drip.example/ HTTP/1.1\r\nHost: drip.example\r\n\r\n")
    with connection:
        received = sum(len(connection.recv(1 << 16)) for _ in range(10))

    visit = town.visit()
    assert visit.lane is (Lane.TUNNEL if scheme == "https" else Lane.PLAIN)
    assert received <= visit.bytes_down < received + 10_000
