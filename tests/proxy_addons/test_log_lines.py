"""What the proxy's own log says: never who, never what was asked for beyond the host."""

import ssl
from contextlib import suppress

import pytest

from tests.proxied_town import NOWHERE, ProxiedTown
from tests.proxy_client import RefusedConnectError, basic

SECRETS = (
    "clerk",
    "head",
    "hunter2",
    "aHVudGVyMg",
    "secret-query",
    "secret-path",
    "secret-cookie",
    "secret-body",
)


def test_log_names_no_person_and_nothing_that_was_asked_for(town: ProxiedTown) -> None:
    logged_before = len(town.proxy.logged())
    fields = {"Cookie": "a=secret-cookie", "Proxy-Authorization": basic("head", "hunter2")}
    for client in (town.client, town.client.at(NOWHERE), town.client.trusting(town.web.ca_certificate)):
        for host in ("library.example", "cardroom.example", "dead.example", "localhost", "a..example"):
            for scheme in ("http", "https"):
                with suppress(RefusedConnectError, ssl.SSLError, ConnectionError):
                    client.request(
                        "POST", f"{scheme}://{host}/secret-path?secret-query", b"secret-body", fields
                    )
    for said in (
        b"GET http://library.example/secret-path\r\nCookie: secret-cookie\r\n\r\n",
        b"GET http://library.example/secret-path HTTP/1.1\r\nsecret-cookie\0: 1\r\n\r\n",
        b"POST http://odd.example/not-http?secret-query HTTP/1.1\r\nContent-Length: 1\r\n\r\n1",
        b"POST http://odd.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nsecret-body\r\n",
    ):
        town.client.say(said)

    logged = town.proxy.logged()[logged_before:]
    assert not [secret for secret in SECRETS if secret in logged]
    assert "Traceback" not in logged
    # Who guesses passwords is to be found.
    about_clients = {line.partition(" in_a_minute=")[0] for line in logged.splitlines() if NOWHERE in line}
    assert [line.partition("proxy password wrong: ")[2] for line in about_clients] in (
        [],
        [f"address={NOWHERE}"],
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            b"POST http://odd.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nsecret-body\r\n",
            "HTTP/1 protocol error: illegal chunk header",
        ),
        (
            b"GET http://odd.example/not-http HTTP/1.1\r\n\r\n",
            "Cannot parse HTTP response: Bad HTTP response line",
        ),
    ],
)
def test_visit_that_broke_off_says_why_and_not_what_was_sent(
    town: ProxiedTown, said: bytes, why: str
) -> None:
    town.client.say(said)

    assert town.visit().refusal == why
