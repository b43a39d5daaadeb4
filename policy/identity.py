"""Who a client is: person by sign-in, else device, else network, else unknown."""

from ipaddress import ip_address

from policy.town_policy import Network, Policy
from policy.visit import Client


class Identities:
    """The policy's people, devices and networks, arranged for look-up by address."""

    __slots__ = ("_networks", "_policy")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._networks: list[tuple[Network, str]] = sorted(
            ((network, id_) for id_, d in policy.departments.items() for network in d.networks),
            key=lambda pair: pair[0].prefixlen,
            reverse=True,
        )

    def identify(self, address: str, signed_in: str | None = None) -> Client:
        """Return the client at an IP address; `signed_in` is a person id that has been proved.

        A sign-in says who the person is whatever the device; the device is kept as where it was.
        An IPv4 address in its IPv6-mapped form is that IPv4 address.
        """
        ip = ip_address(address)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        policy = self._policy
        device = policy.devices.get(str(ip))
        person = signed_in if signed_in in policy.people else (device.person if device else None)
        record = policy.people.get(person) if person is not None else None
        department = record.department if record else None
        if department is None and device is not None and signed_in is None:
            department = device.department
        if department is None and person is None:
            department = next((id_ for network, id_ in self._networks if ip in network), None)
        return Client(
            address=str(ip),
            person=person,
            device=device.name if device else None,
            department=department,
            is_signed_in=person is not None and person == signed_in,
        )
