"""The last gate: nothing is dialled that was not allowed on that client connection."""

import logging

from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_addons.fail_closed import fail_closed
from proxy_addons.gate import Gate, address_of, hang_up
from proxy_addons.resolver import DIALLED_FOR

logger = logging.getLogger(__name__)


class DialGate:
    """Denies by default: every connection to an origin server passes both."""

    name = "towngate-dial-gate"

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    @fail_closed
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse what no verdict has allowed; what has been allowed is dialled for this client."""
        allowed = self.gate.connection_of(data.client).may_dial
        if data.server.address is None or data.server.address[:2] not in allowed:
            data.server.error = "no decision allows this connection"
            return
        DIALLED_FOR.set(address_of(data.client))

    @fail_closed
    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Hang up, before a byte is said, on an address that this site may not lead to.

        The resolver has judged it before; this is what the socket says.
        """
        peer, address = data.server.peername, data.server.address
        if peer is None or address is None:
            raise ValueError("a connection to nowhere")
        refusal = self.gate.resolver.refusal_of(*address[:2], *peer[:2])
        if refusal is not None:
            logger.error("connected where no one may: host=%s address=%s", address[0], peer[0])
            data.server.error = refusal
            hang_up(data.client.id, data.server)
