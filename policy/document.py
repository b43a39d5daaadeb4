"""The policy document: from the YAML that IT writes to a `Policy`, or every problem in it."""

import hashlib
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from categories.host_name import is_address
from categories.taxonomy import Taxonomy
from policy import notation
from policy.decision import Verdict
from policy.document_addresses import read_addresses
from policy.document_asking import read_asking
from policy.document_attempts import read_attempts
from policy.document_limits import read_limits, read_line
from policy.document_names import read_second_person
from policy.document_rules import INSTEAD_OF_ACTIONS, Vocabulary, read_categories, read_rules
from policy.document_sections import (
    read_departments,
    read_devices,
    read_notice,
    read_people,
    read_roles,
    read_schedules,
    read_town,
    refuse_auditors_who_decide,
)
from policy.document_value import Findings, Value
from policy.document_weekly_report import read_weekly_report
from policy.identity import Identities
from policy.people_list import PeopleList
from policy.problem import PolicyError, Problem
from policy.town_policy import AfterApproval, Policy, UnknownAction
from policy.visit import Client, Visit
from policy.web_address import parse_web_address
from policy.yaml_tree import Mapping, compose

_SECTIONS = (
    *("schedules", "departments", "people", "devices", "roles", "unknown", "essentials", "lockdown"),
    *("ports", "internal_networks", "never_inspect", "newly_seen", "notice", "rules", "limits", "line"),
    *("attempts", "weekly_report", "names", "addresses", "default"),
    *("after_approval", "asking", "holidays", "tests"),
)
_DEFAULT_ACTIONS = INSTEAD_OF_ACTIONS | {"view_only": "is for rules that name categories; write a rule"}
_NEWLY_SEEN_DAYS = 7
_WEB_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One of the document's own tests: what must come of a visit.

    `visit` has no matches yet; `policy.document_tests` looks them up. `rule` is the id of the rule
    that must decide, None when any may. `download_bytes` is the size of what is loaded, None where it is the
    visit alone; `limit` the id of the limit that must hold it up. `line`, `column` and `place` say where the
    test is written.
    """

    visit: Visit
    expect: Verdict
    rule: str | None
    download_bytes: int | None
    limit: str | None
    line: int
    column: int
    place: str


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A valid document. `warnings` are what is allowed but hardly meant, such as a dead rule."""

    policy: Policy
    tests: tuple[PolicyTest, ...]
    warnings: tuple[Problem, ...]


def load_document(text: str, taxonomy: Taxonomy, listed: PeopleList | None = None) -> PolicyDocument:
    """Read a policy document, whole; `listed` are people beside those that it names itself.

    Raises PolicyError with every problem, in the order of the lines, those of the list after the
    document's; with one when it is no YAML.
    """
    findings = Findings()
    root = Value(compose(text), "", findings, 1, 1)
    if not isinstance(root.node, Mapping):
        root.report("a policy is needed here: town, departments, people, rules and so on")
        raise PolicyError(tuple(findings.problems))
    # What people are called is part of what is in force, wherever it is written.
    whole = text if listed is None else f"{text}\0{listed.text}"
    version = hashlib.sha256(whole.encode()).hexdigest()[:12]
    sections = root.fields(required=("town",), optional=_SECTIONS)
    policy = _policy(sections, listed, taxonomy, version)
    tests = _tests(sections["tests"], policy)
    all_findings = (findings, listed.findings) if listed is not None else (findings,)
    problems = tuple(problem for found in all_findings for problem in sorted(found.problems))
    if problems:
        raise PolicyError(problems)
    warnings = tuple(warning for found in all_findings for warning in sorted(found.warnings))
    return PolicyDocument(policy, tests, warnings)


def _policy(
    sections: dict[str, Value], listed: PeopleList | None, taxonomy: Taxonomy, version: str
) -> Policy:
    # What one section says of another is checked by the other's ids, whether those are sound or not.
    people, departments, schedules = (
        {key.new_id(): value for key, value in sections[name].entries()}
        for name in ("people", "departments", "schedules")
    )
    if listed is not None:
        _add(people, listed)
    roles = read_roles(sections["roles"], people)
    departments_read = read_departments(departments, people)
    people_read = read_people(people, departments)
    refuse_auditors_who_decide(sections["roles"], roles, departments_read)
    vocabulary = Vocabulary(taxonomy, departments.keys(), people.keys(), schedules.keys(), roles)
    unknown = sections["unknown"].fields(required=("action",))["action"]
    default = _default(sections["default"].fields(required=("action",))["action"]) or Verdict.ALLOW
    lockdown = sections["lockdown"].fields(required=("still_works",))
    never_inspect = sections["never_inspect"].fields(optional=("categories", "sites"))
    newly_seen = sections["newly_seen"].fields(required=("days",))
    never_inspect_categories = read_categories(never_inspect["categories"], taxonomy)
    read_windows = read_schedules(schedules)
    rules = read_rules(sections["rules"], vocabulary, never_inspect_categories, default)
    return Policy(
        version=version,
        town=read_town(sections["town"]),
        departments=departments_read,
        people=people_read,
        devices=read_devices(sections["devices"], people, departments),
        roles=roles,
        schedules=read_windows,
        essentials=_sites(sections["essentials"]),
        works_in_lockdown=_sites(lockdown["still_works"]),
        ports=frozenset(sections["ports"].parsed_items(notation.port)) or _WEB_PORTS,
        internal_networks=tuple(sections["internal_networks"].parsed_items(notation.network)),
        unknown=unknown.member(UnknownAction, "an action") or UnknownAction.BLOCK,
        security_categories=taxonomy.members("security_risk"),
        never_inspect_sites=_sites(never_inspect["sites"]),
        never_inspect_categories=never_inspect_categories,
        rules=rules,
        default=default,
        after_approval=sections["after_approval"].member(AfterApproval, "a way to open access")
        or AfterApproval.OPEN,
        asking=read_asking(
            sections["asking"],
            sections["holidays"],
            read_windows,
            taxonomy,
            people=people_read,
            departments=departments,
            roles=roles,
        ),
        notice=read_notice(sections["notice"]),
        newly_seen_days=newly_seen["days"].parsed(notation.days_of_newness) or _NEWLY_SEEN_DAYS,
        limits=read_limits(sections["limits"], vocabulary, [rule.id for rule in rules]),
        line_bits_per_second=read_line(sections["line"]),
        attempts=read_attempts(sections["attempts"], taxonomy, roles),
        weekly_report=read_weekly_report(sections["weekly_report"]),
        second_person=read_second_person(sections["names"], roles),
        addresses=read_addresses(sections["addresses"], taxonomy, never_inspect_categories),
    )


def _add(people: dict[str, Value], listed: PeopleList) -> None:
    for key, value in listed.root.entries():
        id_ = key.new_id()
        if id_ in people:
            key.report(f"{id_!r} is in the policy document too, line {people[id_].line}; leave one out")
        else:
            people[id_] = value


def _default(value: Value) -> Verdict | None:
    actions = [verdict.value for verdict in Verdict if verdict is not Verdict.VIEW_ONLY]
    word = value.one_of(actions, "an action", _DEFAULT_ACTIONS)
    return None if word is None else Verdict(word)


def _sites(value: Value) -> frozenset[str]:
    hosts = set()
    for item in value.items():
        host = item.parsed(notation.site)
        if host is None:
            continue
        if "." not in host and not is_address(host):
            item.warn(f"{host!r} opens every name that ends in .{host} too")
        hosts.add(host)
    return frozenset(hosts)


def _tests(value: Value, policy: Policy) -> tuple[PolicyTest, ...]:
    identities = Identities(policy)
    rules, limits = [rule.id for rule in policy.rules], [limit.id for limit in policy.limits]
    zone = ZoneInfo(policy.town.timezone)
    tests = []
    for item in value.items():
        fields = item.fields(required=("as", "visit", "at", "expect"), optional=("rule", "download", "limit"))
        client = _client(fields["as"], policy, identities)
        address = fields["visit"].parsed(parse_web_address)
        at = fields["at"].parsed(lambda text: notation.moment(text, zone))
        expect = fields["expect"].member(Verdict, "a verdict")
        rule = fields["rule"].one_of(rules, "a rule")
        download = fields["download"].parsed(notation.size)
        limit = fields["limit"].one_of(limits, "a limit")
        if client and address and at and expect:
            visit = Visit(client, address.scheme, address.host, address.port, address.path, at)
            tests.append(PolicyTest(visit, expect, rule, download, limit, item.line, item.column, item.place))
    return tuple(tests)


def _client(value: Value, policy: Policy, identities: Identities) -> Client | None:
    if isinstance(value.node, Mapping):
        address = value.fields(required=("address",))["address"].parsed(notation.address)
        return identities.identify(address) if address else None
    person = value.one_of(policy.people, "a person")
    return identities.client_of(person) if person else None
