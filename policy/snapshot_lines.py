"""A policy snapshot as lines of text, one for each thing in it: so that many of them can be kept.

From one publication to the next few lines differ, as a rule one. A line is a JSON array of two: the path to
a thing, and the thing. The same snapshot is the same lines in every process. What nothing is decided by is
left out: the hashes of people's passwords, and which visits were ended.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from policy.snapshot import PolicySnapshot, SnapshotError

# As `sequence` and `published_at` differ each time, they are for whoever keeps the lines to keep beside them.
_LEFT_OUT = {"sequence", "published_at", "proxy_passwords", "ended_visits"}
# What a policy has many of is as deep: people, devices, departments.
_DEEPEST = 3
# The end of a path: the thing is one more of the list that is there.
_ONE_MORE = None

type _Path = tuple[str | None, ...]


def to_lines(snapshot: PolicySnapshot) -> list[str]:
    """Return what a snapshot decides by as lines."""
    values = _adapter().dump_python(snapshot, exclude=_LEFT_OUT)
    line = json.JSONEncoder(separators=(",", ":"), default=_in_order).encode
    return [line([path, value]) for path, value in _things(values)]


def from_lines(lines: Iterable[str], sequence: int, published_at: datetime) -> PolicySnapshot:
    """Return the snapshot that lines are of. Raises SnapshotError for lines of another version's form."""
    values: dict[str, Any] = {"sequence": sequence, "published_at": published_at.isoformat()}
    try:
        for line in lines:
            path, value = json.loads(line)
            _put(values, path, value)
        # As text, in which a list may stand for a set.
        return _adapter().validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SnapshotError(
            f"the policy kept as {sequence} has another form: {where}: {first['msg']}"
        ) from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise SnapshotError(f"the policy kept as {sequence} is damaged: {error}") from error


@cache
def _adapter() -> TypeAdapter[PolicySnapshot]:
    return TypeAdapter(PolicySnapshot)


def _things(value: object, path: _Path = ()) -> Iterator[tuple[_Path, object]]:
    if isinstance(value, dict) and value and len(path) < _DEEPEST:
        for name, inner in value.items():
            yield from _things(inner, (*path, name))
    elif isinstance(value, tuple) and value:
        for one in value:
            yield (*path, _ONE_MORE), one
    else:
        yield path, value


def _in_order(value: object) -> object:
    """Return what JSON has no form of as what has one; a set always in the same order."""
    match value:
        case frozenset():
            return sorted(value)
        case IPv4Network() | IPv6Network():
            return str(value)
        case _:
            return to_jsonable_python(value)


def _put(values: dict[str, Any], path: list[Any], value: object) -> None:
    if path[-1] is _ONE_MORE:
        *names, last = path[:-1]
    else:
        *names, last = path
    for name in names:
        values = values.setdefault(name, {})
    if path[-1] is _ONE_MORE:
        values.setdefault(last, []).append(value)
    else:
        values[last] = value
