"""Web addresses as people write them."""

import re

import pytest

from policy.web_address import WebAddress, address_of_site, parse_web_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "https://Cardroom.Example/play?table=1#top",
            WebAddress("https", "cardroom.example", 443, "/play", "?table=1"),
        ),
        ("cardroom.example", WebAddress("https", "cardroom.example", 443, "/")),
        ("cardroom.example:8443/play", WebAddress("https", "cardroom.example", 8443, "/play")),
        ("http://cardroom.example/play/../a b?x", WebAddress("http", "cardroom.example", 80, "/a%20b", "?x")),
        ("http://cardroom.example", WebAddress("http", "cardroom.example", 80, "/")),
        ("http://cardroom.example.:8080", WebAddress("http", "cardroom.example", 8080, "/")),
        ("https://bücher.example", WebAddress("https", "xn--bcher-kva.example", 443, "/")),
        ("http://0x7f.1/", WebAddress("http", "127.0.0.1", 80, "/")),
        ("https://[::0:1]/", WebAddress("https", "[::1]", 443, "/")),
        ("  https://cardroom.example  ", WebAddress("https", "cardroom.example", 443, "/")),
    ],
)
def test_address_is_taken_apart_as_the_url_standard_does(text: str, address: WebAddress) -> None:
    assert parse_web_address(text) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a web address; write it like https://host/path"),
        ("https://", "'https://' is not a web address; write it like https://host/path"),
        ("https://a b/", "'https://a b/' is not a web address; write it like https://host/path"),
        ("ftp://files.example/", "'ftp://files.example/': the gate judges http and https, not ftp"),
        ("file:///etc/hosts", "'file:///etc/hosts': the gate judges http and https, not file"),
        ("https://me:pw@a.example/", "'https://me:pw@a.example/' holds a name or password; leave it out"),
        ("https://a..example/", "'a..example' is not a host name: a label is empty"),
    ],
)
def test_what_cannot_be_visited_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_web_address(text)


@pytest.mark.parametrize(
    "address",
    [
        "https://a.example",
        "http://a.example",
        "https://a.example:80",
        "http://a.example:8080",
        "https://[::1]",
    ],
)
def test_address_of_a_site_is_written_as_it_is_read(address: str) -> None:
    read = parse_web_address(address)
    assert address_of_site(read.scheme, read.host, read.port) == address
