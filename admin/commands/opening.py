"""What the reports of commands say of the sites that a policy would open."""

from collections.abc import Iterator
from dataclasses import dataclass

from admin.clock import utc_now
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections
from policy.judging import SiteListing
from policy.opening import Openings, openings
from policy.snapshot import PolicySnapshot

SHOWN = 5
"""So many names of a rule are shown."""


def openings_as_json(found: Openings) -> dict[str, object]:
    """Return how many sites each rule would open, or cannot, and the first of them, for a script."""
    return {
        "would_open": [
            {"rule": rule, "count": len(hosts), "first": list(hosts[:SHOWN])}
            for rule, hosts in found.opened.items()
        ],
        "allowed_before": [
            {"rule": rule, "by": before, "count": len(hosts), "first": list(hosts[:SHOWN])}
            for (rule, before), hosts in found.passed_over.items()
        ],
    }


def opening_lines(found: Openings, sites: int, one: str, which: str = "") -> Iterator[str]:
    """Yield the same in words: of how many (`one` of them is so called), a line a rule, what cannot act."""
    count = len({host for hosts in found.opened.values() for host in hosts})
    yield f"Of {sites:,} {one}{'' if sites == 1 else 's'}{which} it would open {count:,}."
    for rule, hosts in found.opened.items():
        yield f"  {rule}: {len(hosts):,}" + (f", like {_first(hosts)}" if hosts else "")
    for (rule, before), hosts in found.passed_over.items():
        yield (
            f"  warning: {rule} cannot act on the pages listed of {len(hosts):,} of them, like"
            f" {_first(hosts)}: {before} stands before it and allows them"
        )


def _first(hosts: tuple[str, ...]) -> str:
    return ", ".join(hosts[:SHOWN]) + (", ..." if len(hosts) > SHOWN else "")


@dataclass(frozen=True, slots=True)
class ListedPages:
    """The `hosts` of which lists have URLs that rules with `inspect: urls` look for, and which they open."""

    hosts: int
    found: Openings

    def as_json(self) -> dict[str, object]:
        """Return it for a script."""
        return {"hosts": self.hosts, **openings_as_json(self.found)}

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        return opening_lines(self.found, self.hosts, "host", " with URLs that the policy looks for")


def listed_pages(published: PolicySnapshot | None, lists: CategorySnapshot) -> ListedPages | None:
    """Say what URL entries have the published policy open; None where no rule looks for them."""
    rules = [rule for rule in published.policy.rules if rule.inspects_urls] if published else []
    if published is None or not rules:
        return None
    hosts = lists.hosts_with_urls(frozenset[str]().union(*(rule.categories for rule in rules)))
    listing = SiteListing(lists, Corrections(published.corrections), published.policy)
    found = openings(published.policy, listing, hosts, utc_now())
    return ListedPages(len(hosts), found.of_rules(rule.id for rule in rules))
