"""TLS on either side: which certificate a client is shown, and which of an origin server is taken.

Both hooks come before mitmproxy's TlsConfig, which leaves alone what has a connection already.
"""

from datetime import UTC, datetime

from mitmproxy import tls

from categories.host_name import HostNameError, canonical_host
from proxy_addons.authority_watch import AuthorityWatch
from proxy_addons.fail_closed import fail_closed, refusing_connection
from proxy_addons.gate import Gate
from proxy_addons.leaf_certificates import NotMintedError


class TlsGate:
    """Begins every TLS connection. Closed until `open`: using it before raises."""

    name = "towngate-tls-gate"

    authority: AuthorityWatch

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def open(self, authority: AuthorityWatch) -> None:
        """Give the gate what it signs with."""
        self.authority = authority

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


def _asked_name(data: tls.TlsData) -> str:
    """Return the canonical host that the client will compare a certificate with."""
    server = data.context.server
    named = data.context.client.sni or (server.address[0] if server.address else "")
    try:
        return canonical_host(f"[{named}]" if ":" in named else named)
    except HostNameError as error:
        raise NotMintedError(str(error)) from error
