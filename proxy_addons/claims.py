"""Access to one download is used up by the first that it lets through: known to every worker at once.

A claim is a file in the spool, named after the exemption. It holds a keyed digest of what was let through, so
that this can be taken up again, and nothing else is. It outlives its worker; admin deletes it once the access
is over (`admin.used_downloads`).
"""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from policy import state_names
from policy.state import Exemption

logger = logging.getLogger(__name__)

_DIGEST_BYTES = 64


class Claims:
    """Reads and writes claims in `folder`. `key` (the same for all workers) makes the digests."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key

    def let_through(self, access: Iterable[Exemption], download: str) -> str | None:
        """Return the id of the access by which a download goes on; None where it is stopped.

        1. by the access that this download has used up before
        2. by the first that none has: it is used up from now on, whoever else asks in the same instant

        What cannot be read or written lets nothing through, and is logged.
        """
        try:
            unused = []
            for one in access:
                claimed = self._claimed(one)
                if claimed is None:
                    unused.append(one)
                elif hmac.compare_digest(claimed, self._digest(one, download)):
                    return one.id
            for one in unused:
                if self._claim(one, self._digest(one, download)):
                    return one.id
        except OSError as error:
            logger.error("download stopped, as its claim failed: folder=%s error=%s", self._folder, error)
        return None

    def would_let_through(self, access: Iterable[Exemption], download: str) -> bool:
        """Whether `let_through` has one for a download, as far as can be said before; none is used up."""
        try:
            for one in access:
                claimed = self._claimed(one)
                if claimed is None or hmac.compare_digest(claimed, self._digest(one, download)):
                    return True
        except OSError as error:
            logger.error("download stopped, as its claim failed: folder=%s error=%s", self._folder, error)
        return False

    def _claimed(self, access: Exemption) -> bytes | None:
        """Return the digest of what has used access up; None where nothing has. Raises OSError."""
        try:
            descriptor = os.open(self._path(access), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            return os.read(descriptor, _DIGEST_BYTES + 1)
        finally:
            os.close(descriptor)

    def _claim(self, access: Exemption, digest: bytes) -> bool:
        """Whether access is used up by this from now on. Raises OSError."""
        # Whole before it has its name: nobody reads half a claim, and a full disk leaves none.
        unfinished = self._folder / f".{secrets.token_hex(8)}{state_names.CLAIM_SUFFIX}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640)
        try:
            try:
                # Not synced: while its worker lives, only a power cut takes it.
                written = os.write(descriptor, digest)
            finally:
                os.close(descriptor)
            if written < len(digest):
                raise OSError(f"{unfinished}: only {written} bytes were written")
            # The one that is first to give it the name has it.
            self._path(access).hardlink_to(unfinished)
        except FileExistsError:
            return self._claimed(access) == digest
        finally:
            unfinished.unlink()
        return True

    def _digest(self, access: Exemption, download: str) -> bytes:
        text = f"towngate-claim-1:{access.id}\n{download}".encode(errors="surrogateescape")
        return hmac.digest(self._key, text, hashlib.sha256).hex().encode()

    def _path(self, access: Exemption) -> Path:
        return self._folder / state_names.claim(access.id, access.granted_at)
