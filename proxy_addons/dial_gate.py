"""The last gate: nothing is dialled that was not allowed on that client connection."""

from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_addons.fail_closed import fail_closed
from proxy_addons.gate import Gate


class DialGate:
    """Denies by default: every connection to an origin server passes `server_connect`."""

    name = "towngate-dial-gate"

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    @fail_closed
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse what no verdict has allowed."""
        allowed = self.gate.connection_of(data.client).may_dial
        if data.server.address is None or data.server.address[:2] not in allowed:
            data.server.error = "no decision allows this connection"
