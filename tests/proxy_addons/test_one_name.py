"""However a site is spelled: one verdict, and one name in the records."""

import pytest

from policy.decision import Cause, Lane, Verdict
from tests.client_hellos import client_hello
from tests.proxied_town import ProxiedTown
from tests.proxy_client import read_to_end
from tests.published_town import CATEGORIES

LISTED = {**CATEGORIES, "gambling": [*CATEGORIES["gambling"], "xn--bcher-kva.example", "93.184.216.36"]}

SPELLINGS = {
    "cardroom.example": ["cardroom.example", "CARDROOM.Example", "cardroom.example."],
    "xn--bcher-kva.example": ["xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE", "xn--bcher-kva.example."],
    "93.184.216.36": [
        "93.184.216.36",
        "1572395044",
        "0x5db8d824",
        "0135.0270.0330.044",
        "[::ffff:93.184.216.36]",
    ],
}


@pytest.mark.parametrize(
    ("name", "spelled"), [(name, spelled) for name, ways in SPELLINGS.items() for spelled in ways]
)
def test_every_spelling_of_a_site_is_blocked_and_recorded_as_one(
    name: str, spelled: str, town: ProxiedTown
) -> None:
    town.publish_categories(LISTED)

    plain = town.client.say(f"GET http://{spelled}/ HTTP/1.1\r\nHost: {spelled}\r\n\r\n".encode())
    with town.client.dial() as connection:
        connection.sendall(f"CONNECT {spelled}:443 HTTP/1.1\r\nHost: {spelled}:443\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        connection.sendall(client_hello(None))
        connection.shutdown(1)
        read_to_end(connection)

    assert plain.startswith(b"HTTP/1.1 403 ")
    visits = town.visits(2)
    assert [visit.host for visit in visits] == [name, name]
    assert [(visit.verdict, visit.cause) for visit in visits] == [(Verdict.BLOCK, Cause.RULE)] * 2


@pytest.mark.parametrize("sni", ["CARDROOM.EXAMPLE", "cardroom.example."])
def test_every_spelling_in_a_hello_is_blocked_and_recorded_as_one(sni: str, town: ProxiedTown) -> None:
    with town.client.connect("library.example") as connection:
        connection.sendall(client_hello(sni))
        connection.shutdown(1)
        read_to_end(connection)

    visit = town.visit()
    assert (visit.host, visit.verdict, visit.lane) == ("cardroom.example", Verdict.BLOCK, Lane.REFUSE)
