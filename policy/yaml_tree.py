"""YAML as a tree that remembers where everything stands.

Scalars stay the text that was written: "16:30" is no base-60 number, "no" is no boolean, and a phone
number keeps its zeros. What a text means is for its reader to say. Tags are not supported.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import yaml

from policy.problem import PolicyError, Problem

MAX_BYTES = 4 * 1024 * 1024
_MAX_DEPTH = 20
# A town of 10,000 people needs about 100,000. Aliases count as often as they are used, so a document
# of a few lines cannot unfold into millions.
_MAX_NODES = 500_000
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# libyaml where PyYAML was built with it: 20 times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One text. `is_null` when nothing was written, or null."""

    line: int
    column: int
    text: str
    is_null: bool
    node_count: int = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: tuple["Node", ...]
    node_count: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values as written: order kept, repeated keys too."""

    line: int
    column: int
    pairs: tuple[tuple["Node", "Node"], ...]
    node_count: int


type Node = Scalar | Sequence | Mapping
type _Written = yaml.ScalarEvent | yaml.CollectionStartEvent


def compose(text: str) -> Node:
    """Read YAML. Raises PolicyError with one problem when it is not one plain YAML document."""
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise _refusal(text.count("\n", 0, error.start) + 1, 1, "this is not UTF-8 text") from error
    if size_bytes > MAX_BYTES:
        raise _refusal(1, 1, f"the document has {size_bytes:,} bytes; at most {MAX_BYTES:,} are read")
    try:
        return _Composer(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_problem(error, text) from error
    except yaml.reader.ReaderError as error:
        line = 1 + next((i for i, part in enumerate(text.split("\n")) if chr(error.character) in part), 0)
        raise _refusal(line, 1, f"the character {error.character:#x} is not allowed in YAML") from error


class _Composer:
    """Turns the parser's events into a tree, one recursion a level, never deeper than _MAX_DEPTH."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._node_count = 0

    def document(self) -> Node:
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise _refusal(1, 1, "the document is empty")
        root = self._node(next(self._events), 0)
        next(self._events)  # the document's end
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _refused_at(event, "a second document begins here; only one is read")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise _refused_at(event, f"nested more than {_MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        # Where a node begins the parser gives nothing else.
        written = cast("_Written", event)
        if written.tag not in (None, "!"):
            raise _refused_at(event, f"the tag {written.tag!r} is not supported; write plain values")
        node = self._written(written, depth)
        if written.anchor is not None:
            self._anchors[written.anchor] = node
        return node

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise _refused_at(event, f"the alias *{event.anchor} has no anchor above it")
        self._count(event, node.node_count)
        return node

    def _written(self, event: _Written, depth: int) -> Node:
        line, column = _position(event)
        before = self._node_count
        self._count(event, 1)
        match event:
            case yaml.ScalarEvent():
                is_plain = event.implicit[0]
                return Scalar(line, column, event.value, is_null=is_plain and event.value in _NULLS)
            case yaml.SequenceStartEvent():
                items = tuple(self._node(e, depth + 1) for e in self._until(yaml.SequenceEndEvent))
                return Sequence(line, column, items, self._node_count - before)
            case _:
                pairs = tuple(
                    (self._node(e, depth + 1), self._node(next(self._events), depth + 1))
                    for e in self._until(yaml.MappingEndEvent)
                )
                return Mapping(line, column, pairs, self._node_count - before)

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._node_count += nodes
        if self._node_count > _MAX_NODES:
            raise _refused_at(event, f"more than {_MAX_NODES:,} values, aliases unfolded")


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _refused_at(event: yaml.Event, message: str) -> PolicyError:
    return _refusal(*_position(event), message)


def _refusal(line: int, column: int, message: str) -> PolicyError:
    return PolicyError((Problem(line, column, "", message),))


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> PolicyError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = f"YAML: {error.problem or 'it cannot be read'}"
    if error.context:
        message += f" {error.context}"
        if error.context_mark and error.context_mark.line + 1 != line:
            message += f" that begins in line {error.context_mark.line + 1}"
    if "".join(text.split("\n")[line - 1 : line])[column - 1 : column] == "\t":
        message += "; indent with spaces, not with tabs"
    return _refusal(line, column, message)
