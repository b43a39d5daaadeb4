"""What becomes of a visit: tunnelled, forwarded, or a page in its place."""

import ssl
import time

import pytest

from policy.decision import Cause, Lane, Verdict
from tests.odd_origin import OddOrigin
from tests.proxied_town import ORIGIN_ISSUER, TOWN_ISSUER, ProxiedTown


def test_allowed_https_is_tunnelled_under_the_origins_own_certificate(town: ProxiedTown) -> None:
    answer = town.client.get("https://library.example/")

    assert answer.status == 200
    assert answer.issuer == ORIGIN_ISSUER
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.TUNNEL, Cause.DEFAULT)
    assert (visit.scheme, visit.host, visit.port) == ("https", "library.example", 443)
    assert (visit.person, visit.device, visit.department) == ("clerk", "FIN-PC-15", "finance")
    assert visit.bytes_up > 500
    assert visit.bytes_down > len(answer.body)


def test_blocked_https_shows_a_page_under_the_towns_ca_and_never_reaches_the_origin(
    town: ProxiedTown,
) -> None:
    connections = town.web.connections

    answer = town.client.get("https://cardroom.example/table?seat=5")

    assert answer.status == 403
    assert answer.issuer == TOWN_ISSUER
    assert answer.names == ("cardroom.example",)
    assert "cardroom.example" in answer.text
    assert "Gambling" in answer.text
    assert "seat=5" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert town.web.connections == connections
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.BLOCK, Lane.BLOCK, Cause.RULE)
    assert (visit.rule, visit.category, visit.entry) == ("not-town-business", "gambling", "cardroom.example")
    assert visit.code in answer.text


def test_allowed_plain_http_is_forwarded(town: ProxiedTown) -> None:
    answer = town.client.get("http://library.example/")

    assert answer.status == 200
    assert b"over HTTP." in answer.body
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.PLAIN, Cause.DEFAULT)
    assert (visit.scheme, visit.host, visit.port) == ("http", "library.example", 80)


@pytest.mark.parametrize("is_within_connect", [False, True])
def test_client_that_leaves_while_a_plain_site_is_dialled_makes_no_site_out_of_reach(
    is_within_connect: bool, town: ProxiedTown
) -> None:
    host = "silent.example"
    with town.client.connect(host) if is_within_connect else town.client.dial() as connection:
        target = "/" if is_within_connect else f"http://{host}/"
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        time.sleep(0.2)

    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.PLAIN, Cause.DEFAULT)
    assert visit.refusal == "the client left before anything was shown"


def test_bytes_of_a_plain_visit_are_what_went_over_the_wire(town: ProxiedTown, odd_origin: OddOrigin) -> None:
    fields = b"Host: odd.example\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
    asked = b"POST http://odd.example/a?b HTTP/1.1\r\n" + fields

    answered = town.client.say(asked + b"abc")

    visit = town.visit()
    via = len(answered) - len(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert visit.bytes_up == len(asked) + via + 3 - len("http://odd.example")
    assert visit.bytes_up == len(odd_origin.heads[-1] + b"\r\n" + b"abc")
    assert visit.bytes_down == len(answered)


def test_blocked_plain_http_shows_the_page_and_never_reaches_the_origin(town: ProxiedTown) -> None:
    connections = town.web.connections

    answer = town.client.get("http://www.cardroom.example/table?seat=5")

    assert answer.status == 403
    assert "Gambling" in answer.text
    assert town.web.connections == connections
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.host) == (Verdict.BLOCK, Lane.BLOCK, "www.cardroom.example")


def test_program_that_does_not_trust_the_towns_ca_is_blocked_and_recorded(town: ProxiedTown) -> None:
    connections = town.web.connections
    stranger_to_the_ca = town.client.trusting(town.web.ca_certificate)

    with pytest.raises(ssl.SSLCertVerificationError):
        stranger_to_the_ca.get("https://cardroom.example/")

    assert town.web.connections == connections
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.BLOCK, Lane.REFUSE, Cause.RULE)
    assert visit.refusal == "the program did not accept the town's certificate"
