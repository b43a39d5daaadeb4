"""Which open visits a change may decide otherwise, so that only those are judged again."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from policy.deciding import next_edge_after
from policy.snapshot import PolicySnapshot
from policy.state import Exemption, State


@dataclass(frozen=True, slots=True)
class Touched:
    """What visits a change is about: those of any of these people (ids), IP addresses, sites with all
    that is below them, or codes; or every visit there is."""

    people: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    is_every: bool = False

    def __or__(self, other: "Touched") -> "Touched":
        """Return what either of two changes is about."""
        return Touched(
            self.people | other.people,
            self.addresses | other.addresses,
            self.sites | other.sites,
            self.codes | other.codes,
            self.is_every or other.is_every,
        )

    def __bool__(self) -> bool:
        return self.is_every or bool(self.people or self.addresses or self.sites or self.codes)


_NAMED = (
    *("sequence", "published_at", "proxy_passwords"),
    *("exemptions", "receipts", "devices_off", "never_inspect", "corrections", "accounts"),
    "ended_visits",
)
"""The parts of a snapshot that a change says more of than that it is another."""

NOTHING = Touched()
EVERY_VISIT = Touched(is_every=True)


def touched_by_change(before: PolicySnapshot, after: PolicySnapshot) -> Touched:
    """Return which visits are decided otherwise, if any, since one snapshot has replaced the other.

    A policy that is not the same, a lockdown, the filter going off or on, and whatever else is not named
    below is about every visit. A proxy password is about none: who has signed in has signed in.
    """
    named = {name: getattr(before, name) for name in _NAMED}
    if replace(after, **named) != before:
        return EVERY_VISIT
    receipts = _not_in_both(before.receipts.items(), after.receipts.items())
    accounts = _not_in_both(before.accounts.items(), after.accounts.items())
    return _touched_by_exemptions(_not_in_both(before.exemptions, after.exemptions)) | Touched(
        people=frozenset([*(person for person, _ in receipts), *(person for person, _ in accounts)]),
        addresses=frozenset(off.address for off in _not_in_both(before.devices_off, after.devices_off)),
        sites=frozenset(_not_in_both(before.never_inspect, after.never_inspect))
        | frozenset(correction.site for correction in _not_in_both(before.corrections, after.corrections)),
        codes=frozenset(after.ended_visits) - frozenset(before.ended_visits),
    )


def touched_by_time(snapshot: PolicySnapshot, since: datetime, until: datetime) -> Touched:
    """Return which visits are decided otherwise, if any, because of what begins or ends in a snapshot
    while since < at <= until (aware UTC).

    The edge of a schedule, the end of a person's own device, and the filter going on again, are about every
    visit.
    """

    def is_now(at: datetime | None) -> bool:
        return at is not None and since < at <= until

    off = snapshot.filter_off
    if is_now(next_edge_after(since, snapshot.policy, State())) or (
        off is not None and (is_now(off.since) or is_now(off.until))
    ):
        return EVERY_VISIT
    changing = (e for e in snapshot.exemptions if is_now(e.granted_at) or is_now(e.expires_at))
    put_off = (person for person, put_off_until in snapshot.receipts.items() if is_now(put_off_until))
    ended = (person for person, until in snapshot.accounts.items() if is_now(until))
    return _touched_by_exemptions(changing) | Touched(people=frozenset([*put_off, *ended]))


def _touched_by_exemptions(exemptions: Iterable[Exemption]) -> Touched:
    people, sites = set(), set()
    for exemption in exemptions:
        if exemption.person is not None:
            people.add(exemption.person)
        elif exemption.host:
            sites.add(exemption.host)
        else:
            # A department's, for categories: whatever its people have open may be of them.
            return EVERY_VISIT
    return Touched(people=frozenset(people), sites=frozenset(sites))


def _not_in_both[Item: Hashable](before: Iterable[Item], after: Iterable[Item]) -> set[Item]:
    return set(before) ^ set(after)
