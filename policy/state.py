"""What deciding needs beside the policy: what people have decided that is in force now."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime

from categories.entry_key import is_below
from policy.visit import Client, Visit


@dataclass(frozen=True, slots=True)
class Exemption:
    """Access for one person or one department, until a date: to one site, to pages of it, or to categories.

    It covers `host` and its subdomains; where a `path` is given (`policy.page_access`), that page of the host
    and what is below it alone; or, where `categories` are given and `host` is empty, sites that no
    rule would stop if they were not listed as these, while granted_at <= at < expires_at (aware UTC).
    Exactly one of `person` and `department` is given. `accepted_risks` are the categories that IT
    security accepted for this access: a site that is listed as any other security risk stays shut.
    `is_for_reading`: what publishes, comments, uploads or signs in is stopped there. `case_number` is of a
    department's standing permission, empty of others.
    One that `lifts_limits` opens nothing: where the host is open, no limit of the policy holds for it, nor
    the rule of file types `lifts_rule`, which counts for a security risk only as access does. One that
    `is_once` lifts them for the first download alone that they would stop, which uses it up; quotas and
    warnings hold for that all the same. One with a `passed_limit` lifts that one alone, as long as it warns.
    """

    id: str
    host: str
    granted_at: AwareDatetime
    expires_at: AwareDatetime
    person: str | None = None
    department: str | None = None
    accepted_risks: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    is_for_reading: bool = False
    lifts_limits: bool = False
    lifts_rule: str = ""
    is_once: bool = False
    passed_limit: str = ""
    case_number: str = ""
    path: str = ""

    def is_for(self, client: Client) -> bool:
        """Whether it is this client's."""
        if self.person is not None:
            return self.person == client.person
        return self.department is not None and self.department == client.department

    def holds_at(self, at: datetime) -> bool:
        """Whether it is in force at `at` (aware UTC)."""
        return self.granted_at <= at < self.expires_at

    def covers(self, visit: Visit) -> bool:
        """Whether it is about what is visited at one of its hosts; a page's only where the path is seen."""
        if not self.path:
            return True
        is_of_host = visit.host in (self.host, f"www.{self.host}")
        return is_of_host and visit.path is not None and is_below(visit.path, self.path)

    @property
    def said(self) -> str:
        """What people call it: "EX-12", "EX-12 (case 2026-104)"."""
        return f"{self.id} (case {self.case_number})" if self.case_number else self.id


@dataclass(frozen=True, slots=True)
class Lockdown:
    """The web is limited to what still works, from `since` until IT ends it.

    For one department, or for everyone when `department` is None. `because` is IT's own sentence,
    which people read; `next_news_at` is when they will hear more, None when nobody said.
    """

    because: str
    since: AwareDatetime
    department: str | None = None
    next_news_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class DeviceOff:
    """IT took the device at this IP address off the web."""

    address: str
    because: str
    since: AwareDatetime


@dataclass(frozen=True, slots=True)
class FilterOff:
    """IT switched the filter off for everyone while since <= at < until (aware UTC)."""

    because: str
    since: AwareDatetime
    until: AwareDatetime

    def holds_at(self, at: datetime) -> bool:
        """Whether it is in force at `at` (aware UTC)."""
        return self.since <= at < self.until


class State:
    """What is in force beside the policy, ready for look-up; immutable once built.

    `admin_site` is Towngate's own (host, port). `receipts` has the people who accepted the notice in
    force (None), or may still put it off until a time; it is None itself where nobody is asked.
    `accounts` has by person until when they have an internet account; None where nobody needs one.
    `never_inspect` are sites that IT found programs for which do not trust the town's certificate.
    """

    __slots__ = (
        "_by_host",
        "_devices_off",
        "accounts",
        "admin_site",
        "category_exemptions",
        "exemptions",
        "filter_off",
        "lifts_rules",
        "lockdowns",
        "never_inspect",
        "receipts",
    )

    def __init__(
        self,
        exemptions: Iterable[Exemption] = (),
        admin_site: tuple[str, int] | None = None,
        *,
        lockdowns: Iterable[Lockdown] = (),
        devices_off: Iterable[DeviceOff] = (),
        filter_off: FilterOff | None = None,
        receipts: Mapping[str, datetime | None] | None = None,
        accounts: Mapping[str, datetime] | None = None,
        never_inspect: Iterable[str] = (),
    ) -> None:
        self.exemptions = tuple(exemptions)
        self.admin_site = admin_site
        self.lockdowns = tuple(lockdowns)
        self.filter_off = filter_off
        self.receipts = receipts
        self.accounts = accounts
        self.never_inspect = frozenset(never_inspect)
        self._devices_off = {device.address: device for device in devices_off}
        self._by_host: dict[str, list[Exemption]] = {}
        self.lifts_rules = any(one.lifts_rule for one in self.exemptions)
        self.category_exemptions = tuple(one for one in self.exemptions if one.categories)
        """Those that open categories of sites."""
        for exemption in self.exemptions:
            self._by_host.setdefault(exemption.host, []).append(exemption)

    def exemptions_for(self, host: str) -> Iterable[Exemption]:
        """Yield exemptions of the host and of its parents, nearest first, expired ones included."""
        if not self._by_host:
            return
        while host:
            yield from self._by_host.get(host, ())
            host = host.partition(".")[2]

    def single_downloads(self, host: str, client: Client, at: datetime) -> tuple[Exemption, ...]:
        """Return the access to one download each that this client has at a host, used up or not."""
        return tuple(one for one in self.lifting(host, client, at) if one.is_once)

    def lifting(self, host: str, client: Client, at: datetime) -> Iterator[Exemption]:
        """Yield the access of this client that lifts limits at a host, and perhaps a rule of file types."""
        for one in self.exemptions_for(host):
            if one.lifts_limits and one.is_for(client) and one.holds_at(at):
                yield one

    def lockdown_for(self, department: str | None) -> Lockdown | None:
        """Return the lockdown that a client of this department is under: everyone's before its own."""
        found = [lockdown for lockdown in self.lockdowns if lockdown.department in (None, department)]
        return min(found, key=lambda lockdown: lockdown.department is not None, default=None)

    def device_off_at(self, address: str) -> DeviceOff | None:
        """Return why the device at this IP address is off the web, None when it is not."""
        return self._devices_off.get(address)

    def must_accept_notice(self, person: str, at: datetime) -> bool:
        """Whether the person has to accept the notice in force before going on."""
        if self.receipts is None:
            return False
        if person not in self.receipts:
            return True
        put_off_until = self.receipts[person]
        return put_off_until is not None and at >= put_off_until

    def lacks_account(self, person: str, at: datetime) -> bool:
        """Whether nobody gave the person an internet account, or it is over; False where nobody needs one."""
        if self.accounts is None:
            return False
        until = self.accounts.get(person)
        return until is None or at >= until

    def next_edge_after(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` when something here begins or ends; None if nothing does."""
        edges = [edge for e in self.exemptions for edge in (e.granted_at, e.expires_at)]
        edges += [edge for edge in (self.receipts or {}).values() if edge is not None]
        edges += (self.accounts or {}).values()
        if self.filter_off is not None:
            edges += (self.filter_off.since, self.filter_off.until)
        return min((edge for edge in edges if edge > at), default=None)
