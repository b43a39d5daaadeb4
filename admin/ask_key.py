"""The key that signs Ask links: admin makes it, the proxy signs with it."""

from pathlib import Path

from admin import key_file


def ensure(path: Path) -> bytes:
    """Return the key, made at the first start. Raises key_file.KeyFileError.

    The proxy's group reads it; nobody else.
    """
    return key_file.ensure(path, mode=0o640)
