"""The files of a list, as lines: of a folder, an archive or a single file, compressed or not.

Nothing is unpacked to disk. What may come out of a compressed file is limited, as a size and as a
multiple of its own size.
"""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

MAX_UNPACKED_BYTES = 4 << 30
MAX_RATIO = 300
MAX_LINE_BYTES = 1 << 20
# Below this a ratio says nothing: a small list of like names packs very well.
_SMALL_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 16
_TAR_MAGIC_AT = 257
# The files of squidGuard's layout that hold entries; descriptions lie beside them.
_LAYOUT_FILES = frozenset({"domains", "urls", "expressions"})


class ListFileError(Exception):
    """A list's files cannot be read to their end; nothing of them is used."""


class ListFile:
    """One file of a list.

    `path` is for messages. `folder` is where it lies in squidGuard's layout, empty for a list that
    is one file; `name` is then empty too. `is_cut` says, once the lines have been read, whether the
    last one lacked its line end.
    """

    def __init__(self, path: str, folder: str, name: str, stream: IO[bytes]) -> None:
        self.path = path
        self.folder = folder
        self.name = name
        self.is_cut = False
        self._buffer = io.BufferedReader(_LineGuard(stream, path), _BLOCK_BYTES)

    def beginning(self) -> str:
        """Return the first kilobytes, before the lines are read."""
        return self._buffer.peek(4096)[:4096].decode("utf-8-sig", "replace")

    def blocks(self) -> Iterator[str]:
        """Yield the text in blocks of whole lines, each ended by a line feed (but perhaps the last).

        What is not UTF-8 becomes U+FFFD. A second time, nothing.
        """
        block = "\n"
        text = io.TextIOWrapper(self._buffer, "utf-8-sig", "replace", newline="\n")
        while more := text.read(_BLOCK_BYTES):
            block = (more + text.readline()).replace("\r\n", "\n")
            yield block
        self.is_cut = not block.endswith("\n")

    def lines(self) -> Iterator[str]:
        """Yield the same line by line."""
        for block in self.blocks():
            yield from io.StringIO(block, newline="\n")


def list_files(path: Path, location: str) -> Iterator[ListFile]:
    """Yield the files below a folder, in an archive, or the one file; each is open until the next.

    Of folders and archives only the files of squidGuard's layout, at any depth. `location` is where
    the list came from, for messages. Raises ListFileError when there is no such file, something
    cannot be read, or it is not what its beginning says.
    """
    try:
        if path.is_dir():
            yield from _files_of_folder(path)
            return
        with path.open("rb") as packed:
            unpacked = io.BufferedReader(_Unpacked(packed, location), _BLOCK_BYTES)
            if unpacked.peek(512)[_TAR_MAGIC_AT:].startswith(b"ustar"):
                yield from _files_of_archive(location, unpacked)
            else:
                yield ListFile(PurePosixPath(location).name, "", "", unpacked)
    except OSError as error:
        raise ListFileError(f"{location}: {error.strerror or error}") from error


def _files_of_folder(path: Path) -> Iterator[ListFile]:
    found = False
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(_LAYOUT_FILES.intersection(names)):
            found = True
            relative = Path(folder).relative_to(path).as_posix()
            with (Path(folder) / name).open("rb") as stream:
                yield ListFile(f"{relative}/{name}", relative, name, stream)
    if not found:
        raise ListFileError(f"{path}: no folder below it holds a file 'domains' or 'urls'")


def _files_of_archive(location: str, unpacked: IO[bytes]) -> Iterator[ListFile]:
    found = False
    try:
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                stream = archive.extractfile(member) if name.name in _LAYOUT_FILES else None
                if stream is not None:
                    found = True
                    yield ListFile(member.name, name.parent.as_posix(), name.name, stream)
    except tarfile.TarError as error:
        raise ListFileError(f"{location}: the archive is cut or damaged ({error})") from error
    if not found:
        raise ListFileError(f"{location}: no folder in the archive holds a file 'domains' or 'urls'")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _decompressed(packed: io.BufferedReader) -> _Readable:
    beginning = packed.peek(8)
    if beginning.startswith(b"\x1f\x8b"):
        return gzip.open(packed)
    if beginning.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(packed)
    if beginning.startswith(b"BZh"):
        return bz2.open(packed)
    return packed


class _Unpacked(io.RawIOBase):
    """A file's content, decompressed if it is compressed, and no more of it than is allowed."""

    def __init__(self, packed: io.BufferedReader, location: str) -> None:
        self._stream = _decompressed(packed)
        self._location = location
        self._left = MAX_UNPACKED_BYTES
        if self._stream is not packed:
            packed_bytes = os.fstat(packed.fileno()).st_size
            self._left = min(self._left, max(MAX_RATIO * packed_bytes, _SMALL_BYTES))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a Buffer, as called by io
        try:
            block = self._stream.read(len(buffer))
        except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
            raise ListFileError(f"{self._location}: cut or damaged ({error})") from error
        self._left -= len(block)
        if self._left < 0:
            raise ListFileError(f"{self._location}: unpacks to more than a list can be; not unpacked further")
        buffer[: len(block)] = block
        return len(block)


class _LineGuard(io.RawIOBase):
    """Passes blocks on while they have line ends, so that no line is ever too long to hold."""

    def __init__(self, stream: IO[bytes], path: str) -> None:
        self._stream = stream
        self._path = path
        self._since_line_end = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a Buffer, as called by io
        try:
            block = self._stream.read(len(buffer))
        except tarfile.TarError as error:
            raise ListFileError(f"{self._path}: the archive is cut or damaged ({error})") from error
        at = block.rfind(b"\n")
        self._since_line_end = self._since_line_end + len(block) if at < 0 else len(block) - at
        if self._since_line_end > MAX_LINE_BYTES:
            raise ListFileError(f"{self._path}: a line is longer than {MAX_LINE_BYTES} bytes; not a list")
        buffer[: len(block)] = block
        return len(block)
