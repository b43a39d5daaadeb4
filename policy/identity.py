"""Who a client is: person by sign-in, else device, else network, else unknown."""

from datetime import datetime

from policy.ip import parse_ip
from policy.town_policy import Network, Policy
from policy.visit import Client

_MOST_REMEMBERED = 10_000
# No client connects from it.
_NOWHERE = "0.0.0.0"  # noqa: S104 - an address to show, not one to listen on


class Identities:
    """The policy's people, devices and networks, arranged for look-up by address.

    Who was found is remembered: a town has thousands of clients, and each makes thousands of connections.
    """

    __slots__ = ("_ends", "_networks", "_policy", "_remembered")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._networks: list[tuple[Network, str]] = sorted(
            ((network, id_) for id_, d in policy.departments.items() for network in d.networks),
            key=lambda pair: pair[0].prefixlen,
            reverse=True,
        )
        self._remembered: dict[tuple[str, str | None, bool], Client] = {}
        self._ends = {
            address: device.expires_at
            for address, device in policy.devices.items()
            if device.expires_at is not None
        }

    def identify(self, address: str, signed_in: str | None = None, at: datetime | None = None) -> Client:
        """Return the client at an IP address; `signed_in` is a person id that has been proved.

        A sign-in says who the person is whatever the device; the device is kept as where it was.
        One of a person who is no longer in the policy counts as none. A network says the department
        only where no person and no device does. A device of a person's own is none from its end on, as
        of `at` (aware; None: as long as it is in the policy).
        """
        has_ended = bool(self._ends) and at is not None and self._has_ended(address, at)
        client = self._remembered.get((address, signed_in, has_ended))
        if client is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            client = self._identify(address, signed_in, has_ended)
            self._remembered[address, signed_in, has_ended] = client
        return client

    def _has_ended(self, address: str, at: datetime) -> bool:
        ends_at = self._ends.get(str(parse_ip(address)))
        return ends_at is not None and at >= ends_at

    def _identify(self, address: str, signed_in: str | None, has_ended: bool) -> Client:
        ip = parse_ip(address)
        policy = self._policy
        device = policy.devices.get(str(ip)) if not has_ended else None
        is_signed_in = signed_in is not None and signed_in in policy.people
        person = signed_in if is_signed_in else (device.person if device else None)
        record = policy.people.get(person) if person is not None else None
        department = record.department if record else None
        if department is None and device is not None and not is_signed_in:
            department = device.department
        if department is None and person is None:
            department = next((id_ for network, id_ in self._networks if ip in network), None)
        return Client(
            address=str(ip),
            person=person,
            device=device.name if device else None,
            department=department,
            is_signed_in=is_signed_in,
        )

    def client_of(self, person: str, at: datetime | None = None) -> Client:
        """Return a person as a client: at their device as of `at`, signed in where they have none."""
        devices = self._policy.devices.items()
        address = next(
            (
                address
                for address, device in devices
                if device.person == person and (at is None or not self._has_ended(address, at))
            ),
            None,
        )
        return self.identify(address) if address else self.identify(_NOWHERE, signed_in=person)
