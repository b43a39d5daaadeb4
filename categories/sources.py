"""Sources: where the entries come from, and the folder that keeps the last good ones of each."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from categories.entries import EntriesError, EntriesFile, KeptSource
from categories.source_checks import SourceCheck, read_check, write_check

STARTER = "starter"
"""The name of the list that ships with Towngate."""

_STARTER_FOLDER = Path(__file__).with_name("starter")
_SUFFIX = ".entries"
_CHECK_SUFFIX = ".check.json"
UNFINISHED = ".unfinished"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


class SourceError(Exception):
    """A list source cannot be used; its last good entries stay in force."""


class NotFetchedError(SourceError):
    """Nothing came of fetching it, so nothing was judged."""


@dataclass(frozen=True, slots=True)
class Source:
    """A list: its name in the town, and the path or URL that it is read from.

    `category` is the id that every entry gets; None leaves it to the list and to its name.
    ValueError for a name that is none.
    """

    name: str
    location: str
    category: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a name for a source: use a to z, 0 to 9, '-' and '_'")


def is_url(location: str) -> bool:
    """Whether a location is to be fetched, and not a path."""
    return location.startswith(("http://", "https://"))


def starter_source() -> Source:
    """Return the list that ships with Towngate."""
    return Source(STARTER, str(_STARTER_FOLDER))


class KeptSources:
    """The folder in which the last good entries of every source are kept, a file each.

    Beside it, what came of the last tries to bring it up to date; of a source that never succeeded
    only that.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the folder for an update until the end of the block; yield False when another one does."""
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def names(self) -> list[str]:
        """Return the names of all sources of which entries are kept."""
        return sorted(path.stem for path in self.folder.glob(f"*{_SUFFIX}"))

    def open(self, name: str) -> EntriesFile:
        """Open the entries of a source; EntriesError when they are not there or damaged."""
        return EntriesFile(self._path_of(name))

    def find(self, name: str) -> KeptSource | None:
        """Return what is kept of a source, None if nothing is (any more)."""
        try:
            with self.open(name) as entries:
                return entries.source
        except EntriesError:
            return None

    def unfinished_path(self, name: str) -> Path:
        """Return where to write new entries of a source before they are kept."""
        return self.folder / f"{name}{UNFINISHED}"

    def keep(self, name: str) -> None:
        """Put the unfinished entries of a source, now complete, in the place of the kept ones."""
        unfinished = self.unfinished_path(name)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(self._path_of(name))

    def remove(self, name: str) -> None:
        """Keep nothing of a source any more."""
        self._path_of(name).unlink(missing_ok=True)
        self._check_path(name).unlink(missing_ok=True)

    def tried(self) -> list[str]:
        """Return the names of all sources that were ever tried, in force or not."""
        checked = {path.name.removesuffix(_CHECK_SUFFIX) for path in self.folder.glob(f"*{_CHECK_SUFFIX}")}
        return sorted(checked.union(self.names()))

    def check(self, name: str) -> SourceCheck | None:
        """Return how a source stands, None when it was never tried.

        Where only its entries are there, kept by an earlier version, it stands as they were fetched.
        """
        noted = read_check(self._check_path(name))
        kept = self.find(name) if noted is None else None
        if kept is not None:
            return SourceCheck(kept.location, kept.category, kept.fetched_at, kept.fetched_at)
        return noted

    def note(self, name: str, check: SourceCheck) -> None:
        """Remember how a source stands."""
        write_check(self._check_path(name), check)

    def clear_unfinished(self) -> None:
        """Remove what was refused, or left behind by an interrupted run."""
        for path in self.folder.glob(f"*{UNFINISHED}"):
            path.unlink()

    def _check_path(self, name: str) -> Path:
        return self.folder / f"{name}{_CHECK_SUFFIX}"

    def _path_of(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"
