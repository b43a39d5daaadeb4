"""What a backup holds: `manifest.json` in its folder names every file with its digest.

It is written last, so that a folder without it is no backup.
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

MANIFEST = "manifest.json"
_FORMAT = 1
_BLOCK_BYTES = 1 << 20
_RIGHTS = 0o777


class ManifestError(Exception):
    """A folder is no backup, or not as it was when it was made."""


@dataclass(frozen=True, slots=True)
class BackedUpFile:
    """One file as it was when it was copied; `mode` are its rights."""

    size_bytes: int
    sha256: str
    mode: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup's files, by their paths below the state folder. `made_at` is aware UTC."""

    town: str
    made_at: datetime
    files: Mapping[str, BackedUpFile]

    @property
    def size_bytes(self) -> int:
        """How much all files hold."""
        return sum(file.size_bytes for file in self.files.values())

    def holds(self, path: str) -> bool:
        """Whether a file is in the backup."""
        return path in self.files

    def to_bytes(self) -> bytes:
        """Return the manifest as the bytes of its file."""
        files = {path: asdict(file) for path, file in sorted(self.files.items())}
        values = {"format": _FORMAT, "town": self.town, "made_at": self.made_at.isoformat(), "files": files}
        return json.dumps(values, indent=1).encode()


def read_manifest(folder: Path) -> Manifest:
    """Read a backup's manifest. Raises ManifestError, with what to do."""
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
        if values["format"] != _FORMAT:
            raise ManifestError(f"{path}: of another version of Towngate; restore it with that one")
        files = {name: _file(**facts) for name, facts in values["files"].items()}
        manifest = Manifest(str(values["town"]), datetime.fromisoformat(values["made_at"]), files)
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}; a backup that is whole has one") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestError(f"{path}: does not say what the backup holds; use another backup") from error
    for name in manifest.files:
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts) or name == MANIFEST:
            raise ManifestError(f"{path}: {name!r} is no file of a state folder; use another backup")
    return manifest


def _file(*, size_bytes: int, sha256: str, mode: int) -> BackedUpFile:
    """Return a file's facts. Raises ValueError or TypeError for what a backup never writes.

    A program that runs as somebody else's is no part of a town.
    """
    if not (isinstance(mode, int) and 0 <= mode <= _RIGHTS):
        raise ValueError(f"{mode!r} are no rights")
    return BackedUpFile(size_bytes, sha256, mode)


def copy_file(source: Path, target: Path, mode: int | None = None) -> BackedUpFile:
    """Copy a regular file to disk, never through a link; return what was copied.

    `target` must not be there; it gets the source's rights unless `mode` is given. Raises OSError.
    """
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(reading, "rb") as from_file:
        facts = os.fstat(reading)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(0, "is not a file", str(source))
        rights = stat.S_IMODE(facts.st_mode) & _RIGHTS if mode is None else mode
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as to_file:
            os.fchmod(to_file.fileno(), rights)
            digest, size = hashlib.sha256(), 0
            while block := from_file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                to_file.write(block)
            to_file.flush()
            os.fsync(to_file.fileno())
    return BackedUpFile(size, digest.hexdigest(), rights)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
