"""The entries of one source as they are kept: parsed, checked, ready to compile.

One zip file per source, so that a new edition replaces the old one in one rename: a member with
keys (`categories.entry_key`), one a line, per category and kind, and `source.json`.
"""

import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from categories.taxonomy import Taxonomy

# Neighbours in a trie that follow each other here make compiling three times faster; sorting all of
# a large list at once would take more memory than compiling does.
_SORTED_AT_ONCE = 1 << 19
_READ_AT_ONCE = 1 << 20
_INDEX = "source.json"
_FORMAT = 1


class EntriesError(Exception):
    """A file of kept entries cannot be read; its source has to be fetched again."""


@dataclass(frozen=True, slots=True)
class Section:
    """The entries of one kind ("names" or "urls") in one category, named as the list names it."""

    category: str
    kind: str
    count: int
    member: str


@dataclass(frozen=True, slots=True)
class KeptSource:
    """Where a source's entries come from and what they are.

    `location` is a path or URL, `category` ours for a plain list, None where the list has its own.
    `list_format` says which names of the taxonomy its categories have. `fetched_at` is aware UTC.
    """

    name: str
    location: str
    category: str | None
    list_format: str
    fetched_at: datetime
    sections: tuple[Section, ...]

    @property
    def count(self) -> int:
        """The number of entries."""
        return sum(section.count for section in self.sections)

    def category_of(self, section: Section, words: Taxonomy) -> str | None:
        """Return the id of what the entries of a section are in, None when they are used for nothing."""
        return self.category or words.for_list_category(self.list_format, section.category)


class EntriesWriter:
    """Writes a file of entries, section by section; nothing can read it before `close`.

    As a context manager it lets go of a file that was not completed.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.sections: list[Section] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def write(self, category: str, kind: str, keys: Iterable[str]) -> None:
        """Write one section. Each of `keys` is a key, or several with line ends between them."""
        member = f"{len(self.sections)}"
        count = 0
        batch: list[str] = []
        with (
            self._zip.open(member, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8", newline="\n") as file,
        ):
            for key in itertools.chain(keys, [None]):
                if key is not None:
                    batch += key.split("\n")
                if batch and (key is None or len(batch) >= _SORTED_AT_ONCE):
                    batch.sort()
                    file.write("\n".join(batch) + "\n")
                    count += len(batch)
                    batch = []
        self.sections.append(Section(category, kind, count, member))

    def close(self, source: KeptSource) -> None:
        """Write who the entries are of; `source.sections` names the sections in the order written."""
        values = asdict(source) | {"format": _FORMAT, "fetched_at": source.fetched_at.isoformat()}
        self._zip.writestr(_INDEX, json.dumps(values, indent=1))
        self._zip.close()


class EntriesFile:
    """A file of entries, open for reading.

    Raises EntriesError when it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
            values = json.loads(self._zip.read(_INDEX))
            if values.pop("format") != _FORMAT:
                raise EntriesError(f"{path}: written by another version; fetch the source again")
            fetched_at = datetime.fromisoformat(values.pop("fetched_at"))
            sections = tuple(Section(**section) for section in values.pop("sections"))
            self.source = KeptSource(**values, fetched_at=fetched_at, sections=sections)
        except OSError as error:
            raise EntriesError(f"{path}: {error.strerror}") from error
        except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
            raise EntriesError(f"{path}: not a file of entries; fetch the source again") from error

    def content_of(self, section: Section) -> tuple[int, int]:
        """Return size and checksum of a section's keys: others than before when its keys are."""
        try:
            member = self._zip.getinfo(section.member)
        except KeyError as error:
            raise EntriesError(f"{self.path}: cut or altered; fetch the source again") from error
        return member.file_size, member.CRC

    def keys(self, section: Section) -> Iterator[str]:
        """Return the keys of one section, as often as asked."""
        return itertools.chain.from_iterable(self.blocks(section))

    def blocks(self, section: Section) -> Iterator[list[str]]:
        """Yield the same, many at a time: millions of keys are split in C, not taken one by one."""
        rest = b""
        try:
            with self._zip.open(section.member) as raw:
                while block := raw.read(_READ_AT_ONCE):
                    whole, end, rest = (rest + block).rpartition(b"\n")
                    if end:
                        yield whole.decode().split("\n")
        except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, KeyError) as error:
            raise EntriesError(f"{self.path}: cut or altered; fetch the source again") from error

    def find(self, section: Section, keys: Collection[str]) -> set[str]:
        """Return which of `keys` are in a section; much faster than walking it."""
        wanted, found = set(keys), set[str]()
        for block in self.blocks(section):
            found |= wanted.intersection(block)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
