"""A page that was gone to is told from what it pulls in, by what browsers say of their requests."""

import pytest
from mitmproxy import http

from proxy_addons.gone_to import is_gone_to
from tests.proxied_town import ProxiedTown
from tests.proxy_client import exchange

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
IMAGE = "image/avif,image/webp,*/*;q=0.8"
REFERER = "http://library.example/"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Referer": REFERER}, True),
        ({"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate", "Accept": HTML}, False),
        ({"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}, False),
        ({"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}, False),
        ({"Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch;prerender"}, False),
        # To sites without TLS browsers do not say.
        ({"Accept": HTML}, True),
        ({"Accept": HTML, "Referer": REFERER}, True),
        ({"Accept": IMAGE, "Referer": REFERER}, False),
        ({"Accept": "*/*", "Referer": REFERER}, False),
        # A program of its own.
        ({"Accept": "*/*"}, True),
        ({}, True),
    ],
)
def test_what_was_gone_to(fields: dict[str, str], expected: bool) -> None:
    assert is_gone_to(http.Request.make("GET", "http://library.example/", headers=fields)) is expected


def test_plain_requests_are_counted_with_the_connection_that_they_began(town: ProxiedTown) -> None:
    with town.client.dial() as kept:
        for path, fields in (("/", {"Accept": HTML}), ("/a.png", {"Accept": IMAGE, "Referer": REFERER})):
            exchange(kept, "GET", f"http://library.example{path}", "library.example", fields=fields)
    counted = sorted((one.connections, one.requests, one.pages) for one in town.visits(2))
    assert counted == [(0, 1, 0), (1, 1, 1)]
