"""What a site is listed as now: by the published lists and the town's corrections, as the proxy has it."""

import asyncio
from pathlib import Path

from admin import corrections
from admin.database import Reader
from categories.match import CategoryMatch
from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshot, CategorySnapshotError
from policy.correction import Corrections
from policy.decision import Verdict
from policy.town_policy import Policy


class SiteLists:
    """Looks hosts up; opens new lists as they are published."""

    def __init__(self, folder: Path, db: Reader) -> None:
        self._folder = folder
        self._db = db
        self._current: CurrentSnapshot | None = None
        self._opening = asyncio.Lock()

    async def listed(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        """Return what a canonical host is listed as; entries of URLs are looked at where a path is given.

        Raises CategorySnapshotError when no lists can be read.
        """
        lists = await self.snapshot()
        corrected = await corrections.of_parents(self._db, host)
        return Corrections(corrected).apply(host, lists.lookup(host, path))

    async def categories(self, host: str, path: str | None = None) -> frozenset[str]:
        """Return every category that the host, or a path of it, is listed as. Raises as `listed` does."""
        return frozenset(match.category for match in await self.listed(host, path))

    async def version(self) -> str:
        """Return the version of the lists in use. Raises as `listed` does."""
        return (await self.snapshot()).version

    async def in_force(self) -> CategorySnapshot | None:
        """Return the published lists, None when none can be read."""
        try:
            return await self.snapshot()
        except CategorySnapshotError:
            return None

    async def snapshot(self) -> CategorySnapshot:
        """Return the published lists. Raises as `listed` does."""
        async with self._opening:
            if self._current is None:
                self._current = await asyncio.to_thread(CurrentSnapshot, self._folder)
            elif self._current.changed():
                await asyncio.to_thread(self._current.load)
            return self._current.snapshot


def blocking_categories(policy: Policy) -> frozenset[str]:
    """Return the categories that a policy blocks, for everyone whom no rule exempts from it."""
    blocking = (
        rule.categories
        for rule in policy.rules
        if rule.action is Verdict.BLOCK
        and not (rule.departments or rule.people or rule.file_types)
        and rule.when is None
    )
    return policy.security_categories.union(*blocking)
