"""From the text of a list to keys, one function per format; what is not understood is counted.

What they yield is a key, or several with line ends between them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range

from categories.entry_key import (
    URL_EXPRESSION,
    host_key,
    plain_path,
    range_key,
    url_key,
    without_service_label,
)
from categories.expressions import ExpressionError, checked_expression
from categories.host_name import HostNameError, canonical_host

_MAX_KEPT_PROBLEMS = 100
_MAX_SHOWN_LENGTH = 80
# What most lines of a list are: names that need nothing but to be reversed. Runs of them are matched
# at once; nothing in it can match in two ways, so it never goes back.
_PLAIN_LINES = re.compile(
    r"(?:(?=[^\n]{1,253}\n)(?:(?!xn--)[a-z0-9_-]{1,63}+\.)++(?!xn--)[a-z][a-z0-9_-]{0,62}+\n)++"
)
_COMMENT_LINE = re.compile(r"\s*(?:[#!;]|//|$)")
_TRAILING_COMMENT = re.compile(r"\s+#.*")
_HOSTS_LINE = re.compile(r"\s*[0-9a-fA-F:.]*[.:][0-9a-fA-F:.]*[ \t]+[^\s#]")
_WORD = re.compile(r"\S+")
# The addresses that a hosts file sends a blocked name to; any other is the name's real one.
_BLOCKED_TO = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1"})  # noqa: S104
# What every hosts file starts with; no entries.
_LOCAL_NAMES = frozenset(
    {
        "0.0.0.0",  # noqa: S104
        "broadcasthost",
        "ip6-allhosts",
        "ip6-allnodes",
        "ip6-allrouters",
        "ip6-localhost",
        "ip6-localnet",
        "ip6-loopback",
        "ip6-mcastprefix",
        "local",
        "localhost",
        "localhost.localdomain",
    }
)
_SCHEME = re.compile(r"^(?:https?:)?//", re.IGNORECASE)
_PORT = re.compile(r":[0-9]{1,5}$")


@dataclass(frozen=True, slots=True)
class Problem:
    """A line, or a word of it, that was not understood. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.reason}"


@dataclass(slots=True)
class Problems:
    """All that is not used of a list: every line counted, the first hundred kept.

    `count` and `first` are of what was not understood. `unusable_count` and `first_unusable` are of
    what was, and says nothing that a verdict on a host or URL could rest on.
    """

    count: int = 0
    first: list[Problem] = field(default_factory=list)
    unusable_count: int = 0
    first_unusable: list[Problem] = field(default_factory=list)

    def add(self, file: str, line: int, column: int, text: str, reason: str) -> None:
        """Count one more that was not understood."""
        self.count += 1
        if len(self.first) < _MAX_KEPT_PROBLEMS:
            self.first.append(Problem(file, line, column, text[:_MAX_SHOWN_LENGTH], reason))

    def add_unusable(self, file: str, line: int, column: int, text: str, reason: str) -> None:
        """Count one more that was understood, and is of no use."""
        self.unusable_count += 1
        if len(self.first_unusable) < _MAX_KEPT_PROBLEMS:
            self.first_unusable.append(Problem(file, line, column, text[:_MAX_SHOWN_LENGTH], reason))


def is_hosts_file(beginning: str) -> bool:
    """Whether a list that begins like this is a hosts file: most lines are an address and a name."""
    lines = [line for line in beginning.splitlines() if not _COMMENT_LINE.match(line)]
    return 2 * sum(1 for line in lines if _HOSTS_LINE.match(line)) > len(lines)


def domain_keys(blocks: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the keys of a plain list: a name, perhaps after `*.` or a dot, an address or a range a line.

    Blocks are of whole lines.
    """
    line = 1
    for block in blocks:
        at = 0
        while at < len(block):
            run = _PLAIN_LINES.match(block, at)
            if run:
                # Keys are reversed names with a dot at the end: all of them in one step, in C.
                names = block[at : run.end() - 1].replace("\n", "\n.")
                yield f".{names}"[::-1]
                line += names.count("\n") + 1
                at = run.end()
            else:
                end = block.find("\n", at) + 1 or len(block)
                yield from _domain_key(block[at:end], file, line, problems)
                line += 1
                at = end


def _domain_key(line: str, file: str, number: int, problems: Problems) -> Iterator[str]:
    if _COMMENT_LINE.match(line):
        return
    name = _TRAILING_COMMENT.sub("", line).strip()
    try:
        yield from plain_keys(name)
    except ValueError as error:
        problems.add(file, number, line.index(name) + 1, line.strip(), str(error))


def plain_keys(text: str) -> list[str]:
    """Return the keys of a name, an address, or a range of addresses (`192.0.2.0/24`, `A-B`).

    `*.` or a dot before a name changes nothing: who lists that means the name, too. Raises
    ValueError, with the reason, when it is neither.
    """
    first, sign, last = text.partition("-")
    if "/" in text:
        return [_range_key(text)]
    if sign and _is_ip(first.strip()) and _is_ip(last.strip()):
        ends = ip_address(first.strip()), ip_address(last.strip())
        try:
            return [_key_of_range(network) for network in summarize_address_range(*ends)]
        except TypeError as error:
            raise ValueError(str(error)) from error
    name = text.removeprefix("*").removeprefix(".")
    # IPv6 addresses have brackets in URLs only.
    return [host_key(canonical_host(f"[{name}]" if name.count(":") > 1 and _is_ip(name) else name))]


def _range_key(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError as error:
        name, _, _ = text.partition("/")
        if _is_ip(name):
            raise ValueError(f"{text[:_MAX_SHOWN_LENGTH]!r} is not a range of addresses") from error
        canonical_host(text)
        raise
    return _key_of_range(network)


def _key_of_range(network: IPv4Network | IPv6Network) -> str:
    mapped = network[0].ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        # A visit to such an address is one to the IPv4 address.
        network = IPv4Network((mapped, network.prefixlen - 96))
    if not network.prefixlen:
        raise ValueError(f"'{network}' is every address there is")
    if network.prefixlen == network.max_prefixlen:
        address = network.network_address
        return host_key(canonical_host(f"[{address}]" if address.version == 6 else str(address)))
    return range_key(network)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def hosts_file_keys(lines: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the key of each name that a hosts file sends nowhere."""
    for number, line in enumerate(lines, 1):
        if _COMMENT_LINE.match(line):
            continue
        address, *names = _WORD.finditer(_TRAILING_COMMENT.sub("", line))
        if address.group() not in _BLOCKED_TO:
            reason = f"{address.group()[:_MAX_SHOWN_LENGTH]!r} is not an address that names are blocked with"
            problems.add(file, number, address.start() + 1, line.rstrip(), reason)
            continue
        if not names:
            problems.add(file, number, address.end() + 1, line.rstrip(), "no name follows the address")
        for word in names:
            name = word.group()
            if name in _LOCAL_NAMES:
                continue
            try:
                host = canonical_host(name)
                if "." not in host:
                    raise HostNameError(f"{host!r} is a name of this network only")
                yield host_key(host)
            except HostNameError as error:
                problems.add(file, number, word.start() + 1, line.rstrip(), str(error))


def url_keys(lines: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the key of each line of a squidGuard `urls` file: a host and a path, without a scheme.

    Ports and fragments are left off: an entry holds at every port.
    """
    for number, line in enumerate(lines, 1):
        if _COMMENT_LINE.match(line):
            continue
        text = line.strip()
        column = line.index(text) + 1
        without_scheme = _SCHEME.sub("", text, count=1)
        name, _, path = without_scheme.partition("/")
        if "?" in without_scheme:
            column += text.index("?")
            problems.add(file, number, column, text, "names a query, which is never looked at")
            continue
        try:
            host = canonical_host(_PORT.sub("", name))
        except HostNameError as error:
            problems.add(file, number, column, text, str(error))
            continue
        yield url_key(without_service_label(host), plain_path(path))


def expression_keys(lines: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the key of each line of a squidGuard `expressions` file: one expression for URLs."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield URL_EXPRESSION + checked_expression(text)
        except ExpressionError as error:
            problems.add(file, number, line.index(text) + 1, text, str(error))
