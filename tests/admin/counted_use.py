"""Use of quotas as a worker would have written it."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from policy.town_policy import Limit
from policy.usage import Usage, usage_key
from policy.visit import Client

type Counted = tuple[Limit, int, Iterable[int]]
"""A quota, and the bytes and minutes of the day that were used of it."""


def write_use(spool: Path, day: date, name: str, client: Client, *counted: Counted) -> None:
    """Write what a client used on a day to a worker's file."""
    usage = Usage(day)
    for limit, size_bytes, minutes in counted:
        place = usage.place(usage_key(limit, client))
        usage.add(place, size_bytes)
        for minute in minutes:
            usage.add_minute(place, minute)
    with (spool / f"{day}-{name}.usage").open("wb") as file:

        def write(at: int, data: bytes) -> None:
            file.seek(at)
            file.write(data)

        usage.write_changed(write, is_new=True)
