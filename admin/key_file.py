"""Secrets in files: 32 random bytes, made once."""

import os
import secrets
from pathlib import Path

_LENGTH = 32


class KeyFileError(Exception):
    """A key cannot be read, or is no key; nothing was started with it."""


def ensure(path: Path, mode: int = 0o600) -> bytes:
    """Return the key in the file, made when the file is missing. Raises KeyFileError.

    A file that is there and is no key is never replaced: what was signed with it would be void.
    """
    try:
        if not path.exists():
            _make(path, mode)
        key = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; check its owner and rights") from error
    if len(key) != _LENGTH:
        raise KeyFileError(
            f"{path}: holds {len(key)} bytes, a key has {_LENGTH};"
            " restore it, or delete it to have another made"
        )
    return key


def _make(path: Path, mode: int) -> None:
    # Linked into place: of two processes that start at once, one makes the key and both read it.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(secrets.token_bytes(_LENGTH))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            return
    finally:
        partial.unlink()
