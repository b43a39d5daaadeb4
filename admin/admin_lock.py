"""One process at a time publishes from a state folder: two would take turns in undoing each other."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from admin.state_folder import StateFolder, StateFolderError

# A command that publishes in admin's place holds it for less than this.
_PATIENCE_SECONDS = 2.0
_STEP_SECONDS = 0.05


class AdminRunsError(StateFolderError):
    """Another process publishes from this state folder."""


@asynccontextmanager
async def holding_admin_lock(
    state: StateFolder, patience_seconds: float = _PATIENCE_SECONDS
) -> AsyncIterator[None]:
    """Be the one that publishes until the end of the block.

    Raises AdminRunsError when another process is, and stays so for a moment.
    """
    descriptor = os.open(state.admin / "admin.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            # Root must not leave a lock that admin's own user cannot open.
            owner = state.admin.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        deadline = asyncio.get_running_loop().time() + patience_seconds
        while not _took_lock(descriptor):
            if asyncio.get_running_loop().time() >= deadline:
                raise AdminRunsError(
                    f"{state.admin}: another admin process uses this state folder; stop it, or choose another"
                )
            await asyncio.sleep(_STEP_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _took_lock(descriptor: int) -> bool:
    """Take the lock, if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
