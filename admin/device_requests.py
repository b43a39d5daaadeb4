"""Asking for a device of one's own: that visits from its address are the person's, until a day."""

from collections.abc import Callable
from datetime import date

from admin import own_devices, proposing, submitting
from admin.asked import DeviceUse, Kind
from admin.asking import AccessRequest, ForWhom, InvalidRequestError, NewAccessRequest, NotAllowedError
from admin.clock import Clock
from admin.database import Database
from admin.never_granted import Listed
from admin.sessions import Session
from policy import notation
from policy.access_duration import Duration
from policy.ip import parse_ip
from policy.town_policy import Policy
from policy.town_time import zone_of
from policy.visit_record import new_code

MAX_NAME_LENGTH = 40


class DeviceRequests:
    """What a session asks for. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], listed: Listed, clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._listed = listed
        self._clock = clock

    async def ask(
        self,
        session: Session,
        *,
        name: str,
        address: str,
        last: date | None,
        reason: str,
        renews: int | None = None,
    ) -> AccessRequest:
        """Send a request for a device at an IP address, until the last day is over.

        Raises NotAllowedError unless signed in; InvalidRequestError, also for a name or an address that
        another device has; AlreadyOpenError.
        """
        policy, now = self._policy(), self._clock()
        if session.person is None or not session.is_signed_in:
            raise NotAllowedError("Sign in to ask for a device.")
        terms = policy.asking.own_device
        if terms is None:
            raise InvalidRequestError("name", "The town's policy has no devices of one's own")
        name = " ".join(name.split())
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise InvalidRequestError("name", f"Enter a name, {MAX_NAME_LENGTH} characters at most")
        device = DeviceUse(
            name,
            _address(address),
            proposing.end_of("last", last, now, zone_of(policy), terms.longest),
        )
        await own_devices.refuse_clash(self._db, policy, device, now, renews)
        new = NewAccessRequest(
            host="",
            person=session.person,
            department=policy.people[session.person].department,
            for_whom=ForWhom.PERSON,
            reason=reason,
            duration=Duration.YEAR,
            chain=terms.approval,
            code=new_code(),
            policy_version=policy.version,
            renews=renews,
            kind=Kind.DEVICE,
            asked=device,
        )
        return await submitting.submit(self._db, policy, self._listed, new, now)


def _address(text: str) -> str:
    """Return an IP address that a device can have, in its one spelling."""
    try:
        address = notation.address(text.strip())
    except ValueError as error:
        raise InvalidRequestError("address", "Enter its IP address, like 10.10.20.77") from error
    ip = parse_ip(address)
    if ip.is_unspecified or ip.is_loopback or ip.is_multicast:
        raise InvalidRequestError("address", f"No device of the network has {address}")
    return address
