"""What the reports of commands say of the sites that a policy would open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from admin.clock import utc_now
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections
from policy.judging import SiteListing
from policy.opening import opened_by_rule
from policy.snapshot import PolicySnapshot

SHOWN = 5
"""So many names of a rule are shown."""


def openings_as_json(opened: Mapping[str, tuple[str, ...]]) -> list[dict[str, object]]:
    """Return how many sites each rule would open, and the first of them, for a script."""
    return [
        {"rule": rule, "count": len(hosts), "first": list(hosts[:SHOWN])} for rule, hosts in opened.items()
    ]


def opening_lines(opened: Mapping[str, tuple[str, ...]], sites: int, what: str) -> Iterator[str]:
    """Yield the same in words: of how many `what`, and a line for each rule."""
    count = len({host for hosts in opened.values() for host in hosts})
    yield f"Of {sites:,} {what} it would open {count:,}."
    for rule, hosts in opened.items():
        more = ", ..." if len(hosts) > SHOWN else ""
        yield f"  {rule}: {len(hosts):,}" + (f", like {', '.join(hosts[:SHOWN])}{more}" if hosts else "")


@dataclass(frozen=True, slots=True)
class ListedPages:
    """The `hosts` of which lists have URLs that rules with `inspect: urls` look for, and which they open."""

    hosts: int
    opened: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, object]:
        """Return it for a script."""
        return {"hosts": self.hosts, "would_open": openings_as_json(self.opened)}

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        return opening_lines(self.opened, self.hosts, "hosts with URLs that the policy looks for")


def listed_pages(published: PolicySnapshot | None, lists: CategorySnapshot) -> ListedPages | None:
    """Say what URL entries have the published policy open; None where no rule looks for them."""
    rules = [rule for rule in published.policy.rules if rule.inspects_urls] if published else []
    if published is None or not rules:
        return None
    hosts = lists.hosts_with_urls(frozenset[str]().union(*(rule.categories for rule in rules)))
    listing = SiteListing(lists, Corrections(published.corrections), published.policy)
    opened = opened_by_rule(published.policy, listing, hosts, utc_now())
    return ListedPages(len(hosts), {rule.id: opened[rule.id] for rule in rules})
