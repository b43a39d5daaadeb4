"""What cannot be read as one visit to one host: an answer or a closed connection, a record, no traceback."""

import pytest

from policy.decision import Cause, Lane, Verdict
from policy.visit_record import VisitRecord
from tests.proxied_town import ProxiedTown

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
