"""What is said to the proxy stays with the proxy, and a request reaches the host that was judged."""

import re

import pytest
from argon2 import PasswordHasher
from mitmproxy.http import Headers

from policy.decision import Cause, Verdict
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


def test_proxy_password_does_not_reach_the_origin_server(town: ProxiedTown, odd_origin: OddOrigin) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    town.publish_policy(proxy_passwords={"head": quick.hash("eight lamps")})

    town.client.signed_in("head", "eight lamps").get("http://odd.example/", {"Via": "1.0 desk"})

    assert b"Via: 1.0 desk\r\n" in odd_origin.heads[-1]
    assert b"proxy-authorization" not in odd_origin.heads[-1].lower()


def name_in_via(head: bytes) -> str:
    found = re.findall(rb"Via: 1\.1 (towngate-[0-9a-f]{12})\r\n", head)
    assert len(found) == 1, head
    return str(found[0].decode())


def test_what_goes_through_says_so_in_both_directions(town: ProxiedTown, odd_origin: OddOrigin) -> None:
    answer = town.client.get("http://odd.example/")

    assert answer.headers["Via"] == f"1.1 {name_in_via(odd_origin.heads[-1])}"


@pytest.mark.parametrize("via", ["1.1 {}", "1.0 desk, 1.1 {} (a comment)", "HTTP/1.1 {}:80"])
def test_request_that_comes_back_is_answered_508_and_recorded(
    via: str, town: ProxiedTown, odd_origin: OddOrigin
) -> None:
    town.client.get("http://odd.example/")
    town.visit()
    name, asked = name_in_via(odd_origin.heads[-1]), len(odd_origin.heads)
    fields = f"Via: {via.format(name)}\r\nHost: odd.example\r\n\r\n"

    plain = town.client.say(f"GET http://odd.example/ HTTP/1.1\r\n{fields}".encode())
    tunnel = town.client.say(f"CONNECT odd.example:443 HTTP/1.1\r\n{fields}".encode())

    assert plain.startswith(b"HTTP/1.1 508 ")
    assert tunnel.startswith(b"HTTP/1.1 508 ")
    assert len(odd_origin.heads) == asked
    refused = town.visits(3)[1:]
    assert [(visit.verdict, visit.cause) for visit in refused] == [(Verdict.BLOCK, Cause.MALFORMED)] * 2
    assert {visit.refusal for visit in refused} == {"it came back to this proxy (Via)"}


def test_via_of_another_proxy_is_no_loop(town: ProxiedTown) -> None:
    assert town.client.get("http://odd.example/", {"Via": "1.1 towngate-000000000000"}).status == 200


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
