"""One value of the policy document: it reads itself, or reports why it cannot be read.

A value that is absent or wrong reads as empty, so that reading goes on to the next problem; the
document is refused at the end when anything was reported.
"""

import difflib
import re
from collections import abc
from collections.abc import Callable, Collection
from enum import StrEnum

from policy.problem import Problem
from policy.yaml_tree import Mapping, Node, Scalar, Sequence

ID_FORM = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MAX_TEXT_LENGTH = 500
_MAX_PARAGRAPHS_LENGTH = 50_000
# Looking for the nearest of thousands of words takes milliseconds, and a document may hold thousands
# of wrong ones.
_MAX_NEAREST = 100
_FEW_WORDS = 12
_NOTHING: abc.Mapping[str, str] = {}


class Findings:
    """What was found wrong, or strange, in one document; `file` is as `Problem` has it."""

    def __init__(self, file: str = "") -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._nearest_left = _MAX_NEAREST

    def nearest(self, word: str, valid: Collection[str]) -> str:
        """Return " (nearest: 'gambling')"; all valid words when none is near and they are few."""
        near: list[str] = []
        if self._nearest_left > 0 and len(word) <= 64:
            self._nearest_left -= 1
            near = difflib.get_close_matches(word.lower(), valid, n=1)
        if near:
            return f" (nearest: {near[0]!r})"
        return f" (there are: {', '.join(valid)})" if 0 < len(valid) <= _FEW_WORDS else ""


class Value:
    """A node of the document at its place, or nothing (`is_given` is False)."""

    __slots__ = ("_column", "_line", "findings", "node", "place")

    def __init__(self, node: Node | None, place: str, findings: Findings, line: int, column: int) -> None:
        self.node = node
        self.place = place
        self.findings = findings
        self._line = node.line if node else line
        self._column = node.column if node else column

    @property
    def is_given(self) -> bool:
        """Whether anything is written here."""
        return self.node is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written after the key, or an empty list."""
        match self.node:
            case Scalar(is_null=is_null):
                return is_null
            case Sequence(items=children) | Mapping(pairs=children):
                return not children
            case _:
                return False

    @property
    def line(self) -> int:
        """The line it is written in; of what should hold it when it is absent."""
        return self._line

    @property
    def column(self) -> int:
        """The column it begins in."""
        return self._column

    def report(self, message: str) -> None:
        """Note a problem here: the document will be refused."""
        self.findings.problems.append(self._problem(message))

    def warn(self, message: str) -> None:
        """Note something strange here: the document is still used."""
        self.findings.warnings.append(self._problem(message))

    def fields(
        self,
        required: Collection[str] = (),
        optional: Collection[str] = (),
        what: str = "a key here",
        instead: abc.Mapping[str, str] = _NOTHING,
    ) -> dict[str, "Value"]:
        """Read a mapping with these keys: a Value for each, given or not.

        `what` names a key, with its article. `instead` says more of some wrong ones ("x" ->
        "is not supported by this version").
        """
        names = (*required, *optional)
        given: dict[str, Value] = {}
        for key, value in self._pairs("keys and values"):
            name = key._scalar_text()
            if name in names:
                given[name] = value
            else:
                key._report_word(name, names, what, instead)
        if isinstance(self.node, Mapping) or self.is_empty:
            for name in required:
                if name not in given:
                    self.report(f"{name!r} is missing")
        return {name: given.get(name) or self._child(None, _key_place(self.place, name)) for name in names}

    def entries(self) -> list[tuple["Value", "Value"]]:
        """Read a mapping from names of the town's own choice to values."""
        return self._pairs("names and what they stand for")

    def items(self) -> list["Value"]:
        """Read a list."""
        match self.node:
            case None:
                return []
            case Scalar(is_null=True):
                return []
            case Sequence(items=items):
                return [self._child(item, f"{self.place}[{i}]") for i, item in enumerate(items)]
            case Scalar(text=text):
                self.report(f"a list is needed here: [{text}]")
            case _:
                self.report("a list is needed here: [one, another]")
        return []

    def items_or_self(self) -> list["Value"]:
        """Read a list, or one value in its place."""
        return self.items() if isinstance(self.node, Sequence) else [self]

    def parsed_items[T](self, parse: Callable[[str], T]) -> list[T]:
        """Read a list of texts by `parse`, leaving out those it does not understand."""
        found = (item.parsed(parse) for item in self.items())
        return [one for one in found if one is not None]

    def text(self) -> str:
        """Read one line of text; white space is folded, characters that cannot be seen are refused."""
        folded = " ".join(self._scalar_text().split())
        if len(folded) > _MAX_TEXT_LENGTH:
            self.report(f"{len(folded)} characters; at most {_MAX_TEXT_LENGTH} are shown")
        elif not folded.isprintable():
            self.report(f"{_shown(folded)} holds characters that cannot be seen")
        return folded

    def paragraphs(self) -> str:
        """Read a text of several lines: line ends as "\\n", spaces at them left out."""
        text = "\n".join(line.rstrip() for line in self._scalar_text().splitlines()).strip()
        if len(text) > _MAX_PARAGRAPHS_LENGTH:
            self.report(f"{len(text):,} characters; at most {_MAX_PARAGRAPHS_LENGTH:,} are shown")
        elif not text.replace("\n", "").isprintable():
            self.report("holds characters that cannot be seen")
        return text

    def new_id(self) -> str:
        """Read an id of the town's own choice."""
        text = self._scalar_text()
        if text and not ID_FORM.fullmatch(text):
            self.report(
                f"{_shown(text)} cannot be an id: write up to 64 small letters, digits, '-', '_' or '.',"
                " a letter or digit first"
            )
        return text

    def parsed[T](self, parse: Callable[[str], T]) -> T | None:
        """Read a text by `parse`; its ValueError is reported."""
        if not (text := self._scalar_text()):
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.report(str(error))
            return None

    def one_of(
        self, valid: Collection[str], what: str, instead: abc.Mapping[str, str] = _NOTHING
    ) -> str | None:
        """Read one of the valid words; `what` names them with their article ("a category")."""
        if not (text := self._scalar_text()):
            return None
        if text in valid:
            return text
        self._report_word(text, valid, what, instead)
        return None

    def each_of(
        self, valid: Collection[str], what: str, instead: abc.Mapping[str, str] = _NOTHING
    ) -> list[str]:
        """Read a list of valid words, none twice."""
        found: list[str] = []
        for item in self.items():
            word = item.one_of(valid, what, instead)
            if word in found:
                item.report(f"{word!r} is listed twice")
            elif word is not None:
                found.append(word)
        return found

    def condition(
        self, valid: Collection[str], what: str, instead: abc.Mapping[str, str] = _NOTHING
    ) -> frozenset[str]:
        """Read a list of valid words that is either left out or not empty.

        An empty one is a problem: a rule without the condition matches anything.
        """
        if self.is_empty:
            self.report("the list is empty; fill it in, or leave the key out")
        return frozenset(self.each_of(valid, what, instead))

    def member[E: StrEnum](
        self, kind: type[E], what: str, instead: abc.Mapping[str, str] = _NOTHING
    ) -> E | None:
        """Read a member of an enumeration."""
        word = self.one_of([member.value for member in kind], what, instead)
        return None if word is None else kind(word)

    def _problem(self, message: str) -> Problem:
        return Problem(self._line, self._column, self.place, message, self.findings.file)

    def _report_word(
        self, word: str, valid: Collection[str], what: str, instead: abc.Mapping[str, str]
    ) -> None:
        why = instead.get(word) or f"is not {what}{self.findings.nearest(word, valid)}"
        self.report(f"{_shown(word)} {why}")

    def _pairs(self, content: str) -> list[tuple["Value", "Value"]]:
        match self.node:
            case None:
                return []
            case Scalar(is_null=True):
                return []
            case Mapping(pairs=pairs):
                pass
            case _:
                self.report(f"{content} are needed here")
                return []
        seen: dict[str, int] = {}
        found = []
        for key_node, node in pairs:
            if not isinstance(key_node, Scalar) or key_node.is_null:
                self._child(key_node, self.place).report("a key must be a plain word")
                continue
            place = _key_place(self.place, key_node.text)
            key = self._child(key_node, place)
            if key_node.text in seen:
                key.report(f"{key_node.text!r} is given twice, first in line {seen[key_node.text]}")
                continue
            seen[key_node.text] = key_node.line
            found.append((key, self._child(node, place)))
        return found

    def _child(self, node: Node | None, place: str) -> "Value":
        return Value(node, place, self.findings, self._line, self._column)

    def _scalar_text(self) -> str:
        match self.node:
            case None:
                return ""
            case Scalar(is_null=True) | Scalar(text=""):
                self.report("nothing is written here")
                return ""
            case Scalar(text=text):
                return text
            case _:
                self.report("one word or text is needed here, not a list or keys")
                return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "...")


def _key_place(place: str, key: str) -> str:
    if not _PLAIN_KEY.fullmatch(key):
        return f"{place}[{_shown(key)}]"
    return f"{place}.{key}" if place else key
