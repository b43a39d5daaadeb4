"""What an update would do, found out beside what is in force: nothing of that changes.

It works on links to the entries and the snapshot, which an update only ever replaces, never alters.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from categories.publishing import CurrentSnapshot, copy_current
from categories.snapshot import CategorySnapshot, CategorySnapshotError
from categories.sources import KeptSources
from categories.updating import UpdateError, UpdateReport

_TRIAL = "trial-"
_COPIED = ("*.entries", "*.check.json")


@dataclass(frozen=True, slots=True)
class Trial:
    """An update that was tried: what it did, and the snapshots without and with it, both open."""

    report: UpdateReport
    before: CategorySnapshot | None
    after: CategorySnapshot


@contextmanager
def trial_of(
    update: Callable[[Path, Path], UpdateReport], kept_folder: Path, published: Path
) -> Iterator[Trial]:
    """Have `update` work on a copy of the folders of kept entries and of snapshots, and yield what it did.

    No other update runs meanwhile. Raises UpdateError as `update` does.
    """
    try:
        kept_folder.mkdir(parents=True, exist_ok=True)
        with KeptSources(kept_folder).alone() as are_alone:
            if not are_alone:
                raise UpdateError("an update is running; try again when it has ended")
            for left_behind in kept_folder.glob(f"{_TRIAL}*"):
                shutil.rmtree(left_behind)
            with tempfile.TemporaryDirectory(prefix=_TRIAL, dir=kept_folder) as folder:
                kept, made = Path(folder, "kept"), Path(folder, "published")
                kept.mkdir()
                made.mkdir()
                for path in (path for pattern in _COPIED for path in kept_folder.glob(pattern)):
                    os.link(path, kept / path.name)
                before = _open(made) if copy_current(published, made) else None
                report = update(kept, made)
                yield Trial(report, before, CurrentSnapshot(made).snapshot)
    except OSError as error:
        raise UpdateError(
            f"{error.filename or kept_folder}: {error.strerror}; nothing was changed"
        ) from error


def _open(folder: Path) -> CategorySnapshot | None:
    try:
        return CurrentSnapshot(folder).snapshot
    except CategorySnapshotError:
        return None
