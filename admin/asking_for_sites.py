"""What the ways of asking for a site have in common: what they need, and what would be decided of a visit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from admin.asking import InvalidRequestError
from admin.clock import Clock
from admin.database import Database
from admin.publisher import Publisher
from admin.site_lists import SiteLists
from categories.host_name import is_address
from categories.match import CategoryMatch
from categories.snapshot import CategorySnapshotError
from policy.correction import Corrections
from policy.deciding import decide
from policy.decision import Decision
from policy.identity import Identities
from policy.judging import Judged, SiteListing, judge
from policy.snapshot import PolicySnapshot
from policy.state import State
from policy.town_policy import Policy
from policy.visit import Visit
from policy.web_address import WebAddress, parse_web_address


@dataclass(frozen=True, slots=True)
class Imagined:
    """A visit that nobody has made, and what is decided of it by this policy and state."""

    visit: Visit
    decision: Decision
    policy: Policy
    state: State
    corrections: Corrections


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


def typed_address(text: str) -> WebAddress:
    """Return an address, or a bare host name as one, as people type them; else InvalidRequestError."""
    try:
        address = parse_web_address(text)
    except ValueError as error:
        raise InvalidRequestError("site", "Enter a site, like library.example") from error
    if "." not in address.host and not is_address(address.host):
        raise InvalidRequestError("site", "Enter a site, like library.example")
    return address


def typed_host(text: str) -> str:
    """Return the host of what `typed_address` takes."""
    return typed_address(text).host


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
    decision, corrections = decide(visit, snapshot.policy, state), Corrections(snapshot.corrections)
    return Imagined(visit, decision, snapshot.policy, state, corrections)


async def imagine_page(imagined: Imagined, lists: SiteLists, address: WebAddress) -> tuple[Judged, ...]:
    """Judge the visit by its whole address; InvalidRequestError while there are no lists."""
    try:
        found = await lists.snapshot()
    except CategorySnapshotError as error:
        raise _not_now("site") from error
    listing = SiteListing(found, imagined.corrections, imagined.policy)
    visit = structs.replace(
        imagined.visit, scheme=address.scheme, port=address.port, path=address.path, matches=()
    )
    return judge(visit, imagined.policy, imagined.state, listing)


def _not_now(field: str) -> InvalidRequestError:
    return InvalidRequestError(field, "Sites cannot be looked up right now; try again in a minute")
