"""v2fly's domain lists: a file per list, that take from one another.

example.com  or  domain:example.com    the name and its subdomains
full:www.example.com                   the name only
keyword:poker                          every host that holds this
regexp:^bets?[0-9]+\\.example$          every host that this matches
example.com @ads @cn                   with attributes
example.com &other                     in the list `other`, too
include:other @ads @-cn                what `other` has with @ads and without @cn
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from categories.entry_key import HOST_EXPRESSION, exact_key
from categories.expressions import checked_expression, quoted
from categories.host_name import canonical_host
from categories.parsing import Problems, plain_keys

_RULE = re.compile(r"^\s*(?:domain|full|keyword|regexp|include):|^[^\s#]+(?:\s+[@&][\w!-]+)+\s*(?:#|$)", re.M)
_LIST_NAME = re.compile(r"[a-z0-9!._-]+")
_ATTRIBUTE = re.compile(r"[a-z0-9!_-]+")


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Include:
    """A line that takes entries of another list. `line` and `column` are its place."""

    name: str
    having: frozenset[str]
    lacking: frozenset[str]
    line: int
    column: int

    def takes(self, entry: _Entry) -> bool:
        return self.having <= entry.attributes and not self.lacking & entry.attributes


@dataclass(slots=True)
class _List:
    file: str
    entries: list[_Entry] = field(default_factory=list)
    includes: list[_Include] = field(default_factory=list)


def is_domain_list(beginning: str) -> bool:
    """Whether a file that begins like this is one of v2fly's lists, and no plain one."""
    return _RULE.search(beginning) is not None


class DomainLists:
    """Lists that may take from one another; all are added before any is asked for."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._lists: dict[str, _List] = {}
        self._affiliated: dict[str, list[_Entry]] = {}
        self._whole: dict[str, dict[_Entry, None]] = {}

    def names(self) -> list[str]:
        """Return the names of the lists that were added."""
        return sorted(self._lists)

    def add(self, name: str, file: str, lines: Iterable[str]) -> None:
        """Read a list. What is not understood is counted."""
        read = self._lists[name] = _List(file)
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            column = line.index(text) + 1
            try:
                self._read(text, read, number, column)
            except ValueError as error:
                self._problems.add(file, number, column, text, str(error))

    def keys(self, name: str) -> list[str]:
        """Return the keys of a list and of those it takes from, each once."""
        return list(dict.fromkeys(entry.key for entry in self._entries(name)))

    def _read(self, text: str, target: _List, number: int, column: int) -> None:
        rule, *marks = text.split()
        attributes = {mark[1:].lower() for mark in marks if mark.startswith("@")}
        lists = [mark[1:].lower() for mark in marks if mark.startswith("&")]
        for mark in marks:
            if mark[0] not in "@&" or not _ATTRIBUTE.fullmatch(mark[1:].lower()):
                raise ValueError(f"{mark!r} is neither an attribute nor a list")
        kind, colon, value = rule.partition(":")
        if colon and kind.lower() == "include":
            name = value.lower()
            if not _LIST_NAME.fullmatch(name) or lists:
                raise ValueError(f"{text!r} names no list to include")
            lacking = frozenset(mark[1:] for mark in attributes if mark.startswith("-"))
            having = frozenset(mark for mark in attributes if not mark.startswith("-"))
            target.includes.append(_Include(name, having, lacking, number, column))
            return
        for key in _keys(kind.lower(), value) if colon else plain_keys(rule):
            entry = _Entry(key, frozenset(attributes))
            target.entries.append(entry)
            for name in lists:
                self._affiliated.setdefault(name, []).append(entry)

    def _entries(self, name: str) -> dict[_Entry, None]:
        """Return the entries of a list in their order; of one that is being put together, those so far."""
        if name in self._whole:
            return self._whole[name]
        found = self._lists[name]
        entries = self._whole[name] = dict.fromkeys([*found.entries, *self._affiliated.get(name, ())])
        for include in found.includes:
            if include.name in self._lists:
                entries.update(dict.fromkeys(filter(include.takes, [*self._entries(include.name)])))
            else:
                text = f"include:{include.name}"
                reason = f"includes {include.name!r}, which is not there"
                self._problems.add(found.file, include.line, include.column, text, reason)
        return entries


def _keys(kind: str, value: str) -> list[str]:
    match kind:
        case "domain":
            return plain_keys(value)
        case "full":
            return [exact_key(canonical_host(value))]
        case "keyword":
            if not value:
                raise ValueError("a keyword of nothing is in every host")
            return [HOST_EXPRESSION + quoted(value.lower())]
        case "regexp":
            return [HOST_EXPRESSION + checked_expression(value)]
    raise ValueError(f"{kind!r} is not a kind of rule: domain, full, keyword, regexp, include")
