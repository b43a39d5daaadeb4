"""The category lists that a command looks sites up in."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from admin.command import CommandError
from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot, has_current, publish_starter_if_empty
from categories.snapshot import CategorySnapshot, CategorySnapshotError


@contextmanager
def lists_of(state: StateFolder) -> Iterator[tuple[CategorySnapshot, str]]:
    """Yield the lists in use and what to call them; the starter list where none were published."""
    try:
        if has_current(state.categories):
            snapshot = CurrentSnapshot(state.categories).snapshot
            yield snapshot, f"lists {snapshot.version}"
            return
        with tempfile.TemporaryDirectory() as scratch:
            publish_starter_if_empty(Path(scratch))
            yield CurrentSnapshot(Path(scratch)).snapshot, "the starter list"
    except (CategorySnapshotError, OSError) as error:
        raise CommandError(f"the category lists cannot be read: {error}") from error
