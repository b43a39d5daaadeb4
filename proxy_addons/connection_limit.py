"""How many connections one address may have open at a time, in one worker."""

import logging
from collections import Counter

from mitmproxy import connection, http

from proxy_addons import egress_metrics
from proxy_addons.fail_closed import fail_closed
from proxy_addons.gate import Gate, address_of
from proxy_addons.page_response import bare_response

CONNECTIONS_PER_ADDRESS = 500
"""A browser opens some dozens; a whole department behind one address, some hundreds."""

logger = logging.getLogger(__name__)


class ConnectionLimit:
    """Answers 429 on what is over the limit, at its first request; closes what is over twice the limit.

    Comes before all that judges: who asks too often is not looked up.
    """

    name = "towngate-connection-limit"

    def __init__(self, gate: Gate, per_address: int = CONNECTIONS_PER_ADDRESS) -> None:
        self.gate = gate
        self.per_address = per_address
        self._open: Counter[str] = Counter()

    @property
    def open_connections(self) -> int:
        """How many connections are open, of all addresses."""
        return self._open.total()

    def is_full(self, address: str) -> bool:
        """Whether an address has as many connections open as it may."""
        return self._open[address] >= self.per_address

    def count(self, address: str) -> int:
        """Count a connection of an address; return how many it has now."""
        self._open[address] += 1
        return self._open[address]

    def uncount(self, address: str) -> None:
        """Stop counting a connection of an address."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    @fail_closed
    def client_connected(self, client: connection.Client) -> None:
        """Count a connection, and mark it or close it when there are too many."""
        address = address_of(client)
        count = self.count(address)
        if count <= self.per_address:
            return
        egress_metrics.CONNECTIONS_REFUSED.inc()
        if count == self.per_address + 1:
            logger.warning("too many connections: address=%s open=%d", address, count)
        if count > 2 * self.per_address:
            client.error = "too many connections"
        else:
            self.gate.connection_of(client).is_too_many = True

    def client_disconnected(self, client: connection.Client) -> None:
        """Stop counting a connection."""
        self.uncount(address_of(client))

    @fail_closed
    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Refuse a CONNECT on a connection that is one too many."""
        self._refuse_if_too_many(flow)

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refuse a request on a connection that is one too many."""
        self._refuse_if_too_many(flow)

    def _refuse_if_too_many(self, flow: http.HTTPFlow) -> None:
        if self.gate.connection_of(flow.client_conn).is_too_many and flow.error is None:
            text = f"This computer has over {self.per_address} connections open through the town's proxy."
            flow.response = bare_response(429, f"{text} Close what you do not need, and try again.")
            flow.response.headers["Retry-After"] = "10"
