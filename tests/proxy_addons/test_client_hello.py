"""The name in a ClientHello: read only where nobody could read another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.proxy.layers.tls import parse_client_hello

from proxy_addons.client_hello import MAX_BYTES, MAX_RECORDS, has_too_many_records, server_name_of
from proxy_addons.connect_head import LessPlainError
from tests.client_hellos import (
    client_hello,
    in_many_records,
    in_two_records,
    made_up_hello,
    post_quantum,
    record,
    server_names,
)

HELLO = client_hello("library.example")


def test_name_of_a_real_hello_is_read() -> None:
    assert server_name_of(HELLO) == b"library.example"
    assert server_name_of(in_two_records(HELLO)) == b"library.example"
    assert server_name_of(in_many_records(HELLO, MAX_RECORDS)) == b"library.example"
    assert server_name_of(post_quantum(HELLO)) == b"library.example"
    assert len(post_quantum(HELLO)) > 1460 and server_name_of(post_quantum(HELLO)[:1460]) is None


@given(st.integers(0, len(HELLO) - 1))
def test_hello_that_is_not_there_whole_is_waited_for(length: int) -> None:
    assert server_name_of(HELLO[:length]) is None
    assert server_name_of(in_two_records(HELLO)[:length]) is None


@pytest.mark.parametrize(
    ("case", "data"),
    [
        ("no server name", client_hello(None)),
        ("an empty extension", made_up_hello(b"")),
        ("an empty list", made_up_hello(server_names())),
        ("an empty name", made_up_hello(server_names(b""))),
        ("two names", made_up_hello(server_names(b"a.example", b"b.example"))),
        ("two extensions", made_up_hello(server_names(b"a.example"), server_names(b"b.example"))),
        ("a name of another type", made_up_hello(b"\0\x0c\1\0\x09a.example")),
        ("a list shorter than its extension", made_up_hello(server_names(b"a.example") + b"\0")),
        ("more records than it needs", in_many_records(HELLO, MAX_RECORDS + 1)),
        ("something behind it", HELLO + b"\x14\x03\x03\x00\x01\x01"),
        ("another record type", b"\x17" + HELLO[1:]),
        ("another version", b"\x16\x02" + HELLO[2:]),
        ("an empty record", b"\x16\x03\x01\x00\x00" + HELLO),
        ("a record that is too long", b"\x16\x03\x01\x40\x01" + HELLO[5:]),
        ("another message", record(b"\2" + HELLO[6:])),
        ("a message that is too long", record(b"\1\x02\x00\x00" + bytes(20))),
        ("extensions longer than the message", record(HELLO[5:-1] + b"")[:5] + HELLO[5:-1]),
        ("no TLS", b"SSH-2.0-x\r\n"),
        ("no extensions", record(b"\1\x00\x00\x28" + b"\3\3" + bytes(32) + b"\0\0\2\0\5\1")),
        ("a message of nothing", record(b"\1\0\0\0")),
    ],
)
def test_whatever_is_less_plain_is_left_to_mitmproxy(case: str, data: bytes) -> None:
    if case == "extensions longer than the message":
        handshake = HELLO[5:]
        data = record(handshake[:1] + (len(handshake) - 5).to_bytes(3) + handshake[4:-1])
    with pytest.raises(LessPlainError):
        server_name_of(data)


def test_what_follows_a_hello_is_no_record_of_it() -> None:
    assert not has_too_many_records(HELLO + bytes(1000))
    assert not has_too_many_records(in_many_records(HELLO, MAX_RECORDS) + bytes(1000))
    assert has_too_many_records(in_many_records(HELLO, MAX_RECORDS + 1))


def test_hello_without_end_is_not_waited_for() -> None:
    with pytest.raises(LessPlainError):
        server_name_of(
            b"".join(record(b"\1\0\xff\xff" + bytes(16000)) for _ in range(MAX_BYTES // 16000 + 1))
        )


@given(st.data())
def test_name_is_the_one_that_mitmproxy_reads_whatever_is_altered(data: st.DataObject) -> None:
    hello = bytearray(HELLO)
    for _ in range(data.draw(st.integers(1, 3))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    altered = bytes(hello)
    try:
        name = server_name_of(altered)
    except LessPlainError:
        return
    if name is None:
        return
    try:
        parsed = parse_client_hello(altered)
        assert parsed is not None
    except ValueError:
        pytest.fail("mitmproxy does not take this for a ClientHello")
    names = [body for kind, body in parsed.extensions if kind == 0]
    assert names == [server_names(name)]


@given(st.binary(max_size=300))
def test_bytes_are_never_more_than_refused(data: bytes) -> None:
    for beginning in (b"", b"\x16\x03\x01\x01\x00\x01"):
        try:
            server_name_of(beginning + data)
        except LessPlainError:
            continue
