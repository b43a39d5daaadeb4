"""What is looked into: allowed visits that a rule wants opened, and none that must never be.

Everything else that is allowed is tunnelled, undecrypted.
"""

from dataclasses import dataclass

from msgspec import structs

from categories.match import CategoryMatch
from policy.decision import Cause, Decision, Verdict
from policy.file_types import FILE_TYPES
from policy.rule_matching import (
    NO_LIST,
    asking_roles,
    download_rules,
    risks_of,
    rule_answers,
    rule_matches,
    site_listed_in,
)
from policy.state import Exemption, State
from policy.town_policy import Policy, Rule
from policy.visit import Visit

# What is allowed for these is allowed whole: nothing found inside would change it.
_WHOLE = frozenset({Cause.ADMIN_SITE, Cause.ESSENTIAL, Cause.EXEMPTION, Cause.FILTER_OFF})


def rules_that_inspect(visit: Visit, decision: Decision, policy: Policy, state: State) -> tuple[str, ...]:
    """Return the ids of the rules for which an allowed visit is to be looked into; empty for a tunnel.

    1. what is essential, exempt or allowed to all is not
    2. over HTTPS, what must never be inspected is not
    3. the rule that decided wants it when its action is view_only
    4. a rule with `inspect: urls` wants it when it would decide about a URL that is listed below this
       host in one of its categories (`visit.url_categories`)
    5. a rule with `file_types` that blocks wants it when it stands before the rule that decided
    """
    if decision.cause in _WHOLE or (visit.scheme == "https" and must_not_inspect(visit, policy, state)):
        return ()
    by_downloads = {rule.id for rule in rules_for_downloads(visit, decision, policy) if _blocks(rule)}
    return tuple(
        [
            rule.id
            for rule in policy.rules
            if rule.id in by_downloads
            or (rule.id == decision.rule and decision.verdict is Verdict.VIEW_ONLY)
            or (rule.inspects_urls and _decides_a_url(rule, visit, policy))
        ]
    )


def rules_for_downloads(visit: Visit, decision: Decision, policy: Policy) -> tuple[Rule, ...]:
    """Return the rules that decide about what an allowed visit downloads, in their order."""
    if decision.cause in _WHOLE:
        return ()
    rules = download_rules(visit, policy, decision.rule)
    return tuple([rule for rule in rules if rule.id not in decision.lifted]) if decision.lifted else rules


def lifted_rules(visit: Visit, policy: Policy, state: State) -> tuple[str, ...]:
    """Return the ids of the rules of file types that access lifts for all that a visit downloads."""
    if not state.lifts_rules:
        return ()
    access = state.lifting(visit.host, visit.client, visit.at)
    lifting = [one for one in access if not one.is_once]
    lifted = [one.lifts_rule for one in lifting if may_lift(one, one.lifts_rule, visit, policy)]
    return tuple(dict.fromkeys(lifted))


def may_lift(access: Exemption, rule: str | None, visit: Visit, policy: Policy) -> bool:
    """Whether access lifts a rule of file types: where the site's security risks are accepted, if it has any,
    and it is nothing that nobody can allow."""
    risks = {risk.category for risk in risks_of(visit, policy)}
    is_accepted = risks <= access.accepted_risks and policy.asking.never.isdisjoint(visit.categories)
    return access.lifts_rule == rule and is_accepted


def decide_download(
    types: frozenset[str], rules: tuple[Rule, ...], visit: Visit, policy: Policy
) -> Decision | None:
    """Return the decision that blocks a download which is of these types; None when it goes on.

    `rules` are `rules_for_downloads`; the first that names one of the types decides.
    """
    rule = next((rule for rule in rules if rule.file_types & types), None)
    if rule is None or not _blocks(rule):
        return None
    return Decision(
        Verdict.BLOCK,
        Cause.RULE,
        rule=rule.id,
        match=next(match for match in rule_matches(visit, policy) if match.category in rule.categories),
        because=rule.because,
        approval=asking_roles(Cause.RULE, rule.id, policy, visit.categories),
        file_types=tuple(sorted(rule.file_types & types)),
    )


@dataclass(frozen=True, slots=True)
class StoppedFiles:
    """Downloads of these types (`policy.file_types`) are stopped by the rule."""

    rule: str
    types: frozenset[str]


def stopped_files(visit: Visit, decision: Decision, policy: Policy, state: State) -> tuple[StoppedFiles, ...]:
    """Return what an allowed visit cannot download, by rule, in their order; empty where it is not seen.

    A type is with the first rule that names it, or with none where that one allows it.
    """
    if not decision.is_allowed or (visit.scheme == "https" and must_not_inspect(visit, policy, state)):
        return ()
    found = []
    open_types = frozenset(FILE_TYPES)
    for rule in rules_for_downloads(visit, decision, policy):
        types = rule.file_types & open_types
        open_types -= types
        if types and _blocks(rule):
            found.append(StoppedFiles(rule.id, types))
    return tuple(found)


def must_not_inspect(visit: Visit, policy: Policy, state: State) -> bool:
    """Whether a site is one of those that are never decrypted to be looked into (`never_inspect`)."""
    if any(match.category in policy.never_inspect_categories for match in visit.matches):
        return True
    sites = (policy.never_inspect_sites, state.never_inspect)
    return any(site_listed_in(named, visit.host) is not None for named in sites)


def _blocks(rule: Rule) -> bool:
    return rule.action is Verdict.BLOCK


def decision_about_url(category: str, visit: Visit, policy: Policy) -> Decision | None:
    """Return what the first rule says of a URL of this host that a list has in a category; None: no rule."""
    match = CategoryMatch(category, visit.host, NO_LIST)
    url = structs.replace(visit, matches=(match, *visit.matches), url_categories=frozenset())
    return next((answer for answer, _ in rule_answers(url, policy) if answer is not None), None)


def _decides_a_url(rule: Rule, visit: Visit, policy: Policy) -> bool:
    """Whether the rule would be the first to answer for a URL of this host that a list knows."""
    decisions = (
        decision_about_url(category, visit, policy) for category in rule.categories & visit.url_categories
    )
    return any(decision is not None and decision.rule == rule.id for decision in decisions)
