"""What a site is listed as, and how each list stands. For those who see visits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from admin import roles
from admin.admin_process import AdminProcess
from admin.list_updates import SourceStanding
from admin.sessions import Session
from categories.match import CategoryMatch
from categories.snapshot import CategorySnapshot
from policy.web_address import WebAddress


@dataclass(frozen=True, slots=True)
class ListsStanding:
    """The lists in force, None when none can be read, and where each comes from, those with trouble first.

    `is_running`: they are being brought up to date. `is_held`: somebody went back to those of before.
    """

    in_force: CategorySnapshot | None
    sources: Sequence[SourceStanding]
    is_running: bool
    is_held: bool

    def good_at(self, source: str) -> datetime | None:
        """Return of when a source's entries are, None for what is none, or has no such time."""
        return next((one.good_at for one in self.sources if one.name == source), None)


async def lists_standing(admin: AdminProcess, session: Session) -> ListsStanding:
    """Say how the lists stand. Raises NotAllowedError but for those who see visits."""
    _check(admin, session)
    in_force = await admin.site_lists.in_force()
    return ListsStanding(
        in_force,
        await asyncio.to_thread(admin.lists.standing, in_force),
        await asyncio.to_thread(admin.lists.is_running),
        await asyncio.to_thread(admin.lists.is_held),
    )


async def look_up(admin: AdminProcess, session: Session, address: WebAddress) -> tuple[CategoryMatch, ...]:
    """Return what an address is listed as, by the lists and the town's corrections.

    Raises NotAllowedError as `lists_standing`, CategorySnapshotError when no lists can be read.
    """
    _check(admin, session)
    return await admin.site_lists.listed(address.host, address.path)


def _check(admin: AdminProcess, session: Session) -> None:
    roles.person_with(roles.sees_visits, admin.policy, session, "the lists are for those who see visits")
