"""Response policy zones (RPZ): a DNS zone whose records say which names are not to be answered.

    $TTL 300                                    as in any zone; relative names get the origin
    @ SOA ..., NS ...                           about the zone, no entries
    cardroom.example     CNAME .                the name itself: no such name
    *.cardroom.example   CNAME *.               names below it: no data
    bank.example         CNAME rpz-passthru.    an exception
    24.0.2.0.192.rpz-ip  CNAME .                sites with an address in 192.0.2.0/24

Owners may lie in the zone's own name, which is told from the SOA record or $ORIGIN.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from categories.entry_key import EXCEPTED_HERE, exact_key, host_key
from categories.host_name import canonical_host
from categories.parsing import Problems, plain_keys

_RECORD = re.compile(
    r"(?P<owner>\S*)(?:\s+(?:[0-9]+[smhdw]?|IN))*\s+(?P<type>[A-Z]+[0-9]*)\s+(?P<data>.*)", re.I
)
_SIGN = re.compile(r"^(?:\$TTL|\$ORIGIN)\s|\sSOA\s|\sCNAME\s+(?:\.|\*\.|rpz-[a-z-]+\.)\s*$", re.I | re.M)
_BLOCKING = frozenset({".", "*.", "rpz-drop.", "rpz-tcp-only."})
_PASSING = "rpz-passthru."
_ABOUT_THE_ZONE = frozenset({"SOA", "NS"})
_ADDRESS_TRIGGER = ".rpz-ip"
_OTHER_TRIGGERS = (".rpz-client-ip", ".rpz-nsip", ".rpz-nsdname")
_IPV6_LABELS = 8
_IPV4_LABELS = 4


class _UnusableError(Exception):
    """A record is not about the name or address of a site."""


def is_response_policy_zone(beginning: str) -> bool:
    """Whether a list that begins like this is a response policy zone."""
    return _SIGN.search(beginning) is not None


def response_policy_keys(lines: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the keys of what a zone does not answer, and of its exceptions."""
    zone = _Zone()
    depth = 0
    for number, line in enumerate(lines, 1):
        text = line.partition(";")[0].rstrip()
        inside = depth
        depth += text.count("(") - text.count(")")
        # What continues a record in parentheses is the numbers of an SOA.
        if not text.strip() or inside > 0:
            continue
        column = len(text) - len(text.lstrip()) + 1
        try:
            yield from zone.keys(text)
        except _UnusableError as error:
            problems.add_unusable(file, number, column, text.strip(), str(error))
        except ValueError as error:
            problems.add(file, number, column, text.strip(), str(error))
    if depth > 0:
        problems.add(file, number, 1, "", "a parenthesis is open to the end")


class _Zone:
    """What one line of a zone leaves to the next: the origin, and the owner of a record without one."""

    def __init__(self) -> None:
        self._name = ""
        self._origin = ""
        self._owner = ""

    def keys(self, line: str) -> list[str]:
        """Return the keys of one line, without its comment."""
        if line.startswith("$"):
            return self._directive(line)
        found = _RECORD.fullmatch(line)
        if found is None:
            raise ValueError("is not a record of a zone")
        self._owner = found["owner"] or self._owner
        kind, data = found["type"].upper(), found["data"].strip().lower()
        if kind in _ABOUT_THE_ZONE:
            if kind == "SOA" and self._owner.endswith("."):
                self._name = self._owner[:-1].lower()
            return []
        owner = self._subject(self._owner.lower())
        if kind == "CNAME" and data in _BLOCKING:
            return _blocked(owner)
        if kind == "CNAME" and data in (_PASSING, f"{owner.removeprefix('*.')}."):
            return _passed(owner)
        raise _UnusableError("answers otherwise, and blocks nothing")

    def _directive(self, line: str) -> list[str]:
        word, *values = line.split()
        match word.upper(), values:
            case "$TTL", [_]:
                return []
            case "$ORIGIN", [name]:
                self._origin = name.rstrip(".").lower()
                self._name = self._name or self._origin
                return []
        raise ValueError(f"{word!r} is not read here")

    def _subject(self, owner: str) -> str:
        """Return the name that a record is about: its owner's, without the zone's own name."""
        if owner.endswith("."):
            name = owner[:-1]
        elif owner == "@":
            name = self._origin
        else:
            name = f"{owner}.{self._origin}" if self._origin else owner
        return name.removesuffix(f".{self._name}") if self._name else name


def _blocked(owner: str) -> list[str]:
    if owner.endswith(_ADDRESS_TRIGGER):
        return plain_keys(_range(owner))
    host = _name(owner)
    return [host_key(host) if owner.startswith("*.") else exact_key(host)]


def _passed(owner: str) -> list[str]:
    if owner.endswith(_ADDRESS_TRIGGER):
        raise _UnusableError("is an exception by address")
    host = _name(owner)
    return [EXCEPTED_HERE + (host_key(host) if owner.startswith("*.") else exact_key(host))]


def _name(owner: str) -> str:
    if owner.endswith(_OTHER_TRIGGERS):
        raise _UnusableError("is about who asks or name servers, not about a site")
    return canonical_host(owner.removeprefix("*."))


def _range(owner: str) -> str:
    """Return the range of addresses that an owner means: `24.0.2.0.192.rpz-ip`, `48.zz.db8.2001.rpz-ip`."""
    length, *labels = owner.removesuffix(_ADDRESS_TRIGGER).split(".")
    parts = labels[::-1]
    if len(parts) == _IPV4_LABELS and "zz" not in parts:
        address = ".".join(parts)
    elif len(parts) <= _IPV6_LABELS:
        address = ":".join("" if part == "zz" else part for part in parts)
        address = f":{address}" if parts[:1] == ["zz"] else address
        address = f"{address}:" if parts[-1:] == ["zz"] else address
    else:
        address = ""
    try:
        return str(ip_network(f"{address}/{length}"))
    except ValueError as error:
        raise ValueError(f"{owner!r} is not a range of addresses") from error
