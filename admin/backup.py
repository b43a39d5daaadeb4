"""A backup of a town, running or not: a folder with all that it remembers.

1. The database and each month of the visit log are copied by SQLite itself: as they are at one instant,
   whoever writes to them.
2. Then the files that are each replaced whole, and the spool: a visit is in the log's copy, in the
   spool's, or came later; ingest takes each once (`ingest`).
3. The lists in force are verified in the copy.
4. The manifest is written, and only then does the folder get its name.

The key of the town's CA is in it if whoever makes the backup can read it.
"""

import asyncio
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from admin import audit
from admin.audit import Event, EventKind
from admin.backup_manifest import MANIFEST, BackedUpFile, Manifest, copy_file, sync_folder
from admin.database import Database, DatabaseError
from admin.settings import read_settings
from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot, files_of_current, has_current
from categories.snapshot import CategorySnapshotError
from categories.sources import UNFINISHED
from policy import state_names
from policy.problem import PolicyError

CA_KEY = f"{state_names.CA}/mitmproxy-ca.pem"
DATABASE = "admin/towngate.db"
_TRIES = 3


class BackupError(Exception):
    """No backup was made; nothing is left of what was begun."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was made. `left_out` names files that a restored town would need from elsewhere."""

    folder: Path
    manifest: Manifest
    left_out: tuple[Path, ...]

    @property
    def has_ca_key(self) -> bool:
        """Whether whoever has the backup can pass for any site."""
        return self.manifest.holds(CA_KEY)


async def make_backup(state: StateFolder, target: Path, *, town: str, actor: str, at: datetime) -> Backup:
    """Back the state folder up to the folder `target`, which must be new or empty.

    The audit log says that it was made, in the copy too. Raises BackupError.
    """
    unfinished = target.with_name(f".{target.name}.unfinished-{secrets.token_hex(4)}")
    try:
        if await asyncio.to_thread(_is_taken, target):
            raise BackupError(f"{target}: is there already; a backup gets a folder of its own")
        async with Database.open(state.database, must_exist=True) as db, db.transaction() as t:
            await audit.record(t, Event(EventKind.BACKUP_STARTED, actor, target.name, at))
        return await asyncio.to_thread(_make, state, target, unfinished, town, at)
    except DatabaseError as error:
        raise BackupError(str(error)) from error
    except (sqlite3.Error, CategorySnapshotError) as error:
        raise BackupError(f"{target}: {error}; no backup was made") from error
    except OSError as error:
        where = error.filename or target
        raise BackupError(f"{where}: {error.strerror or error}; no backup was made") from error


def state_files(state: StateFolder) -> Iterator[Path]:
    """Yield every file that a backup holds, but the databases, the lists in force and secrets."""
    yield from (
        path for path in (state.policy_document, state.people_list, state.settings_document) if path.exists()
    )
    # Heads bear witness to the database; a copy of an older one would be called cut off by them.
    passing = {
        state.audit_heads,
        state.admin_metrics,
        state.admin / "admin.lock",
        state.category_sources / "lock",
    }
    for folder in (state.admin, state.category_sources, state.published, state.ca, state.spool):
        if not os.access(folder, os.R_OK | os.X_OK):
            continue
        for path in sorted(folder.iterdir()):
            is_of_database = path.name.startswith(state.database.name)
            is_unfinished = path.name.startswith(".") or path.suffix == UNFINISHED
            is_of_worker = path.suffix in (state_names.WORKER_FACTS_SUFFIX, state_names.USAGE_SUFFIX)
            if not (is_of_database or is_unfinished or is_of_worker or path in passing) and _is_file(path):
                yield path


def secret_files(state: StateFolder) -> tuple[Path, ...]:
    """Return the files that settings.yaml names for its secrets; none while it has problems."""
    try:
        text = state.settings_document.read_text(encoding="utf-8")
        return read_settings(text, state.root).secret_files
    except (OSError, UnicodeDecodeError, PolicyError):
        return ()


def _is_taken(target: Path) -> bool:
    return target.exists() and (not target.is_dir() or any(target.iterdir()))


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _make(state: StateFolder, target: Path, unfinished: Path, town: str, at: datetime) -> Backup:
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.mkdir(mode=0o700)
    try:
        files = {}
        # The newest month first: an older one has all that came before whatever the newest knows of.
        for database in (state.database, *sorted(state.visits.glob("*.db"), reverse=True)):
            name = database.relative_to(state.root).as_posix()
            files[name] = _copy_database(database, unfinished / name)
        secrets_of_town = secret_files(state)
        inside = [path for path in secrets_of_town if path.is_relative_to(state.root)]
        for path in dict.fromkeys((*state_files(state), *inside)):
            name = path.relative_to(state.root).as_posix()
            if path.is_relative_to(state.ca) and not os.access(path, os.R_OK):
                continue
            copied = _copy_unless_gone(path, unfinished / name, may_be_gone=path.parent == state.spool)
            if copied is not None:
                files[name] = copied
        files |= _copy_lists(state, unfinished)
        manifest = Manifest(town, at, files)
        with (unfinished / MANIFEST).open("xb") as file:
            file.write(manifest.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        for folder in (unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
            sync_folder(folder)
        unfinished.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Backup(target, manifest, tuple(path for path in secrets_of_town if path not in inside))


def _copy_database(source: Path, target: Path) -> BackedUpFile:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name("copy.db")
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as database,
        closing(sqlite3.connect(beside)) as copy,
    ):
        database.backup(copy)
        # One file, with no others beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    copied = copy_file(beside, target, mode=0o600)
    beside.unlink()
    return copied


def _copy_unless_gone(source: Path, target: Path, *, may_be_gone: bool) -> BackedUpFile | None:
    try:
        return copy_file(source, target)
    except FileNotFoundError:
        if may_be_gone:
            return None  # taken in by admin meanwhile
        raise


def _copy_lists(state: StateFolder, unfinished: Path) -> dict[str, BackedUpFile]:
    """Copy the lists in force; again, when others were published meanwhile."""
    if not has_current(state.categories):
        return {}
    target = unfinished / state_names.CATEGORIES
    for tries_left in reversed(range(_TRIES)):
        try:
            copied = {
                path.relative_to(state.root).as_posix(): copy_file(
                    path, unfinished / path.relative_to(state.root)
                )
                for path in files_of_current(state.categories)
            }
            CurrentSnapshot(target)
            return copied
        except (CategorySnapshotError, FileNotFoundError):
            if not tries_left:
                raise
            shutil.rmtree(target)
    raise AssertionError("the last try returns or raises")
