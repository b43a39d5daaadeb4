"""AdBlock-style filter lists: the network rules that block a host as a whole, and exceptions to them.

What a rule of such a list can rest on and a verdict on a host cannot (parts of a page, a path, which
site asks, what for) makes it unusable: counted with its reason, and never widened to the whole host.
"""

import re
from collections.abc import Iterable, Iterator

from categories.entry_key import EXCEPTED_ALWAYS
from categories.host_name import HostNameError, canonical_host
from categories.parsing import Problems, plain_keys

_HEADER = re.compile(r"\s*\[[^\]]*\]\s*$")
_COMMENT = re.compile(r"\s*(?:!(?!#)|$|#(?![#@?$%]))")
# Signs of rules about parts of pages, scripts and styles: ##, #@#, #?#, #$#, #%#, $$ and their like.
_COSMETIC = re.compile(r"#@?[?$%]{0,2}#|\$@?\$")
_HOST_RULE = re.compile(r"\|\|(?P<host>[^/^$|]*)(?P<end>\^?\*?\|?)(?P<rest>.*)", re.DOTALL)
_PLAIN_HOST = re.compile(r"[^\s/^$|*,=~?]+")
# Options that do not narrow a rule: all requests to the host, or its pages themselves.
_WIDE_OPTIONS = frozenset({"all", "important", "document", "doc"})
# To take a page's own rules off is another thing than not to block the host.
_WIDE_OPTIONS_OF_EXCEPTIONS = frozenset({"important"})


class _UnusableError(Exception):
    """A rule says nothing about a host as a whole."""


def is_adblock_list(beginning: str) -> bool:
    """Whether a list that begins like this has AdBlock's rules."""
    lines = beginning.splitlines()
    return any(
        line.startswith(("||", "@@||", "!")) or (number == 0 and _HEADER.match(line)) or "##" in line
        for number, line in enumerate(lines)
    )


def adblock_keys(lines: Iterable[str], file: str, problems: Problems) -> Iterator[str]:
    """Yield the keys of what a filter list blocks as a whole, and of its exceptions."""
    for number, line in enumerate(lines, 1):
        if _COMMENT.match(line) or (number == 1 and _HEADER.match(line)):
            continue
        rule = line.strip()
        column = line.index(rule) + 1
        try:
            yield from _keys(rule)
        except _UnusableError as error:
            problems.add_unusable(file, number, column, rule, str(error))
        except ValueError as error:
            problems.add(file, number, column, rule, str(error))


def _keys(rule: str) -> Iterator[str]:
    if rule.startswith("!#"):
        raise ValueError("a directive: what follows it may be meant for others only")
    if _COSMETIC.search(rule):
        raise _UnusableError("is about parts of a page")
    is_exception = rule.startswith("@@")
    pattern = rule.removeprefix("@@")
    found = _HOST_RULE.fullmatch(pattern)
    if found is None:
        if is_exception or not _PLAIN_HOST.fullmatch(pattern):
            raise _UnusableError("matches by a pattern, not by host")
        yield from plain_keys(pattern)
        return
    host, end, rest = found["host"], found["end"], found["rest"]
    _check_options(rest, is_exception)
    if not end.startswith("^"):
        raise _UnusableError("does not end where the host does: it also matches others that begin so")
    keys = plain_keys(_without_port(host))
    for key in keys:
        yield EXCEPTED_ALWAYS + key if is_exception else key


def _check_options(rest: str, is_exception: bool) -> None:
    if not rest:
        return
    if not rest.startswith("$"):
        raise _UnusableError("is about a path, not the host as a whole")
    wide = _WIDE_OPTIONS_OF_EXCEPTIONS if is_exception else _WIDE_OPTIONS
    for option in rest[1:].split(","):
        if option.strip() not in wide:
            raise _UnusableError(f"holds for some requests to the host only: {option.strip()[:40]!r}")


def _without_port(host: str) -> str:
    name = host.removeprefix("*").removeprefix(".")
    if "*" in name:
        raise _UnusableError("matches by a pattern, not by host")
    try:
        return canonical_host(name)
    except HostNameError:
        if re.search(r":[0-9]+$", name):
            raise _UnusableError("is about one port of the host") from None
        raise
