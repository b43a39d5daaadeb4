"""What people have left of their quotas today, by what proxy workers counted: untrusted, as all there is."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from admin.clock import Clock
from admin.sessions import Session
from admin.spool_reader import open_plain_file
from policy import amounts, limit_words
from policy.limiting import Use, left_of
from policy.rule_matching import is_for_client
from policy.state_names import USAGE_SUFFIX
from policy.town_policy import Limit, Policy
from policy.town_time import zone_of
from policy.usage import MAX_BYTES, Usage, UsageError, usage_key, used_in_all
from policy.visit import Client

_MOST_FILES = 256


@dataclass(frozen=True, slots=True)
class Left:
    """What is left today of a limit that is a quota."""

    limit: Limit
    left: Use

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left."""
        return not self.left.size_bytes and not self.left.duration

    @property
    def words(self) -> str:
        """What is left, like "1.4 GB of 2 GB" or "nothing of 30 minutes"."""
        quota = self.limit.quota
        if quota is None:
            return ""
        is_of_time = quota.duration is not None
        left = amounts.minutes(self.left.duration) if is_of_time else amounts.size(self.left.size_bytes)
        return f"{'nothing' if self.is_used_up else left} of {limit_words.amount_of(quota)}"


class QuotaUse:
    """Asks the files in `spool`. `policy` returns the running one."""

    def __init__(self, spool: Path, policy: Callable[[], Policy], clock: Clock) -> None:
        self._spool = spool
        self._policy = policy
        self._clock = clock

    async def left(self, session: Session) -> list[Left]:
        """Return what a session's person has left of each quota that is about them, in the policy's order."""
        policy = self._policy()
        person = policy.people.get(session.person or "")
        if person is None or not any(limit.quota is not None for limit in policy.limits):
            return []
        client = Client("", person=session.person, department=person.department)
        day = self._clock().astimezone(zone_of(policy)).date()
        limits = [limit for limit in policy.limits if is_for_client(limit, client)]
        return await asyncio.to_thread(left_on, day, self._spool, limits, client)


def left_on(day: date, spool: Path, limits: Iterable[Limit], client: Client) -> list[Left]:
    """Return what a client has, or had, left on a day of the town's of those limits that are quotas."""
    quotas = [(limit, limit.quota) for limit in limits if limit.quota is not None]
    counted = _read_usage(spool, day) if quotas else []
    return [
        Left(limit, left_of(quota, used_in_all(counted, usage_key(limit, client)))) for limit, quota in quotas
    ]


def is_known_of(day: date, spool: Path) -> bool:
    """Whether something was counted on a day, and is still kept."""
    return any(spool.glob(f"{day}-*{USAGE_SUFFIX}"))


def _read_usage(spool: Path, day: date) -> list[Usage]:
    """Return what each worker counted on a day of the town's; files that are no usage are passed over."""
    found = []
    for path in sorted(spool.glob(f"{day}-*{USAGE_SUFFIX}"))[:_MOST_FILES]:
        usage = Usage(day)
        with contextlib.suppress(OSError, UsageError):
            descriptor = open_plain_file(path)
            try:
                usage.take_in(os.pread(descriptor, MAX_BYTES + 1, 0))
            finally:
                os.close(descriptor)
        found.append(usage)
    return found
