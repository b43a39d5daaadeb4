"""The only place where a decision about a visit is made."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from zoneinfo import ZoneInfo

from categories.host_name import is_address
from categories.match import CategoryMatch
from categories.taxonomy import UNCATEGORISED
from policy.decision import Cause, Decision, Verdict
from policy.ip import parse_ip
from policy.state import Exemption, State
from policy.town_policy import Approver, Policy, Rule, UnknownAction
from policy.visit import Visit

# RFC 6052: the last 32 bits are the IPv4 address that a translator connects to.
_TRANSLATED = IPv6Network("64:ff9b::/96")


NO_LIST = "no list"
"""Stands in a match that says that a site is uncategorised, where another names its list."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of deciding, for people: what was looked at, whether it decided, and why (not)."""

    what: str
    is_hit: bool
    why: str


def decide(visit: Visit, policy: Policy, state: State, trace: list[Step] | None = None) -> Decision:
    """Say what the proxy must do with this visit, and why.

    1. the admin site: everyone may ask, wherever it listens
    2. device taken off: it reaches nothing else
    3. port: only those the policy lists
    4. essentials: never blocked
    5. private addresses: only the town's internal networks
    6. a client nobody knows
    7. lockdown: only what still works goes on
    8. filter off: whatever gets this far is allowed
    9. notice: a person accepts it before anything else
    10. security risks: a site listed as one is judged as nothing else from here on, only by
        exemptions with every risk of the site accepted and by rules that name the risk
    11. exemptions of the person or the department, for the host or a parent of it
    12. rules, the first that matches wins; one that warns allows who has continued
    13. the default; for a security risk it is to block

    Every step is appended to `trace`, the last ones perhaps as not reached.
    Never raises for a valid Visit.
    """
    answers = _answers(visit, policy, state)
    if trace is not None:
        answers = _traced(answers, policy, trace)
    return next(decision for decision, _ in answers if decision is not None)


def next_edge_after(at: datetime, policy: Policy, state: State) -> datetime | None:
    """Return the first instant after `at` when the same visit might be decided otherwise.

    The edges of schedules that rules use and of exemptions; None if there is none.
    """
    zone = zone_of(policy)
    names = {rule.when for rule in policy.rules if rule.when is not None}
    edges = [policy.schedules[name].next_edge_after(at, zone) for name in names]
    edges.append(state.next_edge_after(at))
    return min((edge for edge in edges if edge is not None), default=None)


def asking_roles(cause: Cause, rule: str | None, policy: Policy, *, is_risk: bool) -> tuple[str, ...]:
    """Return the roles that can be asked, in turn, to allow what was blocked for this cause.

    `rule` is the id of the rule that blocked, if one did. `is_risk`: the site is listed as a security
    risk, which nobody but IT security can open, whoever else the rule asks. Empty when nobody can.
    """
    it_security = (Approver.IT_SECURITY.value,) if policy.roles.get(Approver.IT_SECURITY.value) else ()
    match cause:
        case Cause.RULE:
            found = next((other for other in policy.rules if other.id == rule), None)
            roles = tuple(role.value for role in found.approval) if found else ()
            return it_security if roles and is_risk else roles
        case Cause.SECURITY_RISK:
            return it_security
        case _:
            return ()


def may_dial(address: str, policy: Policy) -> bool:
    """Whether the proxy may connect to this IP address: public, or of an internal network."""
    ip = parse_ip(address)
    if isinstance(ip, IPv6Address) and ip in _TRANSLATED:
        ip = IPv4Address(ip.packed[-4:])
    is_public = ip.is_global and not ip.is_multicast
    return is_public or any(ip in network for network in policy.internal_networks)


@functools.lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone_of(policy: Policy) -> ZoneInfo:
    """Return the town's time zone."""
    return _zone(policy.town.timezone)


type _Answer = tuple[Decision | None, str]
"""What a step says: its decision, None when it leaves it to the next; and why."""


def _answers(visit: Visit, policy: Policy, state: State) -> Iterator[_Answer]:
    """Yield what each step says, in order, up to the default, which always decides."""
    risks = tuple(match for match in visit.matches if match.category in policy.security_categories)
    yield _admin_site(visit, state)
    yield _device_off(visit, state)
    yield _port(visit, policy)
    yield _essential(visit, policy)
    yield _private_address(visit, policy)
    yield _unknown_client(visit, policy)
    yield _lockdown(visit, policy, state)
    yield _filter_off(visit, state)
    yield _notice(visit, state)
    yield _security_risk(risks)
    yield _exemption(visit, state, risks)
    matches = risks or visit.matches or (CategoryMatch(UNCATEGORISED, visit.host, NO_LIST),)
    categories = frozenset([match.category for match in matches])
    for rule in policy.rules:
        yield _rule(rule, visit, policy, matches, categories, is_risk=bool(risks))
    yield _default(visit, policy, risks)


def _traced(answers: Iterator[_Answer], policy: Policy, trace: list[Step]) -> Iterator[_Answer]:
    names = iter((*_STEP_NAMES, *(f"rule {rule.id}" for rule in policy.rules), "default"))
    for name, (decision, why) in zip(names, answers, strict=False):
        trace.append(Step(name, decision is not None, why))
        if decision is not None:
            trace.extend(Step(later, False, "not reached") for later in names)
        yield decision, why


_STEP_NAMES = (
    "admin site",
    "device off",
    "port",
    "essential",
    "private address",
    "unknown client",
    "lockdown",
    "filter off",
    "notice",
    "security risk",
    "exemption",
)


def _admin_site(visit: Visit, state: State) -> _Answer:
    if (visit.host, visit.port) == state.admin_site:
        return Decision(Verdict.ALLOW, Cause.ADMIN_SITE), "Towngate's own site"
    return None, "not Towngate's own site"


def _device_off(visit: Visit, state: State) -> _Answer:
    off = state.device_off_at(visit.client.address)
    if off is None:
        return None, "the device has not been taken off"
    return Decision(Verdict.BLOCK, Cause.DEVICE_OFF), f"IT took this device off: {off.because}"


def _port(visit: Visit, policy: Policy) -> _Answer:
    if visit.port in policy.ports:
        return None, "the port is listed"
    return Decision(Verdict.BLOCK, Cause.PORT), f"port {visit.port} is not listed in 'ports'"


def _essential(visit: Visit, policy: Policy) -> _Answer:
    site = _listed_in(policy.essentials, visit.host)
    if site is not None:
        return Decision(Verdict.ALLOW, Cause.ESSENTIAL), f"{site} is essential"
    return None, "not an essential site"


def _private_address(visit: Visit, policy: Policy) -> _Answer:
    if not is_address(visit.host):
        return None, "a name, not an address"
    if may_dial(visit.host, policy):
        return None, "a public address, or one of an internal network"
    return (
        Decision(Verdict.BLOCK, Cause.PRIVATE_ADDRESS),
        f"{visit.host} is private and in none of 'internal_networks'",
    )


def _unknown_client(visit: Visit, policy: Policy) -> _Answer:
    if visit.client.is_known:
        return None, "the client is known"
    match policy.unknown:
        case UnknownAction.BLOCK | UnknownAction.SIGN_IN:
            return (
                Decision(Verdict.BLOCK, Cause.UNKNOWN_CLIENT),
                "its address is neither a device's nor in a department's network",
            )


def _lockdown(visit: Visit, policy: Policy, state: State) -> _Answer:
    lockdown = state.lockdown_for(visit.client.department)
    if lockdown is None:
        return None, "no lockdown"
    site = _listed_in(policy.works_in_lockdown, visit.host)
    if site is not None:
        return None, f"{site} still works in a lockdown"
    of_whom = "everyone" if lockdown.department is None else lockdown.department
    return Decision(Verdict.BLOCK, Cause.LOCKDOWN), f"a lockdown of {of_whom}: {lockdown.because}"


def _filter_off(visit: Visit, state: State) -> _Answer:
    off = state.filter_off
    if off is None or not off.holds_at(visit.at):
        return None, "the filter is on"
    decision = Decision(Verdict.ALLOW, Cause.FILTER_OFF, match=_first(visit.matches))
    return decision, f"IT switched the filter off until {off.until:%Y-%m-%d %H:%M} UTC: {off.because}"


def _notice(visit: Visit, state: State) -> _Answer:
    person = visit.client.person
    if person is None or not state.must_accept_notice(person, visit.at):
        return None, "no notice to accept first"
    return Decision(Verdict.BLOCK, Cause.NOTICE), "the person has not accepted the town's notice"


def _security_risk(risks: tuple[CategoryMatch, ...]) -> _Answer:
    if not risks:
        return None, "no known security risk"
    return None, f"{_listed(risks[0])}: only what accepts or names this risk counts from here on"


def _exemption(visit: Visit, state: State, risks: tuple[CategoryMatch, ...]) -> _Answer:
    reason = "no exemption of this person or department for the site"
    for exemption in state.exemptions_for(visit.host):
        if not _is_for(exemption, visit):
            continue
        if not exemption.holds_at(visit.at):
            reason = f"exemption {exemption.id} is not in force"
        elif unaccepted := sorted({risk.category for risk in risks} - exemption.accepted_risks):
            reason = f"exemption {exemption.id} lacks IT security's acceptance of {', '.join(unaccepted)}"
        else:
            match = _first(risks or visit.matches)
            decision = Decision(Verdict.ALLOW, Cause.EXEMPTION, exemption=exemption.id, match=match)
            return decision, f"exemption {exemption.id}, until {exemption.expires_at:%Y-%m-%d %H:%M} UTC"
    return None, reason


def _is_for(exemption: Exemption, visit: Visit) -> bool:
    client = visit.client
    if exemption.person is not None:
        return exemption.person == client.person
    return exemption.department is not None and exemption.department == client.department


def _rule(
    rule: Rule,
    visit: Visit,
    policy: Policy,
    matches: tuple[CategoryMatch, ...],
    categories: frozenset[str],
    *,
    is_risk: bool,
) -> _Answer:
    # A rule for any site does not name the risk, and a rule for another category of the site neither:
    # what is press and malware is malware. `matches` are the risks alone, where there are any, and
    # that it is uncategorised, where there is nothing: only a rule that names that decides by it.
    if rule.categories:
        if rule.categories.isdisjoint(categories):
            return None, "the site is in none of its categories"
    elif is_risk:
        return None, "it does not name the security risk"
    client = visit.client
    if rule.departments and client.department not in rule.departments:
        return None, "it is for other departments"
    if rule.people and client.person not in rule.people:
        return None, "it is for other people"
    if rule.when is not None and not policy.schedules[rule.when].holds_at(visit.at, zone_of(policy)):
        return None, f"it holds only in {rule.when}"
    named = (m for m in matches if m.category in rule.categories)
    match = next(named) if rule.categories else _first(visit.matches)
    verdict, does = _acting(rule.action, visit)
    decision = Decision(
        verdict,
        Cause.RULE,
        rule=rule.id,
        match=match,
        because=rule.because,
        approval=asking_roles(Cause.RULE, rule.id, policy, is_risk=is_risk),
    )
    return decision, f"{_listed(match) if match else 'any site'}: {does}"


def _acting(action: Verdict, visit: Visit) -> tuple[Verdict, str]:
    """Return what an action comes to for this visit, with words for it."""
    if action is Verdict.WARN and visit.has_continued:
        return Verdict.ALLOW, "warned of lately, and continued"
    return action, action.value


def _default(visit: Visit, policy: Policy, risks: tuple[CategoryMatch, ...]) -> _Answer:
    if risks:
        roles = asking_roles(Cause.SECURITY_RISK, None, policy, is_risk=True)
        decision = Decision(Verdict.BLOCK, Cause.SECURITY_RISK, match=risks[0], approval=roles)
        return decision, "no rule names this security risk: block"
    verdict, does = _acting(policy.default, visit)
    return Decision(verdict, Cause.DEFAULT, match=_first(visit.matches)), f"no rule matched: {does}"


def _listed_in(sites: frozenset[str], host: str) -> str | None:
    """Return the host or the nearest of its parents that is among the sites, None if none is."""
    while sites and host:
        if host in sites:
            return host
        host = host.partition(".")[2]
    return None


def _first(matches: tuple[CategoryMatch, ...]) -> CategoryMatch | None:
    return matches[0] if matches else None


def _listed(match: CategoryMatch) -> str:
    if match.source == NO_LIST:
        return f"{match.entry} is {match.category}: no list knows it"
    return f"{match.entry} is listed as {match.category} by {match.source}"
