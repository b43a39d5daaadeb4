"""Files that others read: replaced whole, so that no reader ever sees half of one."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes, mode: int = 0o640, *, like: Path | None = None) -> None:
    """Write, fsync, rename. The file before stays until the new one is whole on disk.

    The new file has the rights of the one that it replaces, and its owner where the process may give files
    away (root does not lock the others out). One that is new takes after `like`, or has `mode`.
    Raises OSError; then the file is the one before or, when only the folder could not be synced, the
    new one, never a part.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            _take_after(path if like is None or path.exists() else like, file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    # The rename itself must survive a power cut too.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _take_after(path: Path, descriptor: int, mode: int) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, mode)  # whatever the umask
        return
    with suppress(PermissionError):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
