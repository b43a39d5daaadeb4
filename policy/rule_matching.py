"""Which rule of the policy answers for a visit, and what it says."""

import itertools
from collections.abc import Collection, Iterator

from categories.match import CategoryMatch
from categories.taxonomy import NEWLY_SEEN, UNCATEGORISED
from policy.decision import Cause, Decision, Verdict
from policy.town_policy import Approver, Limit, Policy, Rule
from policy.town_time import zone_of
from policy.visit import Client, Visit

type Answer = tuple[Decision | None, str]
"""What a step says: its decision, None when it leaves it to the next; and why."""

NO_LIST = "no list"
"""Stands in a match that says that a site is uncategorised or newly seen, where another names its list."""


def rule_answers(visit: Visit, policy: Policy) -> Iterator[Answer]:
    """Yield what each rule says of a visit, in their order."""
    matches = rule_matches(visit, policy)
    categories = frozenset([match.category for match in matches])
    is_risk = not policy.security_categories.isdisjoint(categories)
    for rule in policy.rules:
        yield _answer(rule, visit, policy, matches, categories, is_risk=is_risk)


def rule_matches(visit: Visit, policy: Policy) -> tuple[CategoryMatch, ...]:
    """Return what the rules are asked about.

    1. the security risks of the site alone, where there are any
    2. what it is listed as, or that it is uncategorised where there is nothing
    3. beside that, and after it, that it is newly seen: a rule that names both quotes the list

    Only a rule that names "uncategorised" or "newly_seen" decides by it.
    """
    risks = risks_of(visit, policy)
    if risks:
        return risks
    matches = visit.matches or (CategoryMatch(UNCATEGORISED, visit.host, NO_LIST),)
    return (*matches, CategoryMatch(NEWLY_SEEN, visit.host, NO_LIST)) if visit.is_newly_seen else matches


def download_rules(visit: Visit, policy: Policy, decided_by: str | None) -> tuple[Rule, ...]:
    """Return the rules that decide about what is downloaded in a visit, in their order.

    Only those before the rule that decided the visit (None: none did): first match wins.
    """
    categories = frozenset([match.category for match in rule_matches(visit, policy)])
    before = itertools.takewhile(lambda rule: rule.id != decided_by, policy.rules)
    return tuple(
        [
            rule
            for rule in before
            if rule.file_types and rule.categories & categories and why_not_for(rule, visit, policy) is None
        ]
    )


def risks_of(visit: Visit, policy: Policy) -> tuple[CategoryMatch, ...]:
    """Return what a site is listed as that is a security risk."""
    return tuple([match for match in visit.matches if match.category in policy.security_categories])


def is_for_client(rule: Rule | Limit, client: Client) -> bool:
    """Whether a rule, or a limit, is about this client at all."""
    is_of_department = not rule.departments or client.department in rule.departments
    return is_of_department and (not rule.people or client.person in rule.people)


def why_not_for(rule: Rule | Limit, visit: Visit, policy: Policy) -> str | None:
    """Return why a rule or limit is not for this client at this time, whatever the site; None when it is."""
    client = visit.client
    if not is_for_client(rule, client):
        is_others = rule.departments and client.department not in rule.departments
        return f"it is for other {'departments' if is_others else 'people'}"
    if rule.when is not None and not policy.schedules[rule.when].holds_at(visit.at, zone_of(policy)):
        return f"it holds only in {rule.when}"
    return None


def asking_roles(
    cause: Cause, rule: str | None, policy: Policy, listed_as: Collection[str]
) -> tuple[str, ...]:
    """Return the roles that can be asked, in turn, to allow what was blocked for this cause.

    `rule` is the id of the rule that blocked, or of the limit, if one did. `listed_as` are the site's
    categories: a security risk nobody but IT security can open, whoever else the rule asks, and what the
    policy never allows nobody at all. Empty when nobody can.
    """
    if not policy.asking.never.isdisjoint(listed_as):
        return ()
    is_risk = not policy.security_categories.isdisjoint(listed_as)
    it_security = (Approver.IT_SECURITY.value,) if policy.roles.get(Approver.IT_SECURITY.value) else ()
    match cause:
        case Cause.RULE:
            found = next((other for other in policy.rules if other.id == rule), None)
            roles = tuple(role.value for role in found.approval) if found else ()
            return it_security if roles and is_risk else roles
        case Cause.LIMIT:
            limit = next((other for other in policy.limits if other.id == rule), None)
            return tuple(role.value for role in limit.approval) if limit else ()
        case Cause.SECURITY_RISK:
            return it_security
        case _:
            return ()


def acting(action: Verdict, visit: Visit) -> tuple[Verdict, str]:
    """Return what an action comes to for this visit, with words for it."""
    if action is Verdict.WARN and visit.has_continued:
        return Verdict.ALLOW, "warned of lately, and continued"
    return action, action.value


def site_listed_in(sites: frozenset[str], host: str) -> str | None:
    """Return the host or the nearest of its parents that is among the sites, None if none is."""
    while sites and host:
        if host in sites:
            return host
        host = host.partition(".")[2]
    return None


def first_match(matches: tuple[CategoryMatch, ...]) -> CategoryMatch | None:
    """Return the most specific match, None if there is none."""
    return matches[0] if matches else None


def listed(match: CategoryMatch, policy: Policy) -> str:
    """Return the sentence that says what a match says."""
    if match.source == NO_LIST and match.category == NEWLY_SEEN:
        days = policy.newly_seen_days
        return f"{match.entry} is {match.category}: first visited here less than {days} days ago"
    if match.source == NO_LIST:
        return f"{match.entry} is {match.category}: no list knows it"
    return f"{match.entry} is listed as {match.category} by {match.source}"


def _answer(
    rule: Rule,
    visit: Visit,
    policy: Policy,
    matches: tuple[CategoryMatch, ...],
    categories: frozenset[str],
    *,
    is_risk: bool,
) -> Answer:
    # A rule for any site does not name the risk, and a rule for another category of the site neither:
    # what is press and malware is malware.
    if rule.categories:
        if rule.categories.isdisjoint(categories):
            return None, "the site is in none of its categories"
    elif is_risk:
        return None, "it does not name the security risk"
    why_not = why_not_for(rule, visit, policy)
    if why_not is not None:
        return None, why_not
    if rule.file_types:
        return None, f"it decides about downloads only: {', '.join(sorted(rule.file_types))}"
    named = (m for m in matches if m.category in rule.categories)
    match = next(named) if rule.categories else first_match(visit.matches)
    verdict, does = acting(rule.action, visit)
    decision = Decision(
        verdict,
        Cause.RULE,
        rule=rule.id,
        match=match,
        because=rule.because,
        approval=asking_roles(Cause.RULE, rule.id, policy, visit.categories),
    )
    return decision, f"{listed(match, policy) if match else 'any site'}: {does}"
