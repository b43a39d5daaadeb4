"""The only place where a decision about a visit is made."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from zoneinfo import ZoneInfo

from categories.match import CategoryMatch
from policy.decision import Cause, Decision, Verdict
from policy.state import Exemption, State
from policy.town_policy import Policy, Rule, UnknownAction
from policy.visit import Visit


@dataclass(frozen=True, slots=True)
class Step:
    """One step of deciding, for people: what was looked at, whether it applied, and why (not)."""

    what: str
    is_hit: bool
    why: str


def decide(visit: Visit, policy: Policy, state: State, trace: list[Step] | None = None) -> Decision:
    """Say what the proxy must do with this visit, and why.

    1. the admin site: everyone may ask, wherever it listens
    2. port: only those the policy lists
    3. essentials: never blocked
    4. private addresses: only the town's internal networks
    5. a client nobody knows
    6. security risks: only an exemption with IT security's acceptance opens them
    7. exemptions of the person or the department, for the host or a parent of it
    8. rules, the first that matches wins
    9. the default

    Each step looked at is appended to `trace`, rules after the one that hit included.
    Never raises for a valid Visit.
    """
    note = trace.append if trace is not None else None
    for step in _STEPS:
        decision, why = step(visit, policy, state)
        if note:
            note(Step(step.__name__.strip("_").replace("_", " "), decision is not None, why))
        if decision is not None:
            return decision
    decision = _first_rule(visit, policy, policy.rules, visit.matches, trace)
    if decision is not None:
        return decision
    if note:
        note(Step("default", True, f"no rule matched: {policy.default.value}"))
    return Decision(policy.default, Cause.DEFAULT, match=_first(visit.matches))


def next_edge_after(at: datetime, policy: Policy, state: State) -> datetime | None:
    """Return the first instant after `at` when the same visit might be decided otherwise.

    The edges of schedules that rules use and of exemptions; None if there is none.
    """
    zone = zone_of(policy)
    names = {rule.when for rule in policy.rules if rule.when is not None}
    edges = [policy.schedules[name].next_edge_after(at, zone) for name in names]
    edges.append(state.next_edge_after(at))
    return min((edge for edge in edges if edge is not None), default=None)


def may_dial(address: str, policy: Policy) -> bool:
    """Whether the proxy may connect to this IP address: public, or an internal network."""
    ip = ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_global or any(ip in network for network in policy.internal_networks)


@functools.lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone_of(policy: Policy) -> ZoneInfo:
    """Return the town's time zone."""
    return _zone(policy.town.timezone)


type _Answer = tuple[Decision | None, str]


def _admin_site(visit: Visit, _policy: Policy, state: State) -> _Answer:
    if (visit.host, visit.port) == state.admin_site:
        return Decision(Verdict.ALLOW, Cause.ESSENTIAL), "Towngate's own site"
    return None, "not Towngate's own site"


def _port(visit: Visit, policy: Policy, _state: State) -> _Answer:
    if visit.port in policy.ports:
        return None, f"port {visit.port} is listed"
    return Decision(Verdict.BLOCK, Cause.PORT), f"port {visit.port} is not listed in 'ports'"


def _essential(visit: Visit, policy: Policy, _state: State) -> _Answer:
    for host in _host_and_parents(visit.host):
        if host in policy.essentials:
            return Decision(Verdict.ALLOW, Cause.ESSENTIAL), f"{host} is essential"
    return None, "not an essential site"


def _private_address(visit: Visit, policy: Policy, _state: State) -> _Answer:
    if not _is_address(visit.host):
        return None, "a name, not an address"
    address = visit.host.strip("[]")
    if may_dial(address, policy):
        return None, "a public address, or one of an internal network"
    return (
        Decision(Verdict.BLOCK, Cause.PRIVATE_ADDRESS),
        f"{address} is private and in none of 'internal_networks'",
    )


def _unknown_client(visit: Visit, policy: Policy, _state: State) -> _Answer:
    if visit.client.is_known:
        return None, "the client is known"
    match policy.unknown:
        case UnknownAction.BLOCK | UnknownAction.SIGN_IN:
            return (
                Decision(Verdict.BLOCK, Cause.UNKNOWN_CLIENT),
                f"{visit.client.address} is neither a device nor in a department's network",
            )


def _security_risk(visit: Visit, policy: Policy, state: State) -> _Answer:
    risks = tuple(m for m in visit.matches if m.category in policy.security_categories)
    if not risks:
        return None, "no known security risk"
    exemption = _covering(visit, state, is_security_risk=True)
    if exemption is not None:
        return _exempted(exemption, risks[0]), f"exemption {exemption.id} carries IT security's acceptance"
    # Only rules that name the risk itself count here: a site that is press and malware is malware.
    named = tuple(rule for rule in policy.rules if rule.categories)
    decision = _first_rule(visit, policy, named, risks, None)
    if decision is None:
        decision = Decision(
            Verdict.BLOCK, Cause.SECURITY_RISK, match=risks[0], because="No rule allows this security risk."
        )
    return decision, f"{risks[0].entry} is listed as {risks[0].category} by {risks[0].source}"


def _exemption(visit: Visit, _policy: Policy, state: State) -> _Answer:
    exemption = _covering(visit, state, is_security_risk=False)
    if exemption is None:
        return None, "no exemption in force for this person or department"
    return (
        _exempted(exemption, _first(visit.matches)),
        f"exemption {exemption.id} until {exemption.expires_at:%Y-%m-%d %H:%M} UTC",
    )


_STEPS = (_admin_site, _port, _essential, _private_address, _unknown_client, _security_risk, _exemption)


def _first_rule(
    visit: Visit,
    policy: Policy,
    rules: Iterable[Rule],
    matches: tuple[CategoryMatch, ...],
    trace: list[Step] | None,
) -> Decision | None:
    found: Decision | None = None
    for rule in rules:
        if found is not None and trace is not None:
            trace.append(Step(f"rule {rule.id}", False, "not reached"))
            continue
        miss, match = _misses(rule, visit, policy, matches)
        if miss is None:
            found = Decision(
                rule.action,
                Cause.RULE,
                rule=rule.id,
                match=match,
                because=rule.because,
                approval=tuple(role.value for role in rule.approval),
            )
            if trace is None:
                return found
        if trace is not None:
            listed = f"{match.entry} is listed as {match.category} by {match.source}" if match else "any site"
            trace.append(Step(f"rule {rule.id}", miss is None, miss or f"{listed}: {rule.action.value}"))
    return found


def _misses(
    rule: Rule, visit: Visit, policy: Policy, matches: tuple[CategoryMatch, ...]
) -> tuple[str | None, CategoryMatch | None]:
    """Return why the rule does not match (None when it does), and the entry it matches by."""
    match = None
    if rule.categories:
        match = next((m for m in matches if m.category in rule.categories), None)
        if match is None:
            return "the site is in none of its categories", None
    else:
        match = _first(matches)
    client = visit.client
    if rule.departments and client.department not in rule.departments:
        return "the department is another", match
    if rule.people and client.person not in rule.people:
        return "the person is another", match
    if rule.when is not None and not policy.schedules[rule.when].holds_at(visit.at, zone_of(policy)):
        return f"outside of {rule.when}", match
    return None, match


def _covering(visit: Visit, state: State, *, is_security_risk: bool) -> Exemption | None:
    client = visit.client
    for exemption in state.exemptions_for(visit.host):
        if is_security_risk and not exemption.accepts_security_risk:
            continue
        if not exemption.holds_at(visit.at):
            continue
        if exemption.person is not None and exemption.person == client.person:
            return exemption
        if exemption.department is not None and exemption.department == client.department:
            return exemption
    return None


def _exempted(exemption: Exemption, match: CategoryMatch | None) -> Decision:
    return Decision(Verdict.ALLOW, Cause.EXEMPTION, exemption=exemption.id, match=match)


def _host_and_parents(host: str) -> Iterable[str]:
    while host:
        yield host
        host = host.partition(".")[2]


def _is_address(host: str) -> bool:
    # A canonical name never ends in a digit label: the URL Standard reads those as IPv4.
    return host.startswith("[") or (host[-1:].isdigit() and host.rpartition(".")[2].isdigit())


def _first(matches: tuple[CategoryMatch, ...]) -> CategoryMatch | None:
    return matches[0] if matches else None
