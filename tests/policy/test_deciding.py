"""What is decided, by which step, and why."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.deciding import Step, decide, may_dial, next_edge_after
from policy.decision import Cause, Decision, Verdict, stricter
from policy.schedule import Schedule
from policy.state import DeviceOff, Exemption, FilterOff, Lockdown, State
from policy.town_policy import Approver, Asking, Policy, Rule, Town, UnknownAction
from policy.visit import Client, Visit
from tests.people import CLERK, CLERK_AT_WORK, HEAD, IT, SOMEONE_IN_PARKS, STRANGER

TEN = datetime(2026, 3, 2, 15, tzinfo=UTC)  # Monday, 10 AM in Exampleton
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
OFFICER = Client("10.10.30.7", device="POL-PC-07", department="police")

POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    roles={"it_security": (IT,)},
    schedules={"lunch": Schedule(frozenset(range(5)), time(12), time(13))},
    essentials=frozenset({"dispatch.example"}),
    internal_networks=(ip_network("10.20.0.0/16"),),
    security_categories=frozenset({"malware", "phishing"}),
    rules=(
        Rule("phishing", Verdict.BLOCK, frozenset({"phishing"}), approval=(Approver.IT_SECURITY,)),
        Rule("police", Verdict.ALLOW, frozenset({"gambling", "hacking"}), departments=frozenset({"police"})),
        Rule("lunch-time", Verdict.ALLOW, frozenset({"shopping", "press"}), when="lunch"),
        Rule("clerk-games", Verdict.ALLOW, frozenset({"games"}), people=frozenset({CLERK})),
        Rule(
            "not-town-business",
            Verdict.BLOCK,
            frozenset({"gambling", "shopping", "games"}),
            because="Prohibited Uses 18",
            approval=(Approver.DEPARTMENT_HEAD,),
        ),
    ),
)


def listed(*categories: str, host: str = "site.example") -> tuple[CategoryMatch, ...]:
    return tuple(CategoryMatch(category, host, "test") for category in categories)


def visit(
    *categories: str,
    client: Client = CLERK_AT_WORK,
    host: str = "site.example",
    port: int = 443,
    at: datetime = TEN,
) -> Visit:
    return Visit(client, "https", host, port, None, at, listed(*categories))


def exemption(*accepted: str, host: str = "site.example") -> Exemption:
    return Exemption("EX-1", host, TEN - HOUR, TEN + HOUR, person=CLERK, accepted_risks=frozenset(accepted))


@pytest.mark.parametrize(
    ("case", "judged", "expected"),
    [
        ("nothing known of the site", visit(), "allow: default"),
        ("listed, but in no rule", visit("banks"), "allow: default"),
        ("by its category", visit("gambling"), "block: not-town-business"),
        ("by any of its categories", visit("press", "gambling"), "block: not-town-business"),
        ("outside of lunch", visit("shopping"), "block: not-town-business"),
        ("at lunch", visit("shopping", at=NOON), "allow: lunch-time"),
        ("the first rule wins", visit("gambling", client=OFFICER), "allow: police"),
        ("for one person", visit("games"), "allow: clerk-games"),
        ("not for another", visit("games", client=SOMEONE_IN_PARKS), "block: not-town-business"),
        ("a port not listed", visit(port=22), "block: port"),
        ("essential", visit("gambling", host="dispatch.example"), "allow: essential"),
        ("below an essential site", visit("gambling", host="cad.dispatch.example"), "allow: essential"),
        ("ends like an essential site", visit("games", host="mydispatch.example"), "allow: clerk-games"),
        ("essential, for anybody", visit(client=STRANGER, host="dispatch.example"), "allow: essential"),
        ("essential, not on any port", visit(host="dispatch.example", port=22), "block: port"),
        ("a private address", visit(host="192.168.1.1"), "block: private_address"),
        ("loopback, IPv6", visit(host="[::1]"), "block: private_address"),
        ("a metadata address", visit(host="169.254.169.254"), "block: private_address"),
        ("an internal network", visit(host="10.20.1.1"), "allow: default"),
        ("a public address", visit(host="93.184.216.34"), "allow: default"),
        ("a client nobody knows", visit(client=STRANGER), "block: unknown_client"),
        ("a security risk", visit("phishing"), "block: phishing"),
        ("a risk no rule names", visit("malware"), "block: security_risk"),
        ("a risk is no press, even at lunch", visit("press", "malware", at=NOON), "block: security_risk"),
        ("police open no risk", visit("hacking", "phishing", client=OFFICER), "block: phishing"),
    ],
)
def test_decision(case: str, judged: Visit, expected: str) -> None:
    decision = decide(judged, POLICY, State())
    assert (decision.cause is Cause.RULE) is (decision.rule is not None)
    assert f"{decision.verdict}: {decision.rule or decision.cause}" == expected, case


def test_decision_says_everything_that_explains_it() -> None:
    matches = (CategoryMatch("press", "b.example", "one"), CategoryMatch("gambling", "b.example", "two"))
    judged = structs.replace(visit(host="a.b.example"), matches=matches)
    assert decide(judged, POLICY, State()) == Decision(
        Verdict.BLOCK,
        Cause.RULE,
        rule="not-town-business",
        match=matches[1],
        because="Prohibited Uses 18",
        approval=("department_head",),
    )


def test_default_may_be_to_block() -> None:
    decision = decide(visit(), replace(POLICY, default=Verdict.BLOCK), State())
    assert decision == Decision(Verdict.BLOCK, Cause.DEFAULT)


def test_rule_without_conditions_matches_any_site_but_a_security_risk() -> None:
    policy = replace(POLICY, rules=(Rule("open", Verdict.ALLOW),))
    assert decide(visit(), policy, State()).rule == "open"
    assert decide(visit("gambling"), policy, State()).match == listed("gambling")[0]
    assert decide(visit("malware"), policy, State()).cause is Cause.SECURITY_RISK


def test_rule_that_names_what_no_list_knows_decides_by_that_and_no_other_rule_does() -> None:
    careful = Rule("unknown-sites", Verdict.WARN, frozenset({"uncategorised", "gambling"}))
    any_site = Rule("any-site", Verdict.ALLOW)
    policy = replace(POLICY, rules=(*POLICY.rules, careful, any_site))
    decision = decide(visit(), policy, State())
    assert (decision.verdict, decision.rule) == (Verdict.WARN, "unknown-sites")
    assert decision.match == CategoryMatch("uncategorised", "site.example", "no list")
    steps: list[Step] = []
    decide(visit(), policy, State(), steps)
    assert Step("rule unknown-sites", True, "site.example is uncategorised: no list knows it: warn") in steps
    assert decide(visit("banks"), policy, State()).rule == "any-site"
    # What names no category does not say that there is none.
    assert decide(visit(), replace(POLICY, rules=(any_site,)), State()).match is None
    # A security risk is something that a list knows.
    assert decide(visit("malware"), policy, State()).cause is Cause.SECURITY_RISK
    assert decide(visit(host="dispatch.example"), policy, State()).cause is Cause.ESSENTIAL


NEW_SITES = Rule("new-sites", Verdict.WARN, frozenset({"newly_seen"}))
CAREFUL = replace(POLICY, rules=(*POLICY.rules, NEW_SITES, Rule("any-site", Verdict.ALLOW)))


@pytest.mark.parametrize(
    ("case", "judged", "rule"),
    [
        ("in no list", visit(), "new-sites"),
        ("listed, too", visit("banks"), "new-sites"),
        ("listed as what an earlier rule blocks", visit("gambling"), "not-town-business"),
        ("listed as what an earlier rule allows", visit("shopping", at=NOON), "lunch-time"),
    ],
)
def test_newly_seen_site_is_judged_so_by_the_first_rule_that_matches(
    case: str, judged: Visit, rule: str
) -> None:
    decision = decide(structs.replace(judged, is_newly_seen=True), CAREFUL, State())
    assert decision.rule == rule, case
    is_so = rule == "new-sites"
    assert (decision.match == CategoryMatch("newly_seen", "site.example", "no list")) is is_so
    assert decide(judged, CAREFUL, State()).rule != "new-sites", case


def test_newly_seen_counts_for_nothing_that_comes_before_rules_about_categories() -> None:
    def new(judged: Visit) -> Visit:
        return structs.replace(judged, is_newly_seen=True)

    assert decide(new(visit(host="dispatch.example")), CAREFUL, State()).cause is Cause.ESSENTIAL
    assert decide(new(visit()), CAREFUL, State([exemption()])).cause is Cause.EXEMPTION
    # A security risk is judged as nothing else.
    assert decide(new(visit("malware")), CAREFUL, State()).cause is Cause.SECURITY_RISK
    # What is newly seen is still in no list, and a rule of both names the list.
    both = Rule("both", Verdict.BLOCK, frozenset({"newly_seen", "uncategorised", "banks"}))
    policy = replace(POLICY, rules=(both,))
    assert decide(new(visit("banks")), policy, State()).match == listed("banks")[0]
    named = decide(new(visit()), policy, State()).match
    assert named is not None and named.category == "uncategorised"


def test_step_says_how_new_a_newly_seen_site_is() -> None:
    steps: list[Step] = []
    decide(structs.replace(visit(), is_newly_seen=True), replace(CAREFUL, newly_seen_days=3), State(), steps)
    why = "site.example is newly_seen: first visited here less than 3 days ago: warn"
    assert Step("rule new-sites", True, why) in steps


def test_rule_that_names_a_security_risk_may_open_it() -> None:
    analysts = Rule("analysts", Verdict.ALLOW, frozenset({"malware"}), people=frozenset({IT}))
    policy = replace(POLICY, rules=(analysts, *POLICY.rules))
    analyst = Client("10.10.10.2", person=IT)
    assert decide(visit("malware", client=analyst), policy, State()).rule == "analysts"
    assert decide(visit("malware"), policy, State()).cause is Cause.SECURITY_RISK


@pytest.mark.parametrize(
    ("approval", "roles", "expected"),
    [
        ((Approver.DEPARTMENT_HEAD,), {"it_security": (IT,)}, ("it_security",)),
        ((Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY), {"it_security": (IT,)}, ("it_security",)),
        ((Approver.DEPARTMENT_HEAD,), {}, ()),
        ((), {"it_security": (IT,)}, ()),
    ],
)
def test_nobody_but_it_security_is_asked_to_open_a_security_risk(
    approval: tuple[Approver, ...], roles: dict[str, tuple[str, ...]], expected: tuple[str, ...]
) -> None:
    rule = Rule("no-games", Verdict.BLOCK, frozenset({"games", "malware"}), approval=approval)
    policy = replace(POLICY, rules=(rule,), roles=roles)
    assert decide(visit("games", "malware"), policy, State()).approval == expected
    assert decide(visit("games"), policy, State()).approval == tuple(role.value for role in approval)


def test_security_risk_no_rule_names_can_be_asked_of_it_security_if_there_is_one() -> None:
    assert decide(visit("malware"), POLICY, State()).approval == ("it_security",)
    assert decide(visit("malware"), replace(POLICY, roles={}), State()).approval == ()


@pytest.mark.parametrize(("after", "holds"), [(-HOUR, True), (HOUR - INSTANT, True), (HOUR, False)])
def test_exemption_stops_at_the_instant_it_expires(after: timedelta, holds: bool) -> None:
    decision = decide(visit("gambling", at=TEN + after), POLICY, State([exemption()]))
    assert decision.is_allowed is holds
    assert decision.exemption == ("EX-1" if holds else None)


def test_exemption_does_not_hold_before_it_was_granted() -> None:
    decision = decide(visit("gambling", at=TEN - HOUR - INSTANT), POLICY, State([exemption()]))
    assert decision.rule == "not-town-business"


@pytest.mark.parametrize(
    ("case", "host", "client", "opens"),
    [
        ("the host itself", "cardroom.example", CLERK_AT_WORK, True),
        ("a host below it", "www.cardroom.example", CLERK_AT_WORK, True),
        ("the host above it", "example", CLERK_AT_WORK, False),
        ("a name that only ends like it", "othercardroom.example", CLERK_AT_WORK, False),
        ("her head", "cardroom.example", Client("10.10.20.9", person=HEAD, department="finance"), False),
        (
            "another at her address",
            "cardroom.example",
            Client(CLERK_AT_WORK.address, department="finance"),
            False,
        ),
    ],
)
def test_exemption_of_a_person_is_for_that_person_and_host(
    case: str, host: str, client: Client, opens: bool
) -> None:
    state = State([exemption(host="cardroom.example")])
    assert decide(visit("gambling", host=host, client=client), POLICY, state).is_allowed is opens, case


def test_exemption_of_a_department_is_for_all_of_it_and_no_other() -> None:
    finance = replace(exemption(), person=None, department="finance")
    someone_in_finance = Client("10.10.20.77", department="finance")
    assert decide(visit("gambling", client=someone_in_finance), POLICY, State([finance])).exemption == "EX-1"
    assert decide(visit("gambling", client=SOMEONE_IN_PARKS), POLICY, State([finance])).rule


def test_expired_exemption_does_not_hide_one_in_force() -> None:
    expired = replace(exemption(), id="EX-0", expires_at=TEN - INSTANT)
    parents = replace(exemption(), id="EX-2", host="example")
    assert decide(visit("gambling"), POLICY, State([expired, parents])).exemption == "EX-2"


def test_exemption_opens_a_security_risk_only_with_it_securitys_acceptance() -> None:
    assert decide(visit("phishing"), POLICY, State([exemption()])).rule == "phishing"
    accepted = decide(visit("phishing"), POLICY, State([exemption("phishing")]))
    assert (accepted.cause, accepted.match) == (Cause.EXEMPTION, listed("phishing")[0])


@pytest.mark.parametrize("categories", [("malware",), ("phishing", "malware"), ("malware", "phishing")])
def test_exemption_opens_no_other_risk_than_the_accepted_one(categories: tuple[str, ...]) -> None:
    judged = visit(*categories, host="dl.site.example")
    assert not decide(judged, POLICY, State([exemption("phishing")])).is_allowed
    both = State([exemption("phishing", "malware")])
    assert decide(judged, POLICY, both).cause is Cause.EXEMPTION


def test_exemption_opens_neither_a_port_nor_a_private_address() -> None:
    state = State([exemption(host="192.168.1.1"), exemption()])
    assert decide(visit(port=25), POLICY, state).cause is Cause.PORT
    assert decide(visit(host="192.168.1.1"), POLICY, state).cause is Cause.PRIVATE_ADDRESS


def test_everyone_reaches_the_admin_site_at_its_own_port_only() -> None:
    state = State(admin_site=("127.0.0.1", 8000))
    to_admin = decide(visit(client=STRANGER, host="127.0.0.1", port=8000), POLICY, state)
    assert (to_admin.verdict, to_admin.cause) == (Verdict.ALLOW, Cause.ADMIN_SITE)
    assert not decide(visit(host="127.0.0.1", port=9464), POLICY, state).is_allowed


def test_unknown_client_is_blocked_where_the_browser_is_asked_to_sign_in_too() -> None:
    policy = replace(POLICY, unknown=UnknownAction.SIGN_IN)
    assert decide(visit(client=STRANGER), policy, State()).cause is Cause.UNKNOWN_CLIENT


# --- the trace ---


def trace_of(judged: Visit, state: State | None = None) -> list[Step]:
    trace: list[Step] = []
    decide(judged, POLICY, state or State(), trace)
    return trace


def test_trace_shows_each_step_and_rule_with_its_reason() -> None:
    assert trace_of(visit("gambling")) == [
        Step("admin site", False, "not Towngate's own site"),
        Step("device off", False, "the device has not been taken off"),
        Step("port", False, "the port is listed"),
        Step("essential", False, "not an essential site"),
        Step("account", False, "no internet account is needed"),
        Step("private address", False, "a name, not an address"),
        Step("unknown client", False, "the client is known"),
        Step("lockdown", False, "no lockdown"),
        Step("filter off", False, "the filter is on"),
        Step("notice", False, "no notice to accept first"),
        Step("security risk", False, "no known security risk"),
        Step("exemption", False, "no exemption of this person or department for the site"),
        Step("rule phishing", False, "the site is in none of its categories"),
        Step("rule police", False, "it is for other departments"),
        Step("rule lunch-time", False, "the site is in none of its categories"),
        Step("rule clerk-games", False, "the site is in none of its categories"),
        Step("rule not-town-business", True, "site.example is listed as gambling by test: block"),
        Step("default", False, "not reached"),
    ]


@pytest.mark.parametrize(
    ("judged", "step"),
    [
        (visit(port=22), Step("port", True, "port 22 is not listed in 'ports'")),
        (visit("shopping"), Step("rule lunch-time", False, "it holds only in lunch")),
        (
            visit("games", client=SOMEONE_IN_PARKS),
            Step("rule clerk-games", False, "it is for other people"),
        ),
        (
            visit("malware"),
            Step(
                "security risk",
                False,
                "site.example is listed as malware by test:"
                " only what accepts or names this risk counts from here on",
            ),
        ),
        (visit("malware"), Step("default", True, "no rule names this security risk: block")),
        (visit(), Step("default", True, "no rule matched: allow")),
    ],
)
def test_trace_has_the_step(judged: Visit, step: Step) -> None:
    assert step in trace_of(judged)


@pytest.mark.parametrize(
    ("judged", "granted", "why"),
    [
        (visit("gambling"), exemption(), "exemption EX-1, until 2026-03-02 11:00"),
        (visit("gambling", at=NOON), exemption(), "exemption EX-1 is not in force"),
        (visit("phishing"), exemption(), "exemption EX-1 lacks IT security's acceptance of phishing"),
    ],
)
def test_trace_says_why_an_exemption_counts_or_not(judged: Visit, granted: Exemption, why: str) -> None:
    assert why in [step.why for step in trace_of(judged, State([granted])) if step.what == "exemption"]


def test_rule_for_any_site_is_said_not_to_name_a_risk() -> None:
    policy = replace(POLICY, rules=(Rule("open", Verdict.ALLOW),))
    trace: list[Step] = []
    decide(visit("malware"), policy, State(), trace)
    assert Step("rule open", False, "it does not name the security risk") in trace


def test_who_was_warned_and_continued_goes_on() -> None:
    policy = replace(POLICY, rules=(Rule("streaming", Verdict.WARN, frozenset({"press"})),))
    warned = decide(visit("press"), policy, State())
    assert (warned.verdict, warned.rule, warned.is_allowed) == (Verdict.WARN, "streaming", False)
    went_on = decide(structs.replace(visit("press"), has_continued=True), policy, State())
    assert (went_on.verdict, went_on.rule) == (Verdict.ALLOW, "streaming")


def test_default_may_be_to_warn() -> None:
    policy = replace(POLICY, default=Verdict.WARN)
    assert decide(visit(), policy, State()).verdict is Verdict.WARN
    assert decide(structs.replace(visit(), has_continued=True), policy, State()).is_allowed


def test_having_continued_opens_nothing_that_is_blocked() -> None:
    assert not decide(structs.replace(visit("gambling"), has_continued=True), POLICY, State()).is_allowed


# --- addresses ---


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.20.255.1", True),
        ("::ffff:10.20.255.1", True),
        ("10.21.0.1", False),
        ("::ffff:192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("224.0.0.251", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("[::1]", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::10.20.0.1", True),
        ("64:ff9b::93.184.216.34", True),
    ],
)
def test_only_public_addresses_and_internal_networks_are_dialled(address: str, may: bool) -> None:
    assert may_dial(address, POLICY) is may


# --- when to judge again ---


def test_next_edge_is_that_of_a_schedule_in_use_or_of_an_exemption() -> None:
    assert next_edge_after(TEN, POLICY, State()) == NOON
    assert next_edge_after(TEN, POLICY, State([exemption()])) == TEN + HOUR
    unused = replace(POLICY, rules=())
    assert next_edge_after(TEN, unused, State()) is None
    later = replace(exemption(), granted_at=TEN + HOUR, expires_at=TEN + 9 * HOUR)
    assert next_edge_after(TEN, unused, State([later])) == TEN + HOUR


def test_stricter_of_two_decisions_is_the_one_that_blocks_then_the_one_that_warns() -> None:
    allow, block = Decision(Verdict.ALLOW, Cause.DEFAULT), Decision(Verdict.BLOCK, Cause.PORT)
    warn = Decision(Verdict.WARN, Cause.RULE, rule="streaming")
    assert stricter(allow, warn) is stricter(warn, allow) is warn
    assert stricter(block, warn) is stricter(warn, block) is block
    also = replace(block, cause=Cause.RULE)
    assert stricter(allow, block) is block
    assert stricter(block, allow) is block
    assert stricter(block, also) is block


# --- whatever comes ---

CATEGORIES = sorted(taxonomy().categories)
ids = st.sampled_from([CLERK, HEAD, IT, "finance", "parks", "police"])
moments = st.integers(0, 365 * 24 * 60).map(lambda minutes: TEN + timedelta(minutes=minutes))
hosts = st.sampled_from(
    [
        "site.example",
        "www.site.example",
        "example",
        "dispatch.example",
        "10.20.0.1",
        "10.9.9.9",
        "[fd00::1]",
        "x-1",
    ]
)
clients = st.builds(
    Client,
    address=st.sampled_from(["127.0.0.1", "10.10.20.15", "fd00::7"]),
    person=st.none() | ids,
    device=st.none() | st.just("FIN-PC-15"),
    department=st.none() | ids,
)
visits = st.builds(
    Visit,
    client=clients,
    scheme=st.sampled_from(["http", "https"]),
    host=hosts,
    port=st.sampled_from([22, 80, 443, 8000]),
    path=st.none() | st.just("/a"),
    at=moments,
    matches=st.lists(st.sampled_from(CATEGORIES), max_size=3, unique=True).map(lambda names: listed(*names)),
    has_continued=st.booleans(),
)
rules = st.builds(
    Rule,
    id=st.sampled_from(["one", "two"]),
    action=st.sampled_from(Verdict),
    categories=st.frozensets(st.sampled_from(CATEGORIES), max_size=4),
    departments=st.frozensets(ids, max_size=2),
    people=st.frozensets(ids, max_size=2),
    when=st.none() | st.just("lunch"),
)
policies = st.builds(
    lambda rules, default: replace(POLICY, rules=tuple(rules), default=default),
    st.lists(rules, max_size=5),
    st.sampled_from(Verdict),
)
exemptions = st.builds(
    lambda host, at, hours, person, accepted: Exemption(
        "EX-1",
        host,
        at,
        at + hours * HOUR,
        person=person,
        department=None if person else "finance",
        accepted_risks=accepted,
    ),
    hosts,
    moments,
    st.integers(1, 10_000),
    st.none() | ids,
    st.frozensets(st.sampled_from(CATEGORIES), max_size=3),
)
states = st.builds(
    State,
    st.lists(exemptions, max_size=4),
    st.none() | st.just(("site.example", 8000)),
    lockdowns=st.lists(st.builds(Lockdown, st.just("A fault."), moments, st.none() | ids), max_size=2),
    devices_off=st.lists(st.builds(DeviceOff, st.just("127.0.0.1"), st.just("Ill."), moments), max_size=1),
    filter_off=st.none() | st.builds(lambda at: FilterOff("The lists are bad.", at, at + 10 * HOUR), moments),
    receipts=st.none() | st.dictionaries(ids, st.none() | moments, max_size=3),
)


@given(visits, policies, states)
def test_every_visit_gets_a_decision_with_its_reason(judged: Visit, policy: Policy, state: State) -> None:
    trace: list[Step] = []
    decision = decide(judged, policy, state, trace)
    assert decision == decide(judged, policy, state)
    assert (decision.cause is Cause.RULE) == (decision.rule is not None)
    assert (decision.cause is Cause.EXEMPTION) == (decision.exemption is not None)
    assert [step.is_hit for step in trace].count(True) == 1
    assert len(trace) == 13 + len(policy.rules)


@given(visits, policies, states)
def test_a_security_risk_is_opened_by_nothing_that_does_not_name_it(
    judged: Visit, policy: Policy, state: State
) -> None:
    risks = {match.category for match in judged.matches} & policy.security_categories
    decision = decide(judged, policy, state)
    if not risks or not decision.is_allowed:
        return
    if decision.cause in (Cause.ADMIN_SITE, Cause.ESSENTIAL, Cause.FILTER_OFF):
        return
    if decision.cause is Cause.EXEMPTION:
        assert any(risks <= e.accepted_risks and e.holds_at(judged.at) for e in state.exemptions)
    else:
        assert any(rule.id == decision.rule and rule.categories & risks for rule in policy.rules)


@given(visits, policies, states, moments)
def test_no_decision_changes_before_the_next_edge(
    judged: Visit, policy: Policy, state: State, later: datetime
) -> None:
    edge = next_edge_after(judged.at, policy, state)
    if later < judged.at or (edge is not None and later >= edge):
        return
    assert decide(structs.replace(judged, at=later), policy, state) == decide(judged, policy, state)


@pytest.mark.parametrize(
    ("case", "judged", "asked"),
    [
        ("what the rule names is never allowed", visit("gambling"), ()),
        (
            "another of its categories is never allowed",
            visit("games", "gambling", client=SOMEONE_IN_PARKS),
            (),
        ),
        ("a risk that is never allowed", visit("phishing", "gambling"), ()),
        ("something else", visit("games", client=SOMEONE_IN_PARKS), ("department_head",)),
    ],
)
def test_what_the_policy_never_allows_nobody_can_be_asked_for(
    case: str, judged: Visit, asked: tuple[str, ...]
) -> None:
    policy = replace(POLICY, asking=Asking(never=frozenset({"gambling"})))
    decision = decide(judged, policy, State())
    assert (decision.verdict, decision.approval) == (Verdict.BLOCK, asked), case


BOUGHT = Exemption("EX-2", "", TEN, TEN + HOUR, person=CLERK, categories=frozenset({"shopping"}))


@pytest.mark.parametrize(
    ("case", "judged", "expected"),
    [
        ("a site of its category", visit("shopping"), "allow: exemption"),
        ("listed as what no rule stops, too", visit("shopping", "banks"), "allow: exemption"),
        ("listed as what a rule stops, too", visit("shopping", "gambling"), "block: not-town-business"),
        ("of no category of it", visit("gambling"), "block: not-town-business"),
        ("not listed", visit(), "allow: default"),
        ("a security risk", visit("shopping", "phishing"), "block: phishing"),
        ("before it begins", visit("shopping", at=TEN - timedelta(seconds=1)), "block: not-town-business"),
        ("when it ends", visit("shopping", at=TEN + HOUR), "block: not-town-business"),
        ("another person", visit("shopping", client=SOMEONE_IN_PARKS), "block: not-town-business"),
    ],
)
def test_exemption_of_categories_opens_what_nothing_else_stops(
    case: str, judged: Visit, expected: str
) -> None:
    decision = decide(judged, POLICY, State([BOUGHT]))
    assert f"{decision.verdict}: {decision.rule or decision.cause}" == expected, case


@pytest.mark.parametrize(
    ("case", "judged", "granted"),
    [
        ("of the host", visit("gambling"), exemption()),
        ("of its parent", visit("gambling"), exemption(host="example")),
        ("with the risk accepted", visit("phishing", "gambling"), exemption("phishing")),
        ("for reading", visit("gambling"), replace(exemption(), is_for_reading=True)),
        ("of the department", visit("gambling"), replace(exemption(), person=None, department="finance")),
    ],
)
def test_no_exemption_opens_what_the_policy_never_lets_anybody_allow(
    case: str, judged: Visit, granted: Exemption
) -> None:
    assert decide(judged, POLICY, State([granted])).cause is Cause.EXEMPTION, case
    never = replace(POLICY, asking=Asking(never=frozenset({"gambling"})))
    steps: list[Step] = []
    assert decide(judged, never, State([granted]), steps).verdict is Verdict.BLOCK, case
    assert Step("exemption", False, "no exemption counts: gambling is never allowed by 'asking'") in steps


def test_exemption_of_a_site_opens_no_subdomain_that_is_never_allowed() -> None:
    never = replace(POLICY, asking=Asking(never=frozenset({"gambling"})))
    below = visit("gambling", host="cards.site.example")
    assert decide(below, POLICY, State([exemption()])).is_allowed
    assert not decide(below, never, State([exemption()])).is_allowed
    assert decide(visit("shopping", host="www.site.example"), never, State([exemption()])).is_allowed


def test_exemption_of_categories_opens_nothing_that_is_never_allowed_by_now() -> None:
    never = replace(POLICY, asking=Asking(never=frozenset({"press"})))
    assert not decide(visit("shopping", "press"), never, State([BOUGHT])).is_allowed
    assert decide(visit("shopping"), never, State([BOUGHT])).is_allowed


def test_exemption_of_categories_opens_no_new_site_where_a_rule_names_those() -> None:
    new = Rule("new", Verdict.BLOCK, frozenset({"newly_seen"}))
    names_new = replace(POLICY, rules=(*POLICY.rules, new))
    seen_now = structs.replace(visit("shopping"), is_newly_seen=True)
    assert not decide(seen_now, names_new, State([BOUGHT])).is_allowed
