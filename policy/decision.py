"""A decision: what the proxy must do with a visit, and why."""

from dataclasses import dataclass
from enum import StrEnum

from categories.match import CategoryMatch


class Verdict(StrEnum):
    """Whether the visit may go on."""

    ALLOW = "allow"
    VIEW_ONLY = "view_only"
    """For reading: what publishes, comments, uploads or signs in is stopped."""
    WARN = "warn"
    """Not yet: a page asks first, and who continues there may go on for a while."""
    BLOCK = "block"


class Lane(StrEnum):
    """How the connection is carried."""

    TUNNEL = "tunnel"
    """Undecrypted, bytes counted."""
    INSPECT = "inspect"
    """Decrypted under the town's CA, because a rule says so, and judged request by request."""
    PLAIN = "plain"
    """An http:// request, forwarded and counted."""
    BLOCK = "block"
    """A page says why; the origin server is never dialled."""
    REFUSE = "refuse"
    """Closed or answered with a bare status, where no page can be shown."""


class Cause(StrEnum):
    """What a decision rests on. Deciding gives the first group, the proxy itself the second."""

    ADMIN_SITE = "admin_site"
    """Towngate's own site; visits to it are not recorded."""
    DEVICE_OFF = "device_off"
    """IT took the device off the web."""
    ESSENTIAL = "essential"
    UNKNOWN_CLIENT = "unknown_client"
    PORT = "port"
    PRIVATE_ADDRESS = "private_address"
    LOCKDOWN = "lockdown"
    """IT limited the web, for everyone or a department."""
    FILTER_OFF = "filter_off"
    """IT switched the filter off for a while."""
    NO_ACCOUNT = "no_account"
    """The person needs an internet account, and has none."""
    NOTICE = "notice"
    """The person has not accepted the town's notice yet."""
    SECURITY_RISK = "security_risk"
    EXEMPTION = "exemption"
    RULE = "rule"
    DEFAULT = "default"
    LIMIT = "limit"
    """A size, a kind of file or what was used in a day is over a limit; the visit was allowed until then."""
    ENDED = "ended"
    """IT ended the visit while it went on."""

    MISMATCH = "mismatch"
    """SNI and CONNECT host are different sites."""
    NOT_TLS = "not_tls"
    """Bytes in a tunnel that are not TLS."""
    MALFORMED = "malformed"
    """A message that cannot be read one way only."""
    UNREACHABLE = "unreachable"
    """The origin server cannot be reached; the visit was allowed."""
    CERTIFICATE = "certificate"
    """The origin server could not prove who it is; the visit was allowed, and nothing was sent."""
    FAULT = "fault"
    """Deciding failed; the visit is blocked."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with everything needed to explain and replay it.

    `rule` and `exemption` are ids; `match` is the list entry that decided, `because` the policy's
    own clause, `approval` the roles that may allow it, in turn; empty when nobody can.
    `file_types` are what a download was stopped for; empty where its types cannot be told.
    `inspect_rules` are the ids of the rules for which an allowed visit is to be looked into, or of the
    exemption that opens it for reading.
    `carried_by` is the host that was visited, where the site decided about is the one that it shows.
    `lifted` are the ids of rules of file types that do not hold for an allowed visit, as access lifts them.
    `limits` are the ids of the limits that hold for an allowed visit; `limit` is the one that stopped
    something in it, `size_bytes` the size for which it did, None where that was no size or is not known.
    """

    verdict: Verdict
    cause: Cause
    rule: str | None = None
    exemption: str | None = None
    match: CategoryMatch | None = None
    because: str | None = None
    approval: tuple[str, ...] = ()
    file_types: tuple[str, ...] = ()
    inspect_rules: tuple[str, ...] = ()
    carried_by: str | None = None
    lifted: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    limit: str | None = None
    size_bytes: int | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the visit may go on, if only for reading."""
        return self.verdict in _GOES_ON

    @property
    def is_inspected(self) -> bool:
        """Whether the visit may go on, and is to be looked into."""
        return bool(self.inspect_rules)


def stricter(first: Decision, second: Decision) -> Decision:
    """Return the decision whose verdict is the stricter one; `first` when both are the same."""
    return max(first, second, key=lambda decision: _STRICTNESS[decision.verdict])


_GOES_ON = frozenset({Verdict.ALLOW, Verdict.VIEW_ONLY})
_STRICTNESS = {Verdict.ALLOW: 0, Verdict.VIEW_ONLY: 1, Verdict.WARN: 2, Verdict.BLOCK: 3}
