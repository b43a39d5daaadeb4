"""Which of many sites a policy would open, for whom ever and at whatever hour.

Pure, as `policy.judging`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from categories.host_name import is_address
from categories.taxonomy import UNCATEGORISED
from policy.deciding import next_edge_after
from policy.decision import Verdict
from policy.inspecting import decision_about_url
from policy.judging import SiteListing, judge
from policy.rule_matching import site_listed_in, why_not_for
from policy.state import State
from policy.town_policy import Policy
from policy.town_time import zone_of
from policy.visit import Client, Visit

_A_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Openings:
    """Of many hosts, those that each rule which may open sites would open; in the order of rules and hosts.

    `passed_over` has, by the ids of a rule with `inspect: urls` and of one before it, the hosts that the
    first opens for nobody, as the one before it allows the pages that lists have of them.
    """

    opened: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    passed_over: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def of_rules(self, rules: Iterable[str]) -> "Openings":
        """Return the same for these rules alone."""
        kept = frozenset(rules)
        return Openings(
            {rule: hosts for rule, hosts in self.opened.items() if rule in kept},
            {pair: hosts for pair, hosts in self.passed_over.items() if pair[0] in kept},
        )


def openings(policy: Policy, listing: SiteListing, hosts: Iterable[str], at: datetime) -> Openings:
    """Say which of the canonical hosts a policy would open.

    A host counts when it is opened for anybody of the policy, at any hour of the week from `at` (aware
    UTC) on; it may be opened by several rules.
    """
    opening = [rule for rule in policy.rules if rule.opens_sites]
    found: dict[str, list[str]] = {rule.id: [] for rule in opening}
    passed_over: dict[tuple[str, str], list[str]] = {}
    wanted = frozenset[str]().union(*(rule.categories for rule in opening))
    circumstances = [(client, instant) for client in _clients(policy) for instant in _instants(policy, at)]
    port = 443 if 443 in policy.ports else min(policy.ports)
    answers: dict[object, tuple[frozenset[str], tuple[tuple[str, str], ...]]] = {}
    for host in hosts:
        listed = tuple(match.category for match in listing.matches(host, None))
        urls = listing.url_categories(host)
        if wanted.isdisjoint((*listed, *urls, *(() if listed else (UNCATEGORISED,)))):
            continue
        # Hosts that are listed alike, and that the policy does not name, are decided alike.
        named = tuple(
            site_listed_in(sites, host) for sites in (policy.essentials, policy.never_inspect_sites)
        )
        alike = (listed, urls, named, host if is_address(host) else "")
        if alike not in answers:
            visits = [Visit(client, "https", host, port, None, instant) for client, instant in circumstances]
            judged = [judge(visit, policy, State(), listing)[0] for visit in visits]
            opens = frozenset(rule for one in judged for rule in one.decision.inspect_rules)
            before = sorted({pair for one in judged for pair in _allowed_before(one.visit, policy)})
            answers[alike] = opens, tuple(pair for pair in before if pair[0] not in opens)
        opens, before_it = answers[alike]
        for rule in opens:
            found[rule].append(host)
        for pair in before_it:
            passed_over.setdefault(pair, []).append(host)
    return Openings(
        {rule: tuple(names) for rule, names in found.items()},
        {pair: tuple(names) for pair, names in passed_over.items()},
    )


def _allowed_before(visit: Visit, policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield each rule that looks for URLs of the visit's host, with one before it that allows them."""
    places = {rule.id: place for place, rule in enumerate(policy.rules)}
    for rule in policy.rules:
        if not rule.inspects_urls or why_not_for(rule, visit, policy) is not None:
            continue
        for category in rule.categories & visit.url_categories:
            decision = decision_about_url(category, visit, policy)
            if decision is None or decision.rule is None or decision.verdict is not Verdict.ALLOW:
                continue
            if places[decision.rule] < places[rule.id]:
                yield rule.id, decision.rule


def _clients(policy: Policy) -> Iterator[Client]:
    """Yield one of each department, each person whom a rule names, and one of no department."""
    for department in policy.departments:
        yield Client("192.0.2.1", device="any", department=department)
    for person in sorted({person for rule in policy.rules for person in rule.people}):
        yield Client("192.0.2.1", person=person, department=policy.people[person].department)
    yield Client("192.0.2.1", device="any")


def _instants(policy: Policy, at: datetime) -> tuple[datetime, ...]:
    """Return an instant of the coming week for each set of schedules that hold together."""
    zone = zone_of(policy)
    found: dict[frozenset[str], datetime] = {}
    instant: datetime | None = at
    while instant is not None and instant < at + _A_WEEK:
        holding = frozenset(
            name for name, schedule in policy.schedules.items() if schedule.holds_at(instant, zone)
        )
        found.setdefault(holding, instant)
        instant = next_edge_after(instant, policy, State())
    return tuple(found.values())
