"""The only place where a decision about a visit is made."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from msgspec import structs

from categories.host_name import is_address
from categories.match import CategoryMatch
from policy.decision import Cause, Decision, Verdict
from policy.inspecting import lifted_rules, must_not_inspect, rules_that_inspect
from policy.ip import parse_ip
from policy.limiting import limits_of
from policy.own_devices import first_end
from policy.rule_matching import (
    Answer,
    acting,
    asking_roles,
    first_match,
    listed,
    risks_of,
    rule_answers,
    site_listed_in,
)
from policy.state import Exemption, State
from policy.town_policy import Policy, UnknownAction
from policy.town_time import zone_of
from policy.visit import Visit

# RFC 6052: the last 32 bits are the IPv4 address that a translator connects to.
_TRANSLATED = IPv6Network("64:ff9b::/96")
# And those of RFC 4291 section 2.5.5.1 (IPv4-compatible) and of RFC 2765 (IPv4-translated).
_ENDS_IN_IPV4 = (_TRANSLATED, IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"))


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
    5. internet account: who needs one and has none reaches nothing else
    6. private addresses: only the town's internal networks
    7. a client nobody knows
    8. lockdown: only what still works goes on
    9. filter off: whatever gets this far is allowed
    10. notice: a person accepts it before anything else
    11. security risks: a site listed as one is judged as nothing else from here on, only by
        exemptions with every risk of the site accepted and by rules that name the risk
    12. exemptions of the person or the department, for the host or a parent of it, or for a path of the
        host where that is seen, then for categories;
        one for reading counts where no other does and the rules would not open the site whole; none
        counts for a site that is listed as what the policy never lets anybody allow
    13. rules, the first that matches wins; one that warns allows who has continued
    14. the default; for a security risk it is to block
    15. what is allowed is carried unopened, but where a rule says so (`policy.inspecting`); rules of file
        types that access lifts say nothing
    16. and is told the limits that hold for it (`policy.limiting`)

    Every step is appended to `trace`, the last ones perhaps as not reached.
    Never raises for a valid Visit.
    """
    answers = _answers(visit, policy, state)
    if trace is not None:
        answers = _traced(answers, policy, trace)
    decision = next(decision for decision, _ in answers if decision is not None)
    if not decision.is_allowed:
        return decision
    lifted = lifted_rules(visit, policy, state)
    if lifted:
        decision = replace(decision, lifted=lifted)
    inspect_rules = decision.inspect_rules or rules_that_inspect(visit, decision, policy, state)
    limits = limits_of(visit, decision, policy, state) if policy.limits else ()
    if inspect_rules or limits:
        decision = replace(decision, inspect_rules=inspect_rules, limits=limits)
    if decision.verdict is Verdict.VIEW_ONLY and not inspect_rules:
        # What may not be looked into cannot be held to reading.
        return replace(decision, verdict=Verdict.ALLOW)
    return decision


def next_edge_after(at: datetime, policy: Policy, state: State) -> datetime | None:
    """Return the first instant after `at` when the same visit might be decided otherwise.

    The edges of schedules that rules and limits use, of exemptions and accounts, the ends of people's own
    devices, and the day from which accounts are needed; None if there is none.
    """
    zone = zone_of(policy)
    names = {rule.when for rule in policy.rules} | {limit.when for limit in policy.limits}
    edges = [policy.schedules[name].next_edge_after(at, zone) for name in names if name is not None]
    edges += (state.next_edge_after(at), first_end(policy, at))
    required = account_required_at(policy)
    edges.append(required if required is not None and required > at else None)
    return min((edge for edge in edges if edge is not None), default=None)


def may_dial(address: str, policy: Policy) -> bool:
    """Whether the proxy may connect to this IP address: public, or of an internal network.

    An IPv6 address that carries an IPv4 address (NAT64, 6to4, Teredo and older forms) has to be
    both, and leads to an internal network if either says so.
    """
    ip = parse_ip(address)
    reached: tuple[IPv4Address | IPv6Address, ...] = (ip,)
    if isinstance(ip, IPv6Address):
        reached += _carried(ip)
    is_public = all(_is_public(one) for one in reached)
    return is_public or any(one in network for one in reached for network in policy.internal_networks)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    is_site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return (ip.is_global or ip in _TRANSLATED) and not ip.is_multicast and not is_site_local


def _carried(ip: IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that a translator or the end of a tunnel takes an IPv6 address for."""
    last = IPv4Address(ip.packed[-4:])
    if any(ip in network for network in _ENDS_IN_IPV4):
        return (last,)
    if ip.sixtofour is not None:
        return (ip.sixtofour,)
    return ip.teredo or ()


def _answers(visit: Visit, policy: Policy, state: State) -> Iterator[Answer]:
    """Yield what each step says, in order, up to the default, which always decides."""
    risks = risks_of(visit, policy)
    yield _admin_site(visit, state)
    yield _device_off(visit, state)
    yield _port(visit, policy)
    yield _essential(visit, policy)
    yield _account(visit, policy, state)
    yield _private_address(visit, policy)
    yield _unknown_client(visit, policy)
    yield _lockdown(visit, policy, state)
    yield _filter_off(visit, policy, state)
    yield _notice(visit, state)
    yield _security_risk(risks, policy)
    yield _exemption(visit, policy, state, risks)
    yield from rule_answers(visit, policy)
    yield _default(visit, policy, risks)


def _traced(answers: Iterator[Answer], policy: Policy, trace: list[Step]) -> Iterator[Answer]:
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
    "account",
    "private address",
    "unknown client",
    "lockdown",
    "filter off",
    "notice",
    "security risk",
    "exemption",
)


def _admin_site(visit: Visit, state: State) -> Answer:
    if (visit.host, visit.port) == state.admin_site:
        return Decision(Verdict.ALLOW, Cause.ADMIN_SITE), "Towngate's own site"
    return None, "not Towngate's own site"


def _device_off(visit: Visit, state: State) -> Answer:
    off = state.device_off_at(visit.client.address)
    if off is None:
        return None, "the device has not been taken off"
    return Decision(Verdict.BLOCK, Cause.DEVICE_OFF), f"IT took this device off: {off.because}"


def _port(visit: Visit, policy: Policy) -> Answer:
    if visit.port in policy.ports:
        return None, "the port is listed"
    return Decision(Verdict.BLOCK, Cause.PORT), f"port {visit.port} is not listed in 'ports'"


def _essential(visit: Visit, policy: Policy) -> Answer:
    site = site_listed_in(policy.essentials, visit.host)
    if site is not None:
        return Decision(Verdict.ALLOW, Cause.ESSENTIAL), f"{site} is essential"
    return None, "not an essential site"


def _account(visit: Visit, policy: Policy, state: State) -> Answer:
    terms, person = policy.asking.internet_account, visit.client.person
    record = policy.people.get(person or "")
    if terms is None or person is None or record is None or record.kind not in terms.required_for:
        return None, "no internet account is needed"
    if (required := account_required_at(policy)) is not None and visit.at < required:
        return None, f"an internet account is needed from {terms.required_from} on"
    if not state.lacks_account(person, visit.at):
        return None, "the person has an internet account"
    return Decision(Verdict.BLOCK, Cause.NO_ACCOUNT), f"{record.kind}s need an internet account"


def account_required_at(policy: Policy) -> datetime | None:
    """Return from when on who has no internet account is kept from the web; None: from the start."""
    terms = policy.asking.internet_account
    day = terms.required_from if terms is not None else None
    return datetime.combine(day, time(), tzinfo=zone_of(policy)) if day is not None else None


def _private_address(visit: Visit, policy: Policy) -> Answer:
    if not is_address(visit.host):
        return None, "a name, not an address"
    if may_dial(visit.host, policy):
        return None, "a public address, or one of an internal network"
    return (
        Decision(Verdict.BLOCK, Cause.PRIVATE_ADDRESS),
        f"{visit.host} is private and in none of 'internal_networks'",
    )


def _unknown_client(visit: Visit, policy: Policy) -> Answer:
    if visit.client.is_known:
        return None, "the client is known"
    match policy.unknown:
        case UnknownAction.BLOCK | UnknownAction.SIGN_IN:
            return (
                Decision(Verdict.BLOCK, Cause.UNKNOWN_CLIENT),
                "its address is neither a device's nor in a department's network",
            )


def _lockdown(visit: Visit, policy: Policy, state: State) -> Answer:
    lockdown = state.lockdown_for(visit.client.department)
    if lockdown is None:
        return None, "no lockdown"
    site = site_listed_in(policy.works_in_lockdown, visit.host)
    if site is not None:
        return None, f"{site} still works in a lockdown"
    of_whom = "everyone" if lockdown.department is None else lockdown.department
    return Decision(Verdict.BLOCK, Cause.LOCKDOWN), f"a lockdown of {of_whom}: {lockdown.because}"


def _filter_off(visit: Visit, policy: Policy, state: State) -> Answer:
    off = state.filter_off
    if off is None or not off.holds_at(visit.at):
        return None, "the filter is on"
    decision = Decision(Verdict.ALLOW, Cause.FILTER_OFF, match=first_match(visit.matches))
    return decision, f"IT switched the filter off until {_by_town_clock(off.until, policy)}: {off.because}"


def _notice(visit: Visit, state: State) -> Answer:
    person = visit.client.person
    if person is None or not state.must_accept_notice(person, visit.at):
        return None, "no notice to accept first"
    return Decision(Verdict.BLOCK, Cause.NOTICE), "the person has not accepted the town's notice"


def _security_risk(risks: tuple[CategoryMatch, ...], policy: Policy) -> Answer:
    if not risks:
        return None, "no known security risk"
    return None, f"{listed(risks[0], policy)}: only what accepts or names this risk counts from here on"


def _exemption(visit: Visit, policy: Policy, state: State, risks: tuple[CategoryMatch, ...]) -> Answer:
    if never := sorted(policy.asking.never & visit.categories):
        return None, f"no exemption counts: {', '.join(never)} is never allowed by 'asking'"
    reason = "no exemption of this person or department for the site"
    for_reading: Exemption | None = None
    for exemption in state.exemptions_for(visit.host):
        if exemption.lifts_limits or not exemption.is_for(visit.client):
            continue
        if not exemption.holds_at(visit.at):
            reason = f"exemption {exemption.id} is not in force"
        elif not exemption.covers(visit):
            page = f"{exemption.host}{exemption.path}"
            reason = f"exemption {exemption.id} is of {page} and what is below it alone"
            reason += ", and no path is seen here" if visit.path is None else ""
        elif unaccepted := sorted({risk.category for risk in risks} - exemption.accepted_risks):
            reason = f"exemption {exemption.id} lacks IT security's acceptance of {', '.join(unaccepted)}"
        elif exemption.is_for_reading:
            for_reading = for_reading or exemption
        else:
            match = first_match(risks or visit.matches)
            decision = Decision(Verdict.ALLOW, Cause.EXEMPTION, exemption=exemption.id, match=match)
            until = _by_town_clock(exemption.expires_at, policy)
            of = f" of {exemption.host}{exemption.path}" if exemption.path else ""
            return decision, f"exemption {exemption.said}{of}, until {until}"
    at_risk = {risk.category for risk in risks}
    for exemption in state.category_exemptions:
        is_accepted = at_risk <= exemption.accepted_risks
        if is_accepted and exemption.is_for(visit.client) and _opens_categories(exemption, visit, policy):
            match = next(match for match in visit.matches if match.category in exemption.categories)
            decision = Decision(Verdict.ALLOW, Cause.EXEMPTION, exemption=exemption.id, match=match)
            until = _by_town_clock(exemption.expires_at, policy)
            return decision, f"exemption {exemption.said} of {match.category}, until {until}"
    return (None, reason) if for_reading is None else _for_reading(for_reading, visit, policy, state, risks)


def _for_reading(
    exemption: Exemption, visit: Visit, policy: Policy, state: State, risks: tuple[CategoryMatch, ...]
) -> Answer:
    """Answer by an exemption for reading; it takes nothing away that the rules give.

    What may not be looked into cannot be held to reading, and nobody allowed more: it stays as it is.
    """
    by_rules = (*rule_answers(visit, policy), _default(visit, policy, risks))
    verdict = next(decision.verdict for decision, _ in by_rules if decision is not None)
    if verdict not in (Verdict.BLOCK, Verdict.VIEW_ONLY):
        return None, f"exemption {exemption.id} is for reading, and the rules open the site whole"
    if visit.scheme == "https" and must_not_inspect(visit, policy, state):
        return None, f"exemption {exemption.id} is for reading, and the site must never be looked into"
    decision = Decision(
        Verdict.VIEW_ONLY,
        Cause.EXEMPTION,
        exemption=exemption.id,
        match=first_match(risks or visit.matches),
        inspect_rules=(exemption.id,),
    )
    until = _by_town_clock(exemption.expires_at, policy)
    return decision, f"exemption {exemption.id} for reading, until {until}"


def _by_town_clock(at: datetime, policy: Policy) -> str:
    return f"{at.astimezone(zone_of(policy)):%Y-%m-%d %H:%M}"


def _opens_categories(exemption: Exemption, visit: Visit, policy: Policy) -> bool:
    """Whether nothing would stop a site if it were not listed as what the exemption is for.

    A new site stays shut where a rule names those.
    """
    if not exemption.holds_at(visit.at) or visit.categories.isdisjoint(exemption.categories):
        return False
    if visit.is_newly_seen and policy.names_newly_seen:
        return False
    others = tuple(match for match in visit.matches if match.category not in exemption.categories)
    if not others:
        return True
    rest = structs.replace(visit, matches=others)
    answers = (*rule_answers(rest, policy), _default(rest, policy, risks_of(rest, policy)))
    return next(decision.verdict for decision, _ in answers if decision is not None) is Verdict.ALLOW


def _default(visit: Visit, policy: Policy, risks: tuple[CategoryMatch, ...]) -> Answer:
    if risks:
        roles = asking_roles(Cause.SECURITY_RISK, None, policy, visit.categories)
        decision = Decision(Verdict.BLOCK, Cause.SECURITY_RISK, match=risks[0], approval=roles)
        return decision, "no rule names this security risk: block"
    verdict, does = acting(policy.default, visit)
    return Decision(verdict, Cause.DEFAULT, match=first_match(visit.matches)), f"no rule matched: {does}"
