"""What people have left of their quotas today, by what proxy workers counted: untrusted, as all there is."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from admin.clock import Clock
from admin.sessions import Session
from admin.spool_reader import open_plain_file
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
        counted = await asyncio.to_thread(read_usage, self._spool, day)
        return [
            Left(limit, left_of(limit.quota, used_in_all(counted, usage_key(limit, client))))
            for limit in policy.limits
            if limit.quota is not None and is_for_client(limit, client)
        ]


def read_usage(spool: Path, day: date) -> list[Usage]:
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
