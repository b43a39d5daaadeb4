"""A round about many things: what fails for one holds up no other, and the round has failed all the same."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

_MOST_NAMED = 5


class RoundError(Exception):
    """A round has failed for some of those it was about, and is done for all others."""


class OneByOne:
    """A round, from `with` to its end: there RoundError says for which it failed, and how for the first.

    What is the fault of none of them, a disk or a database that takes nothing, ends it at once.
    """

    def __init__(self) -> None:
        self._failed: list[str] = []
        self._first: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._first is None:
            return
        first, *others = self._failed
        said = f"{first}: {self._first!r}"
        if others:
            more = len(others) - _MOST_NAMED
            named = ", ".join(others[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
            said = f"{said}; also {named}"
        raise RoundError(said) from self._first

    @contextmanager
    def about(self, what: str) -> Iterator[None]:
        """Do what there is to do about one of them, "REQ-12"."""
        try:
            yield
        except (OSError, sqlite3.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said at the end of the round
            self._first = self._first or error
            self._failed.append(what)
