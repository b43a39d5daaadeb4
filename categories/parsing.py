"""From the text of a list to keys, one function per format; what is not understood is counted.

What they yield is a key, or several with line ends between them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from categories.entry_key import host_key, url_key, without_service_label
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
    """All that was not understood of a list: every one counted, the first hundred kept."""

    count: int = 0
    first: list[Problem] = field(default_factory=list)

    def add(self, file: str, line: int, column: int, text: str, reason: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < _MAX_KEPT_PROBLEMS:
            self.first.append(Problem(file, line, column, text[:_MAX_SHOWN_LENGTH], reason))


def is_hosts_file(beginning: str) -> bool:
    """Whether a list that begins like this is a hosts file: most lines are an address and a name."""
    lines = [line for line in beginning.splitlines() if not _COMMENT_LINE.match(line)]
    return 2 * sum(1 for line in lines if _HOSTS_LINE.match(line)) > len(lines)


def domain_keys(blocks: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the keys of a plain list: a name or address a line, perhaps after `*.` or a dot.

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
        yield host_key(canonical_host(name.removeprefix("*").removeprefix(".")))
    except HostNameError as error:
        problems.add(file, number, line.index(name) + 1, line.strip(), str(error))


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
        yield url_key(without_service_label(host), path)


def unused_lines(lines: Iterable[str], file: str, problems: Problems, reason: str) -> None:
    """Count every line of a file that nothing is made of."""
    for number, line in enumerate(lines, 1):
        if not _COMMENT_LINE.match(line):
            problems.add(file, number, 1, line.strip(), reason)
