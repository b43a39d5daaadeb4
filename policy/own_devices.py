"""Devices of people's own in a policy, beside those that its document lists."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from policy.town_policy import Device, Policy


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device at an IP address (in its one spelling), a person's until an instant (aware)."""

    address: str
    name: str
    person: str
    expires_at: datetime


def with_own_devices(policy: Policy, entries: Iterable[DeviceEntry]) -> Policy:
    """Return the policy with people's own devices; the same one where there are none.

    What the document lists comes first: an entry with its address or name is left out, and so is one of
    somebody who is no person of the town. `version` stays that of the document.
    """
    names = {device.name.casefold() for device in policy.devices.values()}
    own = {
        entry.address: Device(entry.name, entry.person, expires_at=entry.expires_at)
        for entry in entries
        if entry.address not in policy.devices
        and entry.name.casefold() not in names
        and entry.person in policy.people
    }
    return replace(policy, devices={**policy.devices, **own}) if own else policy


def without_own_devices(policy: Policy) -> Policy:
    """Return the policy with the devices of its document alone."""
    listed = {address: device for address, device in policy.devices.items() if device.expires_at is None}
    return policy if len(listed) == len(policy.devices) else replace(policy, devices=listed)


def first_end(policy: Policy, at: datetime) -> datetime | None:
    """Return when the next device of a person's own is theirs no longer, after an instant; None: none."""
    ends = (device.expires_at for device in policy.devices.values())
    return min((end for end in ends if end is not None and end > at), default=None)
