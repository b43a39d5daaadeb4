"""Lists as parts of a resolver's configuration: dnsmasq, Unbound and BIND. They cover subdomains.

address=/cardroom.example/#                         dnsmasq; a name after a name: both
local-zone: "cardroom.example" always_nxdomain      Unbound
zone "cardroom.example" { type master; ... };       BIND
"""

import re
from collections.abc import Iterable, Iterator

from categories.parsing import Problems, plain_keys

_COMMENT = re.compile(r"\s*(?:#|//|$|server:\s*$)")
# Sent nowhere: a name that is sent to a real address is that site's own.
_DNSMASQ = re.compile(
    r"\s*(?:address=/(?P<names>\S+)/(?:#|0\.0\.0\.0|127\.0\.0\.1|::1?|)|(?:server|local)=/(?P<local>\S+)/)\s*"
)
_UNBOUND = re.compile(
    r"""\s*local-zone:\s*"?(?P<names>[^\s"]+)"?\s+(?:always_(?:null|nxdomain|nodata|refuse|deny)|refuse|deny|static)\s*"""
)
_BIND = re.compile(r"""\s*zone\s+"(?P<names>[^"/]+)"\s*(?:IN\s*)?\{.*\};?\s*""", re.I)
_STATEMENT = re.compile(r'^\s*(?:address=/|server=/|local=/|local-zone:|zone\s+")', re.M)


def is_resolver_file(beginning: str) -> bool:
    """Whether a list that begins like this is written for a resolver."""
    return _STATEMENT.search(beginning) is not None


def resolver_keys(lines: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the key of each name that the resolver is told not to answer."""
    for number, line in enumerate(lines, 1):
        if _COMMENT.match(line):
            continue
        text = line.strip()
        column = line.index(text) + 1
        found = _DNSMASQ.fullmatch(line) or _UNBOUND.fullmatch(line) or _BIND.fullmatch(line)
        if found is None:
            problems.add(file, number, column, text, "does not say that a name is not to be answered")
            continue
        for name in next(filter(None, found.groups())).split("/"):
            try:
                yield from plain_keys(name)
            except ValueError as error:
                problems.add(file, number, column, text, str(error))
