"""A visit: an attempt to reach a host; and the client who makes it."""

from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from categories.match import CategoryMatch


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of a connection, as far as it is known.

    `address` is the textual IP address. `person` and `department` are ids of the policy document,
    `device` a device's name. A network alone gives a department and no person. All but the
    address are None for a client nobody knows.
    """

    address: str
    person: str | None = None
    device: str | None = None
    department: str | None = None
    is_signed_in: bool = False

    @property
    def is_known(self) -> bool:
        """Whether person, device or network say who this is."""
        return self.person is not None or self.device is not None or self.department is not None


# By msgspec, and not a dataclass: one is made for every visit there is, some of them more than once.
class Visit(Struct, frozen=True):
    """What is judged: who wants to reach what, when, and what the site is listed as.

    `scheme` is "https" or "http"; `host` a canonical host name or IP literal
    (`categories.host_name`); `path` None where it cannot be seen (a tunnel), without the query
    otherwise. `at` is aware UTC. `matches` are the categories of host and path, most specific
    entry first; where the path cannot be seen, `url_categories` are those that the lists have URLs of
    this host in. `has_continued`: the client was warned of this site lately and chose to go on.
    `is_newly_seen`: the site was first visited in this town less than `Policy.newly_seen_days` ago; it
    is looked up only where a rule names that.
    """

    client: Client
    scheme: str
    host: str
    port: int
    path: str | None
    at: datetime
    matches: tuple[CategoryMatch, ...] = ()
    has_continued: bool = False
    url_categories: frozenset[str] = frozenset()
    is_newly_seen: bool = False

    @property
    def categories(self) -> frozenset[str]:
        """What the site is listed as."""
        return frozenset(match.category for match in self.matches)
