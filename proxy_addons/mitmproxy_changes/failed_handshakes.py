"""TLS handshakes with clients that fail: the client is told."""

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers import ClientTLSLayer

from proxy_addons.mitmproxy_changes.replacing import original, replace


def change() -> None:
    """Change how a handshake ends that has failed: 13 of the list."""
    fail = original(ClientTLSLayer.on_handshake_error)

    def on_handshake_error(self: ClientTLSLayer, err: str) -> layer.CommandGenerator[None]:
        if self.tls is not None and self.conn.state & ConnectionState.CAN_WRITE:
            yield from self.tls_interact()
        yield from fail(self, err)

    replace(ClientTLSLayer, "on_handshake_error", on_handshake_error, fail)
