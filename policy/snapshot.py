"""The policy snapshot: everything the proxy needs to decide besides categories, as one value.

Admin publishes it as a file, every worker replaces its own by it. As bytes it is one JSON object
behind a line with its format and SHA-256, so that a cut or altered file is refused whole.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from policy.correction import Correction
from policy.state import DeviceOff, Exemption, FilterOff, Lockdown, State
from policy.town_policy import Policy
from policy.web_address import parse_web_address

_MAGIC = b"towngate-policy-9"


class SnapshotError(Exception):
    """A policy snapshot cannot be used; the one in force stays."""


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """`sequence` counts publications; `admin_url` is where people ask ("https://host:port").

    `proxy_passwords` maps person ids to argon2id hashes of their proxy passwords. `receipts` has who
    accepted the policy's notice (None), or put it off until a time. `never_inspect` are hosts, `ended_visits`
    the codes of visits that IT has ended lately. `accounts` has by
    person until when they have an internet account.
    """

    sequence: int
    published_at: AwareDatetime
    policy: Policy
    admin_url: str
    exemptions: tuple[Exemption, ...] = ()
    proxy_passwords: Mapping[str, str] = field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()
    lockdowns: tuple[Lockdown, ...] = ()
    devices_off: tuple[DeviceOff, ...] = ()
    filter_off: FilterOff | None = None
    receipts: Mapping[str, AwareDatetime | None] = field(default_factory=dict)
    never_inspect: tuple[str, ...] = ()
    ended_visits: tuple[str, ...] = ()
    accounts: Mapping[str, AwareDatetime] = field(default_factory=dict)

    def state(self) -> State:
        """Return what deciding needs beside the policy."""
        site = parse_web_address(self.admin_url)
        return State(
            self.exemptions,
            (site.host, site.port),
            lockdowns=self.lockdowns,
            devices_off=self.devices_off,
            filter_off=self.filter_off,
            receipts=self.receipts if self.policy.notice is not None else None,
            accounts=self.accounts if self.policy.asking.internet_account is not None else None,
            never_inspect=self.never_inspect,
        )

    def to_bytes(self) -> bytes:
        """Return the snapshot as the bytes of a file."""
        body = _ADAPTER.dump_json(self)
        return _MAGIC + b" " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "PolicySnapshot":
        """Read a snapshot back.

        Raises SnapshotError when the bytes are cut, altered or of another format.
        """
        head, _, body = data.partition(b"\n")
        magic, _, digest = head.partition(b" ")
        if magic != _MAGIC:
            raise SnapshotError(f"not a policy snapshot of this version: it begins with {head[:40]!r}")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise SnapshotError("the policy snapshot is cut or altered: its digest does not match")
        try:
            return _ADAPTER.validate_json(body)
        except ValidationError as error:
            # Without the values: there are password hashes among them.
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise SnapshotError(f"the policy snapshot has another form: {where}: {first['msg']}") from None


_ADAPTER = TypeAdapter(PolicySnapshot)
