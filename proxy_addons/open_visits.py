"""The visits that go on, to be found by who makes them, from where, and to which site."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from categories.carriers import carried_hosts
from policy.rule_matching import site_listed_in
from policy.touched import Touched
from policy.visit import Visit

if TYPE_CHECKING:
    from proxy_addons.visit_log import OpenVisit


class OpenVisits:
    """A set of open visits, indexed by person, IP address and host."""

    __slots__ = ("_by_address", "_by_host", "_by_person", "_seen")

    def __init__(self) -> None:
        self._seen: dict[OpenVisit, Visit] = {}
        self._by_person: dict[str, set[OpenVisit]] = {}
        self._by_address: dict[str, set[OpenVisit]] = {}
        self._by_host: dict[str, set[OpenVisit]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, visit: object) -> bool:
        return visit in self._seen

    def __iter__(self) -> Iterator["OpenVisit"]:
        return iter(tuple(self._seen))

    def add(self, visit: "OpenVisit", seen: Visit) -> None:
        """Find a visit from now on by whom and what it was seen as, also one that is here already."""
        self.discard(visit)
        self._seen[visit] = seen
        client = seen.client
        if client.person is not None:
            _add(self._by_person, client.person, visit)
        _add(self._by_address, client.address, visit)
        _add(self._by_host, seen.host, visit)

    def discard(self, visit: "OpenVisit") -> bool:
        """Take a visit out; False when it is not here."""
        seen = self._seen.pop(visit, None)
        if seen is None:
            return False
        client = seen.client
        if client.person is not None:
            _discard(self._by_person, client.person, visit)
        _discard(self._by_address, client.address, visit)
        _discard(self._by_host, seen.host, visit)
        return True

    def seen(self, visit: "OpenVisit") -> Visit:
        """Return as what a visit is found. KeyError when it is not here."""
        return self._seen[visit]

    def touched(self, touched: Touched) -> Iterator["OpenVisit | None"]:
        """Yield the visits that a change is about, some perhaps twice.

        Visits may come and go meanwhile. None stands for a host, or a visit, that was looked at in vain: it
        takes time, too. A site is also touched where another one shows it by its name.
        """
        if touched.is_every:
            yield from tuple(self._seen)
            return
        for person in touched.people:
            yield from tuple(self._by_person.get(person, ()))
        for address in touched.addresses:
            yield from tuple(self._by_address.get(address, ()))
        for visit in tuple(self._seen) if touched.codes else ():
            yield visit if visit.code in touched.codes else None
        for host in tuple(self._by_host) if touched.sites else ():
            is_touched = any(
                site_listed_in(touched.sites, shown) is not None for shown in (host, *carried_hosts(host, ""))
            )
            yield from tuple(self._by_host.get(host, ())) if is_touched else (None,)


def _add(index: dict[str, set["OpenVisit"]], key: str, visit: "OpenVisit") -> None:
    visits = index.get(key)
    if visits is None:
        index[key] = {visit}
    else:
        visits.add(visit)


def _discard(index: dict[str, set["OpenVisit"]], key: str, visit: "OpenVisit") -> None:
    visits = index[key]
    visits.remove(visit)
    if not visits:
        del index[key]
