"""Has the proxy told what a command wrote to the database: by a running admin, else by the command itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from admin.admin_lock import AdminRunsError, holding_admin_lock
from admin.clock import utc_now
from admin.database import Database
from admin.publisher import Publisher
from admin.state_folder import StateFolder
from categories.taxonomy import taxonomy
from policy.snapshot import PolicySnapshot

# The running admin looks at the database twice a second.
_PATIENCE_SECONDS = 5.0
_STEP_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """Whether the proxy was told. `problem` says why it was not, None when it was.

    `is_by_itself`: the command told it, because admin does not run.
    """

    is_by_itself: bool = False
    problem: str | None = None

    @property
    def words(self) -> str:
        """What to say of it."""
        if self.problem is not None:
            return f"Recorded, but not in force: {self.problem}. Run the command again, or start admin."
        without = "Admin does not run, so it was published without it. " if self.is_by_itself else ""
        return f"{without}In force in every running proxy within a second."


async def tell_proxy(
    folder: StateFolder,
    db: Database,
    before: PolicySnapshot,
    is_published: Callable[[], Awaitable[bool]],
) -> Told:
    """Have what is in force published; `is_published` says whether a running admin has done so."""
    try:
        async with holding_admin_lock(folder, patience_seconds=0):
            publisher = Publisher(folder, db, before.admin_url, taxonomy(), utc_now)
            await publisher.resume()
            await publisher.publish_state()
            return Told(is_by_itself=True, problem=publisher.failure)
    except AdminRunsError:
        return Told(problem=await _published_by_admin(is_published))
    except OSError as error:
        return Told(problem=f"{error.filename}: {error.strerror}")


async def _published_by_admin(is_published: Callable[[], Awaitable[bool]]) -> str | None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while not await is_published():
        if asyncio.get_running_loop().time() > deadline:
            return "admin runs, and has not published it; its page Today, or its log, says why"
        await asyncio.sleep(_STEP_SECONDS)
    return None
