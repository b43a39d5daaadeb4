"""The name that a ClientHello asks for, if it can be read one way only."""

from mitmproxy.tls import ClientHello

from categories.host_name import HostNameError, canonical_host

_SERVER_NAME = 0
"""The extension's type (RFC 6066 section 3)."""


def server_name(hello: ClientHello) -> str | None:
    """Return the canonical SNI; None when the client named no host.

    Raises HostNameError when the extension is there and does not hold exactly one host name: an
    origin server might read another one out of it.
    """
    extensions = [body for kind, body in hello.extensions if kind == _SERVER_NAME]
    if not extensions:
        return None
    if len(extensions) > 1 or hello.sni is None:
        raise HostNameError("the ClientHello does not name one host")
    return canonical_host(hello.sni)
