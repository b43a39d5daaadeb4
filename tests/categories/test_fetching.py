"""Fetching: every address judged before it is dialled, and an end to everything."""

import io
import socket
import ssl
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
import trustme

from categories.fetching import FetchError, Limits, exchange, fetch, named_private_host
from categories.validators import Validators
from tests.categories.list_server import Answer, answer, edition, serving

LOOPBACK = ("127.0.0.1",)


def _fetch(url: str, **options: object) -> bytes:
    target = io.BytesIO()
    fetch(url, target, **({"private_hosts": LOOPBACK} | options))  # type: ignore[arg-type]  # of a test's own making
    return target.getvalue()


def _resolving(monkeypatch: pytest.MonkeyPatch, addresses: dict[str, list[str]]) -> None:
    """Make these names resolve to these addresses; no DNS server answers here."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: object, **more: object) -> list[object]:
        found = addresses.get(host, [host])
        return [entry for address in found for entry in real(address, port, *args, **more)]  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_body_is_fetched_whole() -> None:
    data = b"cardroom.example\n" * 100_000
    with serving({"/list": answer(data)}) as server:
        assert _fetch(server.url("/list")) == data


@pytest.mark.parametrize(
    "have",
    [
        Validators('"edition 7"'),
        Validators(last_modified="Mon, 02 Mar 2026 03:00:00 GMT"),
        Validators('W/"7"', "Mon, 02 Mar 2026 03:00:00 GMT"),
    ],
)
def test_edition_that_is_here_already_is_not_sent_again(have: Validators) -> None:
    page = edition(b"list", have.etag or "", have.last_modified or "")
    with serving({"/": page, "/moved": answer(status=302, Location="/")}) as server:
        target = io.BytesIO()
        url = server.url("/moved")
        assert fetch(url, target, private_hosts=LOOPBACK) == have
        assert target.getvalue() == b"list"
        assert fetch(url, target, private_hosts=LOOPBACK, have=have) is None
        assert target.getvalue() == b"list"
        assert server.conditions[-1] == (have.etag, have.last_modified)
        other = Validators('"edition 6"')
        assert fetch(url, target, private_hosts=LOOPBACK, have=other) == have


def test_server_that_says_not_modified_unasked_is_refused() -> None:
    with serving({"/": answer(status=304)}) as server:
        with pytest.raises(FetchError, match="the server answered 304"):
            _fetch(server.url("/"))
        with pytest.raises(FetchError, match="the server answered 304"):
            _fetch(server.url("/"), have=Validators())
        assert server.conditions == [(None, None)] * 2


def test_validator_of_absurd_length_is_not_kept() -> None:
    with serving({"/": answer(b"list", ETag='"' + "7" * 5000 + '"')}) as server:
        assert fetch(server.url("/"), io.BytesIO(), private_hosts=LOOPBACK) == Validators()


def test_who_watches_is_told_how_far_it_is() -> None:
    told: list[tuple[int, int | None]] = []
    with serving({"/": answer(b"a" * 300_000)}) as server:
        _fetch(server.url("/"), on_progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (300_000, 300_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_redirects_are_followed_a_few_times() -> None:
    answers = {f"/{hop}": answer(status=302, Location=f"/{hop + 1}") for hop in range(5)}
    with serving(answers | {"/5": answer(b"end")}) as server:
        assert _fetch(server.url("/0")) == b"end"
    with serving({"/": answer(status=301, Location="/")}) as server:
        with pytest.raises(FetchError, match="over 5 redirects; not followed further"):
            _fetch(server.url("/"))
        assert len(server.hosts) == 6


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "169.254.169.254", "0.0.0.0"]
)
def test_private_address_is_never_dialled(host: str) -> None:
    with pytest.raises(FetchError, match="is not a public address; not connected to"):
        _fetch(f"http://{host}/list", private_hosts=())


def test_public_name_with_a_private_address_is_never_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(
        monkeypatch, {"lists.example": ["192.0.2.1", "127.0.0.1"], "mapped.example": ["::ffff:10.0.0.1"]}
    )
    with serving({"/": answer(b"secret")}) as server:
        with pytest.raises(FetchError, match="is not a public address"):
            _fetch(server.url("/", "lists.example"))
        with pytest.raises(FetchError, match=r"::ffff:10\.0\.0\.1 is not a public address"):
            _fetch("http://mapped.example/")
        assert not server.hosts


def test_redirect_to_a_private_address_is_not_followed() -> None:
    with serving({"/in": answer(b"secret")}) as inside:
        redirect = answer(status=302, Location=inside.url("/in", "localhost"))
        with serving({"/": redirect}) as server, pytest.raises(FetchError, match="is not a public address"):
            _fetch(server.url("/"))
        assert not inside.hosts


def test_connection_goes_to_the_address_judged_whatever_the_name_resolves_to_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = {"lists.town.example": ["127.0.0.1"]}
    _resolving(monkeypatch, addresses)
    judged = socket.getaddrinfo

    def resolve(host: str, *args: object, **more: object) -> list[object]:
        found = judged(host, *args, **more)  # type: ignore[arg-type]
        addresses["lists.town.example"] = ["127.0.0.99"]
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving({"/": answer(b"list")}) as server:
        url = server.url("/", "lists.town.example")
        assert _fetch(url, private_hosts=("lists.town.example",)) == b"list"
        assert server.hosts == [f"lists.town.example:{server.server_port}"]


def test_next_address_is_tried_when_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, {"lists.town.example": ["::1", "127.0.0.1"]})
    with serving({"/": answer(b"list")}) as server:
        url = server.url("/", "lists.town.example")
        assert _fetch(url, private_hosts=("lists.town.example",)) == b"list"


def test_certificate_is_checked_against_the_name_and_not_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, {"lists.town.example": ["127.0.0.1"], "other.town.example": ["127.0.0.1"]})
    authority = trustme.CA()
    tls, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("lists.town.example").configure_cert(tls)
    authority.configure_trust(trust)
    with serving({"/": answer(b"list")}, tls) as server:
        good, bad = (server.url("/", f"{name}.town.example") for name in ("lists", "other"))
        hosts = ("lists.town.example", "other.town.example")
        assert _fetch(good, private_hosts=hosts, trust=trust) == b"list"
        with pytest.raises(FetchError, match=r"cannot connect .*not valid for 'other.town.example'"):
            _fetch(bad, private_hosts=hosts, trust=trust)
        with pytest.raises(FetchError, match=r"cannot connect .*certificate verify failed"):
            _fetch(good, private_hosts=hosts)


def test_redirect_from_https_to_http_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, {"lists.town.example": ["127.0.0.1"]})
    authority = trustme.CA()
    tls, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("lists.town.example").configure_cert(tls)
    authority.configure_trust(trust)
    with serving({"/": answer(status=302, Location="http://lists.town.example/")}, tls) as server:
        url = server.url("/", "lists.town.example")
        with pytest.raises(
            FetchError, match=r"redirects from https to http://lists\.town\.example/; not followed"
        ):
            _fetch(url, private_hosts=("lists.town.example",), trust=trust)


def test_whatever_is_answered_is_what_an_exchange_returns() -> None:
    pages = {"/ask": answer(b"refused", status=400), "/moved": answer(b"there", status=302, Location="/ask")}
    with serving(pages) as server:
        assert exchange(server.url("/ask"), private_hosts=LOOPBACK) == (400, b"refused")
        assert exchange(server.url("/moved"), private_hosts=LOOPBACK) == (302, b"there"), "not followed"
        with pytest.raises(FetchError, match="larger than 3 bytes"):
            exchange(server.url("/ask"), private_hosts=LOOPBACK, limits=Limits(size_bytes=3))
        with pytest.raises(FetchError, match=r"127\.0\.0\.1 is not a public address"):
            exchange(server.url("/ask"))


def _dawdle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"a.example\n")
        time.sleep(0.05)


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"a.example\n" * 1000)


def _stall(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.flush()
    time.sleep(2)


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


SMALL = Limits(size_bytes=1000)
BRIEF = Limits(duration=timedelta(seconds=0.3))
IMPATIENT = Limits(silence=timedelta(seconds=0.5))


@pytest.mark.parametrize(
    ("reply", "limits", "message"),
    [
        (_hang_up, SMALL, "Server disconnected without sending a response"),
        (answer(b"none", status=404), SMALL, "the server answered 404"),
        (answer(b"a" * 2000), SMALL, "larger than 1000 bytes; not fetched further"),
        (_endless, SMALL, "larger than 1000 bytes; not fetched further"),
        (answer(b"half", Content_Length="100"), SMALL, "without sending complete message body"),
        (answer(b"\x1f\x8b", Content_Encoding="gzip"), SMALL, "compressed its answer unasked; not used"),
        (_dawdle, BRIEF, r"took longer than 0:00:00\.300000; not fetched further"),
        (_stall, IMPATIENT, "timed out"),
    ],
)
def test_answer_that_is_no_whole_list_in_time_is_refused(reply: Answer, limits: Limits, message: str) -> None:
    with serving({"/": reply}) as server, pytest.raises(FetchError, match=message):
        _fetch(server.url("/"), limits=limits)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://lists.example:list/", "is not a web address"),
        ("ftp://lists.example/", "it starts with neither http:// nor https://"),
        ("http:///list", "is not a web address"),
        ("http://it:secret@127.0.0.1/", "127.0.0.1: its address holds a name or password; leave it out"),
        ("http://no-such-name.invalid/", "the name cannot be resolved"),
        ("http://127.0.0.1:1/", "cannot connect"),
    ],
)
def test_address_that_leads_nowhere_is_said(url: str, message: str) -> None:
    with pytest.raises(FetchError, match=message) as caught:
        _fetch(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:8000/list", "127.0.0.1"),
        ("https://10.1.2.3/list", "10.1.2.3"),
        ("http://[::1]/list", "::1"),
        ("http://localhost/list", "localhost"),
        ("https://lists.example/list", None),
        ("https://8.8.8.8/list", None),
        ("http://lists.example:list/", None),
    ],
)
def test_private_address_written_out_is_recognised(url: str, host: str | None) -> None:
    assert named_private_host(url) == host
