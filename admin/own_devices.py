"""Devices of people's own, as the database keeps them and the proxy is told.

How one is asked for: `device_requests`.
"""

from dataclasses import dataclass
from datetime import datetime

from admin.asked import Asked, DeviceUse
from admin.asking import InvalidRequestError
from admin.clock import from_ms, to_ms
from admin.database import Reader, Row, Transaction
from policy.own_devices import DeviceEntry
from policy.town_policy import Policy


@dataclass(frozen=True, slots=True)
class Granted:
    """A device in force, and the number of the request that it came of."""

    access_request: int
    entry: DeviceEntry


async def grant(
    t: Transaction,
    access_request: int,
    person: str,
    device: DeviceUse,
    at: datetime,
    ends_at: datetime,
    *,
    by: str,
) -> None:
    """Make a device a person's, on the last approval of a request."""
    await t.execute(
        "INSERT INTO own_device (access_request, person, name, address, granted_at, expires_at, approved_by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        access_request,
        person,
        device.name,
        device.address,
        to_ms(at),
        to_ms(ends_at),
        by,
    )


async def end_renewed(t: Transaction, access_request: int, at: datetime) -> None:
    """End the device of a request that another one goes on with."""
    await t.execute(
        "UPDATE own_device SET expires_at = ?1"
        " WHERE access_request = ?2 AND stopped_at IS NULL AND expires_at > ?1",
        to_ms(at),
        access_request,
    )


async def stop(t: Transaction, access_request: int, stopped_by: str, at: datetime) -> None:
    """End what a request was granted."""
    await t.execute(
        "UPDATE own_device SET stopped_at = ?, stopped_by = ?"
        " WHERE access_request = ? AND stopped_at IS NULL",
        to_ms(at),
        stopped_by,
        access_request,
    )


async def stop_of(t: Transaction, person: str, stopped_by: str, at: datetime) -> None:
    """End every device of a person."""
    await t.execute(
        "UPDATE own_device SET stopped_at = ?, stopped_by = ? WHERE person = ? AND stopped_at IS NULL",
        to_ms(at),
        stopped_by,
        person,
    )


async def granted(db: Reader, at: datetime) -> tuple[Granted, ...]:
    """Return the devices in force at `at`, the one that ends first at the start."""
    rows = await db.fetch_all(
        "SELECT * FROM own_device WHERE stopped_at IS NULL AND expires_at > ?"
        " ORDER BY expires_at, access_request",
        to_ms(at),
    )
    return tuple(Granted(row["access_request"], _entry(row)) for row in rows)


async def live(db: Reader, at: datetime) -> tuple[DeviceEntry, ...]:
    """Return the devices in force at `at`."""
    return tuple(one.entry for one in await granted(db, at))


async def refuse_clash(
    db: Reader, policy: Policy, asked: Asked | None, at: datetime, renews: int | None = None
) -> None:
    """Raise InvalidRequestError for a device whose name or address another one has; never for other kinds.

    `policy` may be with people's own devices, or without. `renews` is the number of the request of the device
    that it goes on with.
    """
    if not isinstance(asked, DeviceUse):
        return
    known = [
        (address, device.name) for address, device in policy.devices.items() if device.expires_at is None
    ]
    others = (one.entry for one in await granted(db, at) if one.access_request != renews)
    known += [(entry.address, entry.name) for entry in others]
    if any(address == asked.address for address, _ in known):
        raise InvalidRequestError("address", f"{asked.address} is the address of another device already")
    if any(name.casefold() == asked.name.casefold() for _, name in known):
        raise InvalidRequestError("name", f"{asked.name} is the name of another device already")


def _entry(row: Row) -> DeviceEntry:
    return DeviceEntry(row["address"], row["name"], row["person"], from_ms(row["expires_at"]))
