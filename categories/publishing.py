"""Which snapshot is current: published with a rename, swapped in by those who look things up.

The folder holds a subfolder per version and `current.json`, which names the current one, says when
it was built, and of what, and names the few before it, to go back to.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from categories.compiling import compile_snapshot, made_of
from categories.entries import EntriesFile
from categories.reading import read_edition
from categories.snapshot import CategorySnapshot, CategorySnapshotError, verify
from categories.sources import STARTER, starter_source
from categories.taxonomy import taxonomy

_POINTER = "current.json"
_UNFINISHED = "unfinished-"
_FORMER_KEPT = 3


class CurrentSnapshot:
    """The snapshot in use, and the way to the next one.

    `changed` is cheap enough to ask four times a second; `load` takes as long as reading the new
    files does and may run in a thread beside lookups. A new snapshot is verified whole, then the one
    reference `snapshot` is replaced; if it cannot be used the old one stays and `last_error` says
    why. Making one raises CategorySnapshotError when nothing usable is published.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last_error: str | None = None
        self._seen = self._stamp()
        self.snapshot = _open_current(folder)

    def changed(self) -> bool:
        """Whether something was published since the last look at it. One stat."""
        return self._stamp() != self._seen

    def load(self) -> bool:
        """Take what is published now into use; False when it cannot be used, which is remembered."""
        seen = self._stamp()
        try:
            snapshot = _open_current(self.folder)
        except CategorySnapshotError as error:
            self.last_error = str(error)
            return False
        else:
            self.snapshot = snapshot
            self.last_error = None
            return True
        finally:
            # The one that was looked at: whatever is published meanwhile counts as a change, and
            # what was refused is not read again and again.
            self._seen = seen

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = (self.folder / _POINTER).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Version:
    """A snapshot that was published: when it was built (aware UTC), and of what (`compiling.made_of`).

    `made_of` is empty where it was not said.
    """

    version: str
    built_at: datetime
    made_of: str


@dataclass(frozen=True, slots=True)
class _Pointer:
    """What `current.json` says. `former` are those that can be gone back to, newest first."""

    current: Version
    former: tuple[Version, ...] = ()
    is_held: bool = False


def publish(folder: Path, sources: Iterable[EntriesFile], built_at: datetime) -> CategorySnapshot:
    """Compile the sources' entries and make them the current snapshot; return it, open.

    Where the current one was made of the very same, it only gets the new date: compiling takes half
    a minute. `built_at` is aware UTC. Nothing of `folder` that others read changes before the new snapshot is
    on disk and verified. The three that were current before stay, to go back to; older ones, and what an
    interrupted run left behind, are removed. One run at a time, which is for the caller to see to.
    """
    sources = tuple(sources)
    content = made_of(sources, taxonomy())
    try:
        former = _read_pointer(folder)
    except CategorySnapshotError:
        former = None
    if former is not None and former.current.made_of == content:
        version = former.current.version
        if _is_whole(folder / version):
            _write_pointer(folder, replace(former, current=replace(former.current, built_at=built_at)))
            return CategorySnapshot.open(folder / version, built_at)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder))
    try:
        version = compile_snapshot(sources, unfinished, taxonomy())
        for path in unfinished.iterdir():
            path.chmod(0o644)
            _sync(path)
        unfinished.chmod(0o755)
        _sync(unfinished)
        target = folder / version
        if not _is_whole(target):
            shutil.rmtree(target, ignore_errors=True)
            unfinished.rename(target)
            verify(target)
            _sync(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    kept = tuple(other for other in _all_of(former) if other.version != version)[:_FORMER_KEPT]
    _write_pointer(folder, _Pointer(Version(version, built_at, content), kept))
    in_use = {version, *(other.version for other in kept)}
    for path in folder.iterdir():
        if path.is_dir() and path.name not in in_use:
            shutil.rmtree(path)
    return CategorySnapshot.open(target, built_at)


def has_current(folder: Path) -> bool:
    """Whether a snapshot was published in this folder."""
    return (folder / _POINTER).exists()


def files_of_current(folder: Path) -> tuple[Path, ...]:
    """Return every file of what is published now. Raises CategorySnapshotError when nothing is."""
    version = folder / _read_pointer(folder).current.version
    return folder / _POINTER, *sorted(version.iterdir())


def versions(folder: Path) -> tuple[Version, ...]:
    """Return the current version, then those that can be gone back to, newest first.

    Raises CategorySnapshotError when nothing is published.
    """
    pointer = _read_pointer(folder)
    return pointer.current, *(other for other in pointer.former if (folder / other.version).is_dir())


def open_version(folder: Path, version: str) -> CategorySnapshot | None:
    """Return a version that is current or can be gone back to, verified and open; None when it is gone."""
    try:
        found = next((one for one in versions(folder) if one.version == version), None)
        if found is None:
            return None
        verify(folder / found.version)
        return CategorySnapshot.open(folder / found.version, found.built_at)
    except CategorySnapshotError:
        return None


def is_held(folder: Path) -> bool:
    """Whether the current snapshot was gone back to, so that updates do not replace it."""
    try:
        return _read_pointer(folder).is_held
    except CategorySnapshotError:
        return False


def go_back(folder: Path, to: Version) -> CategorySnapshot:
    """Make a former snapshot, which the caller has verified, the current one, and hold it.

    Return it, open. Raises CategorySnapshotError when it cannot be used; the current one then stays.
    """
    snapshot = CategorySnapshot.open(folder / to.version, to.built_at)
    others = [other for other in versions(folder) if other.version != to.version]
    newest_first = sorted(others, key=lambda other: other.built_at, reverse=True)
    _write_pointer(folder, _Pointer(to, tuple(newest_first), is_held=True))
    return snapshot


def end_hold(folder: Path) -> None:
    """Let updates replace the current snapshot again."""
    _write_pointer(folder, replace(_read_pointer(folder), is_held=False))


def copy_current(folder: Path, target: Path) -> bool:
    """Make a copy of what is current, not held, in another folder of the same disk; False: nothing is."""
    if not has_current(folder):
        return False
    current = _read_pointer(folder).current
    (target / current.version).mkdir()
    for path in (folder / current.version).iterdir():
        os.link(path, target / current.version / path.name)
    _write_pointer(target, _Pointer(current))
    return True


def publish_starter_if_empty(folder: Path) -> None:
    """Publish the starter list in a folder where nothing was ever published."""
    if has_current(folder):
        return
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, STARTER)
        read_edition(starter_source(), path, taxonomy(), now)
        entries = EntriesFile(path)
        publish(folder, [entries], now)
        entries.close()


def _is_whole(target: Path) -> bool:
    """Whether the same content was published before and is still as it was."""
    try:
        verify(target)
    except CategorySnapshotError:
        return False
    return True


def _open_current(folder: Path) -> CategorySnapshot:
    while True:
        current = _read_pointer(folder).current
        try:
            verify(folder / current.version)
            return CategorySnapshot.open(folder / current.version, current.built_at)
        except CategorySnapshotError:
            # Published and cleared away while we were looking? Then there is a newer one.
            if _read_pointer(folder).current.version == current.version:
                raise


def _read_pointer(folder: Path) -> _Pointer:
    path = folder / _POINTER
    try:
        values = json.loads(path.read_bytes())
        former = tuple(_version(other) for other in values.get("former", ()))
        return _Pointer(_version(values), former, values.get("is_held") is True)
    except OSError as error:
        raise CategorySnapshotError(
            f"{path}: {error.strerror}; 'towngate categories update' publishes a snapshot"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise CategorySnapshotError(f"{path}: does not say which snapshot is current") from error


def _version(values: dict[str, str]) -> Version:
    built_at = datetime.fromisoformat(values["built_at"])
    return Version(str(values["version"]), built_at, str(values.get("made_of", "")))


def _all_of(pointer: _Pointer | None) -> tuple[Version, ...]:
    return (pointer.current, *pointer.former) if pointer is not None else ()


def _write_pointer(folder: Path, pointer: _Pointer) -> None:
    values: dict[str, object] = _as_json(pointer.current)
    values |= {"former": [_as_json(other) for other in pointer.former], "is_held": pointer.is_held}
    unfinished = folder / f"{_UNFINISHED}{_POINTER}"
    unfinished.write_text(json.dumps(values))
    unfinished.chmod(0o644)
    _sync(unfinished)
    unfinished.replace(folder / _POINTER)
    _sync(folder)


def _as_json(version: Version) -> dict[str, object]:
    return asdict(version) | {"built_at": version.built_at.astimezone(UTC).isoformat()}


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
