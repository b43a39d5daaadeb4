"""The address that a browser comes from."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import Request


def address_to_count(http_request: Request) -> str | None:
    """Return the client's address; None where it is this machine's, from which the proxy brings everybody."""
    client, server = http_request.client, http_request.scope.get("server")
    try:
        address = _plain(client.host if client else "")
    except ValueError:
        # Whatever a header said: of nobody in particular.
        return None
    is_here = address.is_loopback or (server is not None and address == _plain(server[0]))
    return None if is_here else str(address)


def seen_address(http_request: Request) -> str | None:
    """Return the address that the connection itself comes from; None where a header may have named it.

    Whoever comes through the proxy comes from this machine, and can send the header of a server in front.
    """
    return None if "x-forwarded-for" in http_request.headers else address_to_count(http_request)


def _plain(host: str) -> IPv4Address | IPv6Address:
    # A socket for both families has IPv4 addresses within IPv6 ones.
    address = ip_address(host)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
