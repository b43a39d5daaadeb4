"""Expressions that lists have for hosts and URLs: matched in linear time, all of a category at once.

Lists contain what no one should run with an engine that goes back (`(a|b).*.*x`); RE2 never does. What
it does not take (a reference, a look ahead) or cannot hold is refused when the list is read.
"""

from collections.abc import Iterable
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types

_MAX_BYTES_OF_ONE = 1 << 20
_MAX_BYTES_OF_ALL = 64 << 20


class ExpressionError(ValueError):
    """A text is not an expression that can be used."""


def checked_expression(text: str) -> str:
    """Return an expression as it is. Raises ExpressionError when it cannot be used, with the reason."""
    try:
        compiled = re2.compile(text, _options(_MAX_BYTES_OF_ONE))
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ExpressionError(f"is not an expression that can be used: {said}") from error
    if compiled.search(""):
        raise ExpressionError("is an expression that everything matches")
    return text


def quoted(text: str) -> str:
    """Return the expression for hosts and URLs that hold this text."""
    escaped: str = re2.escape(text)
    return escaped


class ExpressionSet:
    """Expressions, each with whatever it stands for, asked all at once."""

    def __init__(self, expressions: Iterable[str]) -> None:
        self._expressions = list(expressions)
        options = _options(_MAX_BYTES_OF_ALL)
        self._one_by_one: list[tuple[str, Any]] = []
        self._set = re2.Set.SearchSet(options)
        # A set that outgrew its memory answers like one of which nothing matches; this always does.
        self._always = self._set.Add("")
        for expression in self._expressions:
            self._set.Add(expression)
        try:
            self._set.Compile()
        except re2.error:
            self._set = None

    def matching(self, text: str) -> list[str]:
        """Return those of the expressions that match somewhere in the text."""
        # As bytes: turning text into them itself takes the library as long as matching does.
        found = self._set.Match(text.encode()) if self._set is not None else None
        if found is None:
            return [expression for expression, one in self._each() if one.search(text)]
        if len(found) == 1:
            return []
        return [self._expressions[number - 1] for number in sorted(found) if number != self._always]

    def _each(self) -> list[tuple[str, Any]]:
        """Return every expression, by itself; made when the set failed for the first time."""
        if len(self._one_by_one) < len(self._expressions):
            options = _options(_MAX_BYTES_OF_ONE)
            self._one_by_one = [(text, re2.compile(text, options)) for text in self._expressions]
        return self._one_by_one


def _options(max_bytes: int) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = max_bytes
    options.never_capture = True
    return options
