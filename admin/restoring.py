"""Restoring a backup: all of it is checked first, then it takes the place of what is there.

1. Nothing of the town may run: neither admin nor a worker.
2. Every file is copied beside its place, and its digest compared.
3. The audit log in the copied database is verified, and gets the event of the restore.
4. What was there is moved to a folder of its own, policy.yaml first; the copies are moved in,
   policy.yaml last. Cut short in between, there is no policy.yaml, and nothing starts by itself.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from admin import audit, sessions
from admin.admin_lock import AdminRunsError, holding_admin_lock
from admin.audit import Event, EventKind
from admin.backup import CA_KEY, DATABASE, state_files
from admin.backup_manifest import Manifest, ManifestError, copy_file, read_manifest, sync_folder
from admin.database import Database, DatabaseError
from admin.state_folder import StateFolder, StateFolderError
from policy import state_names


class RestoreError(Exception):
    """Nothing was restored; the state folder is as it was."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. `replaced` holds what was there before, None where nothing was."""

    manifest: Manifest
    events: int
    replaced: Path | None
    has_ca: bool


async def restore(folder: Path, state: StateFolder, *, replace: bool, actor: str, at: datetime) -> Restored:
    """Put the backup in `folder` in the place of the state folder's content.

    What is there is moved aside with `replace`, and refused without. Raises RestoreError.
    """
    try:
        manifest = await asyncio.to_thread(read_manifest, folder)
        if not replace and await asyncio.to_thread(_is_used, state):
            raise RestoreError(
                f"{state.root}: holds a town already; --replace moves it aside, --state names another folder"
            )
        await asyncio.to_thread(state.create)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(holding_admin_lock(state))
            _give_to_owner_of(state.admin, state.admin / "admin.lock")
            stack.enter_context(_no_proxy(state))
            staged = state.root / f".restoring-{secrets.token_hex(4)}"
            stack.callback(shutil.rmtree, staged, ignore_errors=True)
            await asyncio.to_thread(_stage, manifest, folder, staged)
            events = await _verified(staged / DATABASE, folder, actor, at)
            aside = state.root / f"replaced-{at:%Y%m%d-%H%M%S}"
            replaced = await asyncio.to_thread(_move_aside, state, manifest, aside)
            await asyncio.to_thread(_move_in, state, manifest, staged)
    except AdminRunsError as error:
        raise RestoreError(f"{state.root}: the town runs; stop it first; nothing was restored") from error
    except (ManifestError, DatabaseError, StateFolderError) as error:
        raise RestoreError(f"{error}; nothing was restored") from error
    except OSError as error:
        where = error.filename or state.root
        raise RestoreError(f"{where}: {error.strerror or error}; restore again when it is mended") from error
    return Restored(manifest, events, replaced, has_ca=await asyncio.to_thread((state.root / CA_KEY).exists))


def _is_used(state: StateFolder) -> bool:
    return state.policy_document.exists() or state.database.exists()


@contextmanager
def _no_proxy(state: StateFolder) -> Iterator[None]:
    try:
        lock = state.hold_proxy_lock(alone=True)
    except BlockingIOError as error:
        raise RestoreError(f"{state.root}: a proxy runs; stop it first; nothing was restored") from error
    _give_to_owner_of(state.proxy, state.proxy / "proxy.lock")
    try:
        yield
    finally:
        os.close(lock)


def _stage(manifest: Manifest, folder: Path, staged: Path) -> None:
    staged.mkdir(mode=0o700)
    for name, expected in manifest.files.items():
        found = copy_file(folder / name, staged / name, mode=expected.mode)
        if found != expected:
            raise ManifestError(f"{folder / name}: is not as it was backed up; use another backup")


async def _verified(database: Path, folder: Path, actor: str, at: datetime) -> int:
    """Return how many events the audit log has, all of them whole; the restore becomes the next."""
    async with Database.open(database, must_exist=True) as db:
        found = await audit.verify(db)
        if not found.is_whole:
            raise RestoreError(
                f"{folder / DATABASE}: event {found.broken_at} of the audit log was changed or removed;"
                " nothing was restored; use another backup"
            )
        async with db.transaction() as t:
            # A token that was revoked since the backup, or a person signed out, is not in it.
            await sessions.end_all(t)
            await audit.record(t, Event(EventKind.BACKUP_RESTORED, actor, folder.name, at))
    return found.events


def _move_aside(state: StateFolder, manifest: Manifest, aside: Path) -> Path | None:
    """Move away what the backup replaces; the CA stays where the backup has none.

    Return the folder that it is in, None when there was nothing.
    """
    # The heads of another database's log are put aside with it.
    present = [
        *state_files(state),
        state.audit_heads,
        *state.admin.glob(f"{state.database.name}*"),
        *state.visits.glob("*.db*"),
        *state.categories.iterdir(),
    ]
    if not manifest.holds(CA_KEY):
        present = [path for path in present if not path.is_relative_to(state.ca)]
    named = [state.root / name for name in manifest.files if (state.root / name).exists()]
    for path in sorted({*present, *named}, key=lambda path: path != state.policy_document):
        target = aside / path.relative_to(state.root)
        if path.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    if not aside.exists():
        return None
    aside.chmod(0o700)
    return aside


def _move_in(state: StateFolder, manifest: Manifest, staged: Path) -> None:
    policy = state.policy_document.name
    # Opened, a database of before may have moved its visits to files that the backup did not have.
    names = [path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: name == policy):
        target = state.root / name
        if not manifest.holds(CA_KEY) and name.startswith(f"{state_names.CA}/"):
            continue  # a certificate without its key
        _make_folder(target.parent)
        _give_to_owner_of(target.parent, staged / name)
        (staged / name).rename(target)
        sync_folder(target.parent)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir()
        # As the folders are that admin makes, whatever is inherited from above.
        folder.chmod(0o755)
        _give_to_owner_of(folder.parent, folder)


def _give_to_owner_of(folder: Path, path: Path) -> None:
    """Hand what root restores to the user and group whose folder it is."""
    if os.geteuid() == 0:
        facts = folder.stat()
        os.chown(path, facts.st_uid, facts.st_gid)
