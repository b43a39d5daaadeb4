"""TLS on either side: which certificate a client is shown, and which of an origin server is taken.

Both hooks come before mitmproxy's TlsConfig, which leaves alone what has a connection already.
"""

import asyncio
from datetime import UTC, datetime

from mitmproxy import connection, tls
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from categories.host_name import HostNameError, canonical_host
from proxy_addons import egress_metrics
from proxy_addons.authority_watch import AuthorityWatch
from proxy_addons.fail_closed import fail_closed, refusing_connection
from proxy_addons.gate import Gate
from proxy_addons.leaf_certificates import NotMintedError
from proxy_addons.origin_certificate import OriginVerifier, refusal_of

POLL_SECONDS = 1.0

_HTTP1 = b"http/1.1"


class TlsGate:
    """Begins every TLS connection. Closed until `open`: using it before raises."""

    name = "towngate-tls-gate"

    authority: AuthorityWatch
    origins: OriginVerifier

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def open(self, authority: AuthorityWatch, origins: OriginVerifier) -> None:
        """Give the gate what it signs with, and what it verifies with."""
        self.authority = authority
        self.origins = origins

    async def follow(self) -> None:
        """Watch for another CA and other roots: once a second, a stat call for each file."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.authority.look()
            self.origins.look()

    @fail_closed
    def tls_start_client(self, data: tls.TlsData) -> None:
        """Show a certificate of the town's for the one name that was asked for; or refuse."""
        try:
            data.ssl_conn = self.authority.mint.connection(_asked_name(data), datetime.now(UTC))
        except NotMintedError as error:
            data.ssl_conn = refusing_connection(is_client=True)
            connect = self.gate.connection_of(data.context.client).connect
            if connect is not None:
                connect.visit.refusal = f"no page could be shown: {error}"

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Forget why the origin server dialled before was not taken."""
        self.gate.connection_of(data.client).origin_refusal = None

    @fail_closed
    def tls_start_server(self, data: tls.TlsData) -> None:
        """Have an origin server prove that it is the host that was judged and dialled."""
        server = data.conn
        if not isinstance(server, connection.Server) or server.address is None:
            raise TypeError(f"not an origin server: {server}")
        server.sni = server.address[0]
        server.alpn_offers = [_HTTP1]
        data.ssl_conn = self.origins.connection(_canonical(server.address[0]))

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """Note why an origin server was not taken, for the page and the record."""
        if data.ssl_conn is not None:
            known = self.gate.connection_of(data.context.client)
            known.origin_refusal = refusal = refusal_of(data.ssl_conn, data.conn.error or "")
            egress_metrics.UPSTREAM_ERRORS.labels("connection" if refusal is None else "certificate").inc()


def _asked_name(data: tls.TlsData) -> str:
    """Return the canonical host that the client will compare a certificate with."""
    server = data.context.server
    named = data.context.client.sni or (server.address[0] if server.address else "")
    try:
        return _canonical(named)
    except HostNameError as error:
        raise NotMintedError(str(error)) from error


def _canonical(host: str) -> str:
    """Return the canonical host that is dialled by this name."""
    return canonical_host(f"[{host}]" if ":" in host else host)
