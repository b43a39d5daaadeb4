"""What people have left of their quotas today, by what proxy workers counted: untrusted, as all there is."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from admin.clock import Clock
from admin.sessions import Session
from admin.spool_reader import open_plain_file
from policy.limiting import Use, left_of
from policy.rule_matching import is_for_client
from policy.state_names import USAGE_SUFFIX
from policy.town_policy import Limit, Policy
from policy.town_time import zone_of
from policy.usage import MAX_BYTES, Usage, UsageError, Used, together, usage_key
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
        parts = await asyncio.to_thread(lambda: list(_read_all(self._spool, f"{day}-*{USAGE_SUFFIX}")))
        used = together(day, parts)
        return [
            Left(limit, left_of(limit.quota, used.get(usage_key(limit, client), Used()).use))
            for limit in policy.limits
            if limit.quota is not None and is_for_client(limit, client)
        ]


def _read_all(spool: Path, pattern: str) -> Iterator[Usage]:
    for path in sorted(spool.glob(pattern))[:_MOST_FILES]:
        try:
            descriptor = open_plain_file(path)
            try:
                yield Usage.from_bytes(os.pread(descriptor, MAX_BYTES + 1, 0))
            finally:
                os.close(descriptor)
        except (OSError, UsageError):
            continue
