"""What cannot be read as one visit to one host: an answer or a closed connection, a record, no traceback."""

import ssl

import pytest

from policy.decision import Cause, Lane, Verdict
from policy.visit_record import VisitRecord
from proxy_addons.tls_alert import REFUSED
from tests.client_hellos import client_hello, made_up_hello, record, server_names
from tests.proxied_town import TOWN_ISSUER, ProxiedTown
from tests.proxy_client import exchange, read_to_end, send_in_parts

HOST = b"Host: library.example\r\n\r\n"
GET = b"GET http://library.example/ HTTP/1.1\r\n"

MALFORMED = {
    "not a request line": b"hello there\r\n\r\n",
    "no version": b"GET http://library.example/\r\n" + HOST,
    "a version nobody knows": b"GET http://library.example/ HTTP/x.y\r\n" + HOST,
    "nul in a header": GET + b"X-Note: a\0b\r\n" + HOST,
    "nul in the path": b"GET http://library.example/\0 HTTP/1.1\r\n" + HOST,
    "bare carriage return in a header": GET + b"X-Note: a\rTransfer-Encoding: chunked\r\n" + HOST,
    "a header folded over two lines": GET + b"X-Note: a\r\n  b\r\n" + HOST,
    "a header without a name": GET + b": empty\r\n" + HOST,
    "a space in a header's name": GET + b"Content-Length : 5\r\n" + HOST,
    "two lengths": GET + b"Content-Length: 5\r\nContent-Length: 6\r\n" + HOST,
    "length and chunks": GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + HOST,
    "a length that is no number": GET + b"Content-Length: five\r\n" + HOST,
    "chunks that are not the last coding": GET + b"Transfer-Encoding: chunked, gzip\r\n" + HOST,
    "https without connect": b"GET https://library.example/ HTTP/1.1\r\n" + HOST,
    "ftp": b"GET ftp://library.example/ HTTP/1.1\r\n" + HOST,
    "origin-form": b"GET / HTTP/1.1\r\n" + HOST,
    "origin-form without a host": b"GET / HTTP/1.1\r\n\r\n",
    "asterisk-form": b"OPTIONS * HTTP/1.1\r\n" + HOST,
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a password in the address": b"GET http://clerk:secret@library.example/ HTTP/1.1\r\n" + HOST,
    "a port that is none": b"GET http://library.example:99999/ HTTP/1.1\r\n" + HOST,
    "connect without a port": b"CONNECT library.example HTTP/1.1\r\n" + HOST,
    "connect with a path": b"CONNECT library.example:443/x HTTP/1.1\r\n" + HOST,
    "connect to markup": b"CONNECT <script>alert(1)</script>:443 HTTP/1.1\r\n" + HOST,
    "connect to an empty label": b"CONNECT a..example:443 HTTP/1.1\r\n" + HOST,
    "connect with a body": b"CONNECT library.example:443 HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"12345",
    "connect with chunks": b"CONNECT library.example:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST,
    "markup as host": b"GET http://<b>x</b>/ HTTP/1.1\r\n" + HOST,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_request_is_answered_400_and_recorded(case: str, town: ProxiedTown) -> None:
    connections = town.web.connections

    answer = town.client.say(MALFORMED[case])

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert b"connection: close" in answer.lower()
    assert b"mitmproxy" not in answer
    assert b"Traceback" not in answer
    assert b"<b>" not in answer
    assert town.web.connections == connections
    assert_refused(town.visit(), Cause.MALFORMED)
    assert_still_serving(town)


def assert_refused(visit: VisitRecord, cause: Cause) -> None:
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.BLOCK, Lane.REFUSE, cause)
    assert visit.refusal is not None
    assert (visit.person, visit.bytes_up, visit.bytes_down) == ("clerk", 0, 0)


def assert_still_serving(town: ProxiedTown) -> None:
    assert town.client.get("http://library.example/").status == 200
    assert "Traceback" not in town.proxy.logged()


def test_connect_to_a_port_that_policy_does_not_list_is_answered_403(town: ProxiedTown) -> None:
    answer = town.client.say(b"CONNECT library.example:22 HTTP/1.1\r\n" + HOST)

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"port 22" in answer
    visit = town.visit()
    assert_refused(visit, Cause.PORT)
    assert (visit.host, visit.port) == ("library.example", 22)


@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "without end"])
def test_head_over_64_kb_is_answered_431(is_finished: bool, town: ProxiedTown) -> None:
    head = GET + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(70))

    answer = town.client.say(head + (HOST if is_finished else b""))

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert_refused(town.visit(), Cause.MALFORMED)
    assert_still_serving(town)


def test_head_of_60_kb_is_read(town: ProxiedTown) -> None:
    head = GET + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(58))

    # The origin server's own limit is lower.
    assert town.client.say(head + b"Connection: close\r\n" + HOST).startswith(b"HTTP/1.1 ")
    assert town.visit().verdict is Verdict.ALLOW


def test_empty_lines_before_a_request_are_passed_over(town: ProxiedTown) -> None:
    answer = town.client.say(b"\r\n\r\n" + GET + b"Connection: close\r\n" + HOST)

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_url_of_10_kb_to_a_blocked_site_gets_the_page(town: ProxiedTown) -> None:
    answer = town.client.get("http://cardroom.example/" + "x" * 10_000 + "?q=<script>")

    assert answer.status == 403
    assert len(answer.body) < 8192
    assert "xxxx" not in answer.text
    assert "<script" not in answer.text
    assert town.visit().host == "cardroom.example"


UNREADABLE_HELLOS = {
    "sni unlike connect": (client_hello("news.example"), Cause.MISMATCH),
    "two names in the sni": (
        made_up_hello(server_names(b"library.example", b"cardroom.example")),
        Cause.MALFORMED,
    ),
    "two sni extensions": (
        made_up_hello(server_names(b"library.example"), server_names(b"cardroom.example")),
        Cause.MALFORMED,
    ),
    "an empty sni": (made_up_hello(server_names()), Cause.MALFORMED),
    "a nul in the sni": (made_up_hello(server_names(b"library.example\0.cardroom.example")), Cause.MALFORMED),
    "a slash in the sni": (made_up_hello(server_names(b"cardroom.example/")), Cause.MALFORMED),
    "a handshake that is no hello": (record(b"\1\0\0\4abcd"), Cause.NOT_TLS),
    "a record after half a hello": (
        record(client_hello("library.example")[5:45]) + b"\x17\x03\x03\0\1x",
        Cause.NOT_TLS,
    ),
    "noise": (b"\x00\x01\x02\x03 noise", Cause.NOT_TLS),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", Cause.NOT_TLS),
    "socks": (b"\x05\x01\x00", Cause.NOT_TLS),
    "a hello without end": (
        record(b"\1\xff\xff\xff" + bytes(16000)) + record(bytes(16000)) * 5,
        Cause.NOT_TLS,
    ),
}


@pytest.mark.parametrize("case", UNREADABLE_HELLOS)
def test_what_is_not_one_clear_hello_is_refused_and_recorded(case: str, town: ProxiedTown) -> None:
    connections = town.web.connections
    said, cause = UNREADABLE_HELLOS[case]

    with town.client.connect("library.example") as connection:
        send_in_parts(connection, [said])
        # An alert is for those who speak TLS.
        assert read_to_end(connection) == (REFUSED if said[:1] == b"\x16" else b"")

    assert town.web.connections == connections
    assert_refused(town.visit(), cause)
    assert_still_serving(town)


def test_client_whose_tls_is_too_old_for_a_page_is_told_so(town: ProxiedTown) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        town.client.connect("cardroom.example") as connection,
        pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"),
    ):
        tls.wrap_socket(connection, server_hostname="cardroom.example")

    assert town.visit().lane is Lane.REFUSE


def test_sni_that_is_blocked_behind_an_allowed_connect_gets_the_page(town: ProxiedTown) -> None:
    connections = town.web.connections

    with town.client.tunnel("library.example", sni="cardroom.example") as secured:
        answer = exchange(secured, "GET", "/", "cardroom.example")

    assert (answer.status, answer.issuer) == (403, TOWN_ISSUER)
    assert town.web.connections == connections
    assert (town.visit().host, town.visit().cause) == ("cardroom.example", Cause.RULE)


def test_hello_without_sni_is_judged_by_its_connect_alone(town: ProxiedTown) -> None:
    with town.client.connect("library.example") as connection:
        connection.sendall(client_hello(None))
        assert connection.recv(1) == b"\x16"

    assert town.visit().lane is Lane.TUNNEL


@pytest.mark.parametrize("host", ["library.example", "cardroom.example"])
def test_client_that_says_nothing_after_connect_is_recorded_once(host: str, town: ProxiedTown) -> None:
    town.client.connect(host).close()

    visit = town.visit()
    assert visit.refusal == "the client left before anything was shown"
    assert (visit.bytes_up, visit.bytes_down) == (0, 0)
