"""IP addresses as text, in whatever form a socket or a person gives them."""

from ipaddress import IPv4Address, IPv6Address, ip_address


def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """Read an address; brackets and an IPv6 zone ("%eth0") are left out.

    An IPv4 address in its IPv6-mapped form is that IPv4 address. ValueError when it is none.
    """
    ip = ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
