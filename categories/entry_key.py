"""Entries as keys of a trie, made so that a key's listed prefixes are what covers it.

www.cardroom.example              elpmaxe.moordrac.www.
the same, and none of its names   elpmaxe.moordrac.www.|
192.0.2.7                         192.0.2.7.
192.0.0.0/8                       4:11000000
cardroom.example/tables/7.html    elpmaxe.moordrac./tables/7.html/
not cardroom.example              @elpmaxe.moordrac.   or   ^elpmaxe.moordrac.
expression for hosts              <^bets?[.]
expression for URLs               ?/casino[0-9]+/

Names are reversed, letter by letter, and end in a dot, paths end in a slash, so a key that is a prefix
of another always ends at a boundary: `elpmaxe.moordrac.` covers the first name above, and never
notcardroom.example. An address is not reversed; no name ends in a label that is a number, so the two
are never mistaken for one another. A range is its family and the bits that all of its addresses share.
No host can hold any of the signs of the other keys.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote

import ada_url

from categories.host_name import is_address

# Segments that neither start with a dot (they might climb) nor hold an escape.
_PLAIN_PATH = re.compile(r"(?:/[a-z0-9_~-][a-z0-9_~.,;:=@!$&'()*+-]*)*/?")
# squidGuard's rule for URL entries, which its lists are written for: these say nothing about the site.
_SERVICES = ("www", "web", "ftp")
_SERVICE_LABEL = re.compile(rf"(?:{'|'.join(_SERVICES)})[0-9]*\.(?=[^.]+\.)")
_SLASHES = re.compile("//+")
_MOST_ESCAPED = 4
"""No server undoes a path's escapes that often."""
_MAY_BE_ESCAPED = re.compile(r"%[0-9a-f]{2}|/\.|\\")
_PARTS = re.compile("[;\0]")
_HAS_PARTS = re.compile(r"[;\0]|[ .](?:/|\Z)")

THIS_NAME_ONLY = "|"
EXCEPTED_ALWAYS = "@"
EXCEPTED_HERE = "^"
HOST_EXPRESSION = "<"
URL_EXPRESSION = "?"
RANGES = ("4:", "6:")
MAY_END_AN_ADDRESS = frozenset("0123456789]")
"""What a canonical host ends in if it is an address; most names end in something else."""


def host_key(host: str) -> str:
    """Return the key of a canonical host."""
    if host[-1] in MAY_END_AN_ADDRESS and is_address(host):
        return host + "."
    return host[::-1] + "."


def exact_key(host: str) -> str:
    """Return the key of a canonical host for an entry that does not cover its subdomains."""
    return host_key(host) + THIS_NAME_ONLY


def range_key(network: IPv4Network | IPv6Network) -> str:
    """Return the key of a range of addresses."""
    return _bits(network.network_address, network.max_prefixlen)[: network.prefixlen + 2]


def address_key(host: str) -> str:
    """Return the key that the keys of all ranges which an address (a canonical host) is in begin."""
    address = ip_address(host.strip("[]"))
    return _bits(address, address.max_prefixlen)


def _bits(address: IPv4Address | IPv6Address, length: int) -> str:
    return f"{address.version}:{int(address):0{length}b}"


def entry_of_range_key(key: str) -> str:
    """Return a range as people write it, from its key."""
    length = 32 if key.startswith("4") else 128
    first = int(key[2:].ljust(length, "0"), 2)
    return str(ip_network((first if length == 32 else first.to_bytes(16), len(key) - 2)))


def url_key(host: str, path: str) -> str:
    """Return the key of a URL: of a canonical host and a path in its one spelling (`plain_path`)."""
    return host_key(host) + (path if path.endswith("/") else path + "/")


def host_of_url_key(key: str) -> str:
    """Return the canonical host of a URL's key."""
    name = key.partition("/")[0][:-1]
    return name if is_address(name) else name[::-1]


def plain_path(path: str) -> str:
    """Return the one spelling of a path, any text, from its first slash.

    Dot segments resolved, escapes undone (also escapes of escapes, a few times over), lower case,
    single slashes, without query and fragment.
    """
    path = path.lower()
    if not _PLAIN_PATH.fullmatch(path):
        # Bytes that are no UTF-8 may come as surrogates, which no URL and no trie can hold.
        path = _unescaped(path.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
        # "%252e" is "%2e" is ".", and may be of a new dot segment.
        for _ in range(_MOST_ESCAPED):
            if not _MAY_BE_ESCAPED.search(path):
                break
            path = _unescaped(path.replace("?", "%3f").replace("#", "%23").replace("\n", "%0a"))
        # A key is one line of the kept entries.
        path = path.replace("\n", "%0a")
    return path


def _unescaped(path: str) -> str:
    pathname = ada_url.URL(f"http://host/{path.removeprefix('/')}").pathname
    return _SLASHES.sub("/", unquote(pathname).lower())


def bare_path(path: str) -> str:
    """Return a path in its one spelling as servers read it that pass over parts of its segments.

    Without parameters (RFC 3986 section 3.3), without what follows a NUL, and without blanks and
    dots at the end of a segment.
    """
    if _HAS_PARTS.search(path) is None:
        return path
    segments = (_PARTS.split(segment, maxsplit=1)[0].rstrip(" .") for segment in path.split("/"))
    return _SLASHES.sub("/", "/".join(segments))


def is_below(path: str, top: str) -> bool:
    """Whether a path, any text, is `top` or below it, segment by segment, in whatever way a server reads it.

    `top` is in its one spelling, without a slash at its end. Where readings differ it is not, and neither
    is a path with a segment that begins with two dots: some servers climb at "/..;".
    """
    plain = plain_path(path)
    as_sent = _SLASHES.sub("/", unquote(path).lower())
    readings = (plain, bare_path(plain), as_sent)
    return "/.." not in plain and all(f"{one}/".startswith(f"{top}/") for one in readings)


def without_service_label(host: str) -> str:
    """Return the host that URL entries are written for: without a leading www, web3 or ftp."""
    # Most hosts begin otherwise, and an expression takes its time to say so.
    found = host.startswith(_SERVICES) and _SERVICE_LABEL.match(host)
    return host[found.end() :] if found else host


def entry_of_url_key(key: str, host: str) -> str:
    """Return a URL entry as people write it, from its key and the host that the key begins with."""
    return host + (key[len(host) + 1 : -1] or "/")
