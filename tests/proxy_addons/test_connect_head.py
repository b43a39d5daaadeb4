"""The head of a CONNECT: the plain ones are read, everything else is left to mitmproxy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_addons.connect_head import MAX_BYTES, ConnectHead, LessPlainError, read_head

FIELDS = b"Host: library.example:443\r\nProxy-Connection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11)\r\n"
HEAD = b"CONNECT library.example:443 HTTP/1.1\r\n" + FIELDS + b"\r\n"


def head_of(target: bytes, fields: bytes = b"") -> bytes:
    return b"CONNECT " + target + b" HTTP/1.1\r\n" + fields + b"\r\n"


def test_plain_head_is_read_and_what_follows_it_is_left() -> None:
    assert read_head(HEAD + b"\x16\x03\x01") == ConnectHead("library.example", 443, None, len(HEAD))


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        (b"LIBRARY.example.:443", "LIBRARY.example.", 443),
        (b"192.0.2.7:8443", "192.0.2.7", 8443),
        (b"[2001:db8::7]:443", "[2001:db8::7]", 443),
        (b"[::ffff:192.0.2.7]:1", "[::ffff:192.0.2.7]", 1),
        (b"x_y.example:65535", "x_y.example", 65535),
    ],
)
def test_target_is_a_host_and_a_port(target: bytes, host: str, port: int) -> None:
    head = read_head(head_of(target))
    assert head is not None
    assert (head.host, head.port) == (host, port)


def test_sign_in_is_read() -> None:
    head = read_head(head_of(b"a.example:443", b"Proxy-authorization:\tBasic Y2xlcms6eA== \r\n"))
    assert head is not None
    assert head.authorization == "Basic Y2xlcms6eA=="


@pytest.mark.parametrize(
    "data",
    [
        b"GET http://library.example/ HTTP/1.1\r\n\r\n",
        b"connect library.example:443 HTTP/1.1\r\n\r\n",
        b"\r\n" + HEAD,
        b"\x16\x03\x01",
        b"CONNECT  library.example:443 HTTP/1.1\r\n\r\n",
        b"CONNECT\tlibrary.example:443 HTTP/1.1\r\n\r\n",
        b"CONNECT library.example:443 HTTP/1.0\r\n\r\n",
        b"CONNECT library.example:443 HTTP/1.1\n\n\r\n\r\n",
        head_of(b"library.example"),
        head_of(b"library.example:"),
        head_of(b"library.example:0"),
        head_of(b"library.example:0443"),
        head_of(b"library.example:65536"),
        head_of(b"library.example:443/"),
        head_of(b"clerk@library.example:443"),
        head_of(b"library.example%00.evil.example:443"),
        head_of("b\u00fcro.example:443".encode()),
        head_of(b"2001:db8::7:443"),
        head_of(b"a.example:443", b"Content-Length: 5\r\n"),
        head_of(b"a.example:443", b"TRANSFER-ENCODING: chunked\r\n"),
        head_of(b"a.example:443", b"Upgrade: h2c\r\n"),
        head_of(b"a.example:443", b"Via: 1.1 here\r\n"),
        head_of(b"a.example:443", b"Expect: 100-continue\r\n"),
        head_of(b"a.example:443", b"Proxy-Authorization: a\r\nProxy-Authorization: b\r\n"),
        head_of(b"a.example:443", b" folded: x\r\n"),
        head_of(b"a.example:443", b"A: b\r\n c\r\n"),
        head_of(b"a.example:443", b"A : b\r\n"),
        head_of(b"a.example:443", b"A\r\n"),
        head_of(b"a.example:443", b"A: \x00\r\n"),
        head_of(b"a.example:443", b"A: b\rc\r\n"),
        head_of(b"a.example:443", b"A: b\nc: d\r\n"),
        head_of(b"a.example:443", b"A: " + b"b" * MAX_BYTES + b"\r\n"),
        b"CONNECT a.example:443 HTTP/1.1\r\nA: " + b"b" * MAX_BYTES,
    ],
)
def test_whatever_is_less_plain_is_left_to_mitmproxy(data: bytes) -> None:
    with pytest.raises(LessPlainError):
        read_head(data)


@given(st.integers(0, len(HEAD) - 1))
def test_head_that_is_not_there_whole_is_waited_for(length: int) -> None:
    assert read_head(HEAD[:length]) is None


@given(st.binary(max_size=200))
def test_bytes_are_read_whole_waited_for_or_left(data: bytes) -> None:
    for beginning in (b"", b"CONNECT ", b"CONNECT a.example:443 HTTP/1.1\r\n"):
        try:
            head = read_head(beginning + data)
        except LessPlainError:
            continue
        assert head is None or (beginning + data)[: head.length].endswith(b"\r\n\r\n")
