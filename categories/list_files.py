"""The files of a list, as lines: of a folder, an archive or a single file, compressed or not.

Nothing is unpacked to disk. What may come out of a compressed file is limited, as a size and as a
multiple of its own size.
"""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_UNPACKED_BYTES = 4 << 30
MAX_RATIO = 300
MAX_LINE_BYTES = 1 << 20
# Below this a ratio says nothing: a small list of like names packs very well.
_SMALL_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 16
_TAR_MAGIC_AT = 257
# The files of squidGuard's layout that hold entries; descriptions lie beside them.
_LAYOUT_FILES = frozenset({"domains", "urls", "expressions"})
# Where v2fly keeps its lists, each in a file without an ending.
_DOMAIN_LISTS = "data"
_ZIP_MAGIC = b"PK\x03\x04"
_CANNOT_BE_READ = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, zstd.ZstdError, zipfile.BadZipFile)


class ListFileError(Exception):
    """A list's files cannot be read to their end; nothing of them is used."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A folder of squidGuard's layout that is a link to another one; both as paths in the list."""

    folder: str
    of: str


class ListFile:
    """One file of a list.

    `path` is for messages. `folder` is where it lies in squidGuard's layout, empty for a list that
    is one file; `name` is then empty too. `is_domain_list` says that it is one of v2fly's lists,
    `name`. `is_cut` says, once the lines have been read, whether the last one lacked its line end.
    """

    def __init__(
        self, path: str, folder: str, name: str, stream: IO[bytes], *, is_domain_list: bool = False
    ) -> None:
        self.path = path
        self.folder = folder
        self.name = name
        self.is_domain_list = is_domain_list
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


def list_files(path: Path, location: str) -> Iterator[ListFile | Alias]:
    """Yield the files below a folder, in an archive, or the one file; each is open until the next.

    Of folders and archives only the files of squidGuard's layout, at any depth, with the folders
    that are links to others, or those of v2fly's `data`. `location` is where the list came from, for
    messages. Raises ListFileError when there is no such file, something cannot be read, leads out of
    the list, or is not what its beginning says.
    """
    try:
        if path.is_dir():
            yield from _files_of_folder(path)
            return
        with path.open("rb") as packed:
            if packed.peek(4).startswith(_ZIP_MAGIC):
                yield from _files_of_zip(location, packed)
                return
            stream = _decompressed(packed)
            is_packed = stream is not packed
            allowance = _Allowance(location, os.fstat(packed.fileno()).st_size if is_packed else None)
            unpacked = io.BufferedReader(_Unpacked(stream, allowance, location), _BLOCK_BYTES)
            if unpacked.peek(512)[_TAR_MAGIC_AT:].startswith(b"ustar"):
                yield from _files_of_tar(location, unpacked)
            else:
                yield ListFile(PurePosixPath(location).name, "", "", unpacked)
    except OSError as error:
        raise ListFileError(f"{location}: {error.strerror or error}") from error


def _files_of_folder(path: Path) -> Iterator[ListFile | Alias]:
    found = False
    for folder, below, names in os.walk(path):
        below.sort()
        here = Path(folder).relative_to(path)
        for name in below:
            if (Path(folder) / name).is_symlink():
                target = here / (Path(folder) / name).readlink()
                yield Alias((here / name).as_posix(), _within(str(path), here / name, target))
        is_data = Path(folder).name == _DOMAIN_LISTS
        for name in sorted(names):
            if name not in _LAYOUT_FILES and not (is_data and not PurePosixPath(name).suffix):
                continue
            if (Path(folder) / name).is_symlink():
                raise ListFileError(f"{path}: {here / name} is a link, which a list's file cannot be")
            found = True
            with (Path(folder) / name).open("rb") as stream:
                yield ListFile(
                    f"{here.as_posix()}/{name}",
                    here.as_posix(),
                    name,
                    stream,
                    is_domain_list=name not in _LAYOUT_FILES,
                )
    if not found:
        raise ListFileError(f"{path}: no folder below it holds a file 'domains' or 'urls'")


def _files_of_tar(location: str, unpacked: IO[bytes]) -> Iterator[ListFile | Alias]:
    found = False
    try:
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(_checked_name(location, member.name))
                if member.issym() or member.islnk():
                    # A hard link names its target from the root of the archive.
                    root = name.parent if member.issym() else PurePosixPath()
                    target = _within(location, name, root / member.linkname)
                    if not _is_list(name):
                        yield Alias(name.as_posix(), target)
                        continue
                    raise ListFileError(f"{location}: {name} is a link, which a list's file cannot be")
                stream = archive.extractfile(member) if _is_list(name) else None
                if stream is not None:
                    found = True
                    yield _member(name, stream)
    except tarfile.TarError as error:
        raise ListFileError(f"{location}: the archive is cut or damaged ({error})") from error
    if not found:
        raise ListFileError(f"{location}: no folder in the archive holds a file 'domains' or 'urls'")


def _files_of_zip(location: str, packed: io.BufferedReader) -> Iterator[ListFile]:
    """Yield the files of squidGuard's layout or of v2fly's; if there is but one file at all, that."""
    allowance = _Allowance(location, os.fstat(packed.fileno()).st_size)
    try:
        with zipfile.ZipFile(packed) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            names = [PurePosixPath(_checked_name(location, member.filename)) for member in members]
            lists = [(name, member) for name, member in zip(names, members, strict=True) if _is_list(name)]
            for name, member in lists:
                with archive.open(member) as raw:
                    stream = _Unpacked(raw, allowance, location)
                    yield _member(name, io.BufferedReader(stream, _BLOCK_BYTES))
            if len(members) == 1 and not lists:
                with archive.open(members[0]) as raw:
                    stream = _Unpacked(raw, allowance, location)
                    yield ListFile(members[0].filename, "", "", io.BufferedReader(stream, _BLOCK_BYTES))
            elif not lists:
                raise ListFileError(f"{location}: no folder in the archive holds a file 'domains' or 'urls'")
    # What zipfile says of a member that is encrypted or packed in a way it does not know.
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ListFileError(f"{location}: the archive is cut or damaged ({error})") from error


def _is_list(name: PurePosixPath) -> bool:
    return name.name in _LAYOUT_FILES or (name.parent.name == _DOMAIN_LISTS and not name.suffix)


def _member(name: PurePosixPath, stream: IO[bytes]) -> ListFile:
    return ListFile(
        str(name), name.parent.as_posix(), name.name, stream, is_domain_list=name.name not in _LAYOUT_FILES
    )


def _checked_name(location: str, name: str) -> str:
    """Return the name of a member, unless it lies outside of the archive: nobody means well by that."""
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        raise ListFileError(f"{location}: {name!r} in it leads out of the archive; nothing of it is used")
    return name


def _within(location: str, link: PurePath, target: PurePath) -> str:
    """Return where in the list a link leads to."""
    path = os.path.normpath(target)
    if path.startswith(("/", "..")):
        raise ListFileError(f"{location}: {link} in it is a link that leads out; nothing of it is used")
    return path


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
    if beginning.startswith(b"\x28\xb5\x2f\xfd"):
        return zstd.open(packed)
    return packed


class _Allowance:
    """How many bytes may still come out of a file or archive."""

    def __init__(self, location: str, packed_bytes: int | None) -> None:
        self._location = location
        self._left = MAX_UNPACKED_BYTES
        if packed_bytes is not None:
            self._left = min(self._left, max(MAX_RATIO * packed_bytes, _SMALL_BYTES))

    def use(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ListFileError(f"{self._location}: unpacks to more than a list can be; not unpacked further")


class _Unpacked(io.RawIOBase):
    """A file's content, decompressed, and no more of it than is allowed."""

    def __init__(self, stream: _Readable, allowance: _Allowance, location: str) -> None:
        self._stream = stream
        self._allowance = allowance
        self._location = location

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a Buffer, as called by io
        try:
            block = self._stream.read(len(buffer))
        except _CANNOT_BE_READ as error:
            raise ListFileError(f"{self._location}: cut or damaged ({error})") from error
        self._allowance.use(len(block))
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
