"""What the ways of asking for a site have in common: what they need, and what would be decided of a visit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from admin.asking import InvalidRequestError
from admin.clock import Clock
from admin.database import Database
from admin.publisher import Publisher
from admin.site_lists import SiteLists
from categories.host_name import is_address
from categories.match import CategoryMatch
from categories.snapshot import CategorySnapshotError
from policy.deciding import decide
from policy.decision import Decision
from policy.identity import Identities
from policy.snapshot import PolicySnapshot
from policy.state import State
from policy.town_policy import Policy
from policy.visit import Visit
from policy.web_address import parse_web_address


@dataclass(frozen=True, slots=True)
class Imagined:
    """A visit that nobody has made, and what is decided of it by this policy and state."""

    visit: Visit
    decision: Decision
    policy: Policy
    state: State


class AsksForSites:
    """What a session does about sites that are asked for. `policy` returns the running one."""

    def __init__(
        self, db: Database, publisher: Publisher, policy: Callable[[], Policy], lists: SiteLists, clock: Clock
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._policy = policy
        self._lists = lists
        self._clock = clock


def typed_host(text: str) -> str:
    """Return the host of an address or a bare host name as people type them; else InvalidRequestError."""
    try:
        host = parse_web_address(text).host
    except ValueError as error:
        raise InvalidRequestError("site", "Enter a site, like library.example") from error
    if "." not in host and not is_address(host):
        raise InvalidRequestError("site", "Enter a site, like library.example")
    return host


async def looked_up(lists: SiteLists, host: str, field: str = "site") -> tuple[CategoryMatch, ...]:
    """Return what a canonical host is listed as; InvalidRequestError of `field` where none can be read."""
    try:
        return await lists.listed(host)
    except CategorySnapshotError as error:
        raise _not_now(field) from error


async def imagine(
    snapshot: PolicySnapshot | None, lists: SiteLists, person: str, host: str, at: datetime
) -> Imagined:
    """Decide a person's visit to a host; InvalidRequestError while there is nothing to decide by."""
    if snapshot is None or person not in snapshot.policy.people:
        raise _not_now("site")
    client = Identities(snapshot.policy).client_of(person, at)
    visit = Visit(client, "https", host, 443, None, at, await looked_up(lists, host))
    state = snapshot.state()
    return Imagined(visit, decide(visit, snapshot.policy, state), snapshot.policy, state)


def _not_now(field: str) -> InvalidRequestError:
    return InvalidRequestError(field, "Sites cannot be looked up right now; try again in a minute")
