"""ClientHellos, each parsed once, though both who chooses its lane and who answers it read it."""

import functools

from mitmproxy.proxy.layers import tls as tls_layers
from mitmproxy.tls import ClientHello

from proxy_addons.mitmproxy_changes.replacing import original, replace

_HELD = 16
"""What is parsed a second time was parsed shortly before."""


def change() -> None:
    """Change how often mitmproxy parses a ClientHello: 16 of the list."""
    parse = original(tls_layers.parse_client_hello)
    parse_once = functools.lru_cache(_HELD)(parse)

    def parse_client_hello(data: bytes) -> ClientHello | None:
        return parse_once(bytes(data))

    replace(tls_layers, "parse_client_hello", parse_client_hello, parse)
