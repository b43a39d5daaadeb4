"""What is said to the proxy stays with the proxy, and a request reaches the host that was judged."""

import pytest
from mitmproxy.http import Headers

from proxy_addons.hop_by_hop import drop_hop_by_hop
from tests.odd_origin import OddOrigin
from tests.proxied_town import ProxiedTown
from tests.proxy_client import exchange


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([("Connection", "close")], [("Connection", "close")]),
        (
            [("Connection", "keep-alive, X-One"), ("X-One", "1"), ("X-Two", "2")],
            [("X-Two", "2"), ("Connection", "keep-alive")],
        ),
        ([("Connection", "X-One"), ("Connection", "x-two"), ("X-One", "1"), ("X-Two", "2")], []),
        (
            [("Connection", "Content-Length, Host"), ("Content-Length", "5"), ("Host", "a")],
            [("Content-Length", "5"), ("Host", "a")],
        ),
        ([("TE", "trailers"), ("Keep-Alive", "timeout=5"), ("Accept", "*/*")], [("Accept", "*/*")]),
        ([("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AA")], []),
        (
            [("Connection", "Upgrade"), ("Upgrade", "websocket")],
            [("Upgrade", "websocket"), ("Connection", "upgrade")],
        ),
        ([("Connection", " , ,")], []),
    ],
)
def test_fields_of_one_connection_are_dropped(
    given: list[tuple[str, str]], passed_on: list[tuple[str, str]]
) -> None:
    headers = Headers([(name.encode(), value.encode()) for name, value in given])

    drop_hop_by_hop(headers)

    assert list(headers.items(multi=True)) == passed_on


def test_fields_named_in_connection_do_not_reach_the_origin_server(
    town: ProxiedTown, odd_origin: OddOrigin
) -> None:
    town.client.get(
        "http://odd.example/", {"Connection": "close, X-Internal", "X-Internal": "1", "X-Kept": "2"}
    )

    assert b"X-Internal" not in odd_origin.heads[-1]
    assert b"X-Kept: 2" in odd_origin.heads[-1]


def test_fields_of_the_origin_servers_connection_do_not_reach_the_client(town: ProxiedTown) -> None:
    answer = town.client.get("http://odd.example/hop-by-hop")

    assert answer.headers["X-Kept"] == "1"
    for name in ("X-Internal", "Keep-Alive", "Proxy-Authenticate"):
        assert name not in answer.headers


@pytest.mark.parametrize("host", ["Host: cardroom.example", "Host: a\r\nHost: b", "X-No-Host: 1"])
def test_target_of_a_request_replaces_its_host(host: str, town: ProxiedTown, odd_origin: OddOrigin) -> None:
    asked = f"GET http://odd.example/a?b HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n"

    assert town.client.say(asked.encode()).startswith(b"HTTP/1.1 200 ")

    head = odd_origin.heads[-1]
    assert head.startswith(b"GET /a?b HTTP/1.1\r\n")
    assert [line for line in head.lower().splitlines() if line.startswith(b"host:")] == [b"host: odd.example"]


@pytest.mark.parametrize("target", ["/", "http://cardroom.example/"])
def test_request_inside_a_connect_goes_to_its_host_whatever_it_names(
    target: str, town: ProxiedTown, odd_origin: OddOrigin
) -> None:
    with town.client.connect("odd.example", 80) as connection:
        answer = exchange(connection, "GET", target, "cardroom.example")

    assert answer.status == 200
    assert odd_origin.heads[-1].startswith(b"GET / HTTP/1.1\r\n")
    assert b"cardroom" not in odd_origin.heads[-1]
    assert town.visit().host == "odd.example"
