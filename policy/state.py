"""What deciding needs beside the policy: the exemptions in force, and where the admin site is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime


@dataclass(frozen=True, slots=True)
class Exemption:
    """Access to one site for one person or one department, until a date.

    It covers `host` and its subdomains while granted_at <= at < expires_at (aware UTC).
    Exactly one of `person` and `department` is given. `accepted_risks` are the categories that IT
    security accepted for this access: a site that is listed as any other security risk stays shut.
    """

    id: str
    host: str
    granted_at: AwareDatetime
    expires_at: AwareDatetime
    person: str | None = None
    department: str | None = None
    accepted_risks: frozenset[str] = frozenset()

    def holds_at(self, at: datetime) -> bool:
        """Whether it is in force at `at` (aware UTC)."""
        return self.granted_at <= at < self.expires_at


class State:
    """Exemptions, indexed by host, and the admin site's (host, port); immutable once built."""

    __slots__ = ("_by_host", "admin_site", "exemptions")

    def __init__(
        self, exemptions: Iterable[Exemption] = (), admin_site: tuple[str, int] | None = None
    ) -> None:
        self.exemptions = tuple(exemptions)
        self.admin_site = admin_site
        self._by_host: dict[str, list[Exemption]] = {}
        for exemption in self.exemptions:
            self._by_host.setdefault(exemption.host, []).append(exemption)

    def exemptions_for(self, host: str) -> Iterable[Exemption]:
        """Yield exemptions of the host and of its parents, nearest first, expired ones included."""
        if not self._by_host:
            return
        while host:
            yield from self._by_host.get(host, ())
            host = host.partition(".")[2]

    def next_edge_after(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` when an exemption begins or ends; None if none does."""
        edges = (edge for e in self.exemptions for edge in (e.granted_at, e.expires_at) if edge > at)
        return min(edges, default=None)
