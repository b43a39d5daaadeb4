"""Reading a policy document: all of it, or every problem at its place."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, time
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from categories.taxonomy import Group, taxonomy
from policy.decision import Verdict
from policy.document import PolicyDocument, load_document
from policy.problem import PolicyError, Problem
from policy.schedule import Schedule
from policy.town_policy import (
    Approver,
    DatedDelegate,
    Department,
    Device,
    Person,
    Policy,
    Rule,
    Town,
    UnknownAction,
)
from policy.visit import Visit
from tests.people import CLERK_AT_WORK, STRANGER
from tests.towns import DOCUMENT

WHOLE = """\
town:
  name: "Town of  Exampleton"
  timezone: America/New_York
  help_desk: {email: help@town.example, phone: 0555-0100}
schedules:
  business_hours: {days: mon-fri, from: 8:00, to: 16:30}
  weekend: {days: [sat, sun], from: "00:00", to: "24:00"}
departments:
  finance:
    name: Finance
    head: head
    delegates: [it, {person: other, from: 2026-12-21, until: 2027-01-04}]
    networks: [10.10.20.0/24, 10.10.21.7, "fd00::/64"]
people:
  head: {name: Henry Walsh, mail: head@town.example, department: finance}
  clerk: {name: No, department: finance}
  it: {name: Ivan Torres}
  other: {name: Omar Said}
devices:
  127.0.0.1: {name: FIN-PC-15, person: clerk}
  2001:DB8::0:7: {name: FRONT-DESK, department: finance}
roles: {it_security: [it], town_administrator: [it], auditor: [clerk]}
unknown: {action: sign_in}
essentials: [dispatch.example, DISPATCH2.example., 10.20.0.1]
ports: [80, 443, 8443]
internal_networks: [10.20.0.0/16]
rules:
  - {id: security-risk, group: security_risk, action: block, approval: [it_security]}
  - id: finance-hours
    categories: [gambling, shopping]
    departments: [finance]
    people: [clerk]
    when: business_hours
    action: block
    approval: [department_head, town_administrator]
    because: >
      Acceptable Use Policy,
      Prohibited Uses 18
default: {action: block}
tests:
  - as: clerk
    visit: https://PokerStars.com:8443/a?b
    at: 2026-03-02 10:00
    expect: block
    rule: finance-hours
  - {as: {address: 192.0.2.1}, visit: "http://pokerstars.com/a?b", at: "2026-11-01 01:30", expect: allow}
"""


def load(text: str) -> PolicyDocument:
    return load_document(text, taxonomy())


def problems_of(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def test_every_key_is_read() -> None:
    document = load(WHOLE)
    assert document.policy == Policy(
        version=hashlib.sha256(WHOLE.encode()).hexdigest()[:12],
        town=Town("Town of Exampleton", "America/New_York", "help@town.example", "0555-0100"),
        schedules={
            "business_hours": Schedule(frozenset(range(5)), time(8), time(16, 30)),
            "weekend": Schedule(frozenset({5, 6}), time(0), time(0)),
        },
        departments={
            "finance": Department(
                "Finance",
                "head",
                ("it",),
                (ip_network("10.10.20.0/24"), ip_network("10.10.21.7"), ip_network("fd00::/64")),
                (DatedDelegate("other", date(2026, 12, 21), date(2027, 1, 4)),),
            )
        },
        people={
            "head": Person("Henry Walsh", "head@town.example", "finance"),
            "clerk": Person("No", department="finance"),
            "it": Person("Ivan Torres"),
            "other": Person("Omar Said"),
        },
        devices={
            "127.0.0.1": Device("FIN-PC-15", person="clerk"),
            "2001:db8::7": Device("FRONT-DESK", department="finance"),
        },
        roles={
            "it_security": ("it",),
            "town_administrator": ("it",),
            "help_desk": (),
            "auditor": ("clerk",),
        },
        unknown=UnknownAction.SIGN_IN,
        essentials=frozenset({"dispatch.example", "dispatch2.example", "10.20.0.1"}),
        ports=frozenset({80, 443, 8443}),
        internal_networks=(ip_network("10.20.0.0/16"),),
        security_categories=taxonomy().members("security_risk"),
        rules=(
            Rule(
                "security-risk",
                Verdict.BLOCK,
                taxonomy().members("security_risk"),
                approval=(Approver.IT_SECURITY,),
            ),
            Rule(
                "finance-hours",
                Verdict.BLOCK,
                frozenset({"gambling", "shopping"}),
                frozenset({"finance"}),
                frozenset({"clerk"}),
                "business_hours",
                "Acceptable Use Policy, Prohibited Uses 18",
                (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR),
            ),
        ),
        default=Verdict.BLOCK,
    )
    assert document.warnings == ()


def test_tests_of_the_document_become_visits() -> None:
    first, second = load(WHOLE).tests
    ten = datetime(2026, 3, 2, 15, tzinfo=UTC)
    # Of an hour that comes twice, the first is meant.
    assert first.visit == Visit(CLERK_AT_WORK, "https", "pokerstars.com", 8443, "/a", ten)
    assert second.visit == Visit(
        STRANGER, "http", "pokerstars.com", 80, "/a", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    )
    assert (first.expect, first.rule, first.line, first.place) == (
        Verdict.BLOCK,
        "finance-hours",
        41,
        "tests[0]",
    )
    assert (second.expect, second.rule, second.line) == (Verdict.ALLOW, None, 46)


def test_what_is_left_out_has_its_default() -> None:
    policy = load("town: {name: T, timezone: UTC}\n").policy
    assert policy == Policy(
        version=policy.version,
        town=Town("T", "UTC"),
        roles=dict.fromkeys(("it_security", "town_administrator", "help_desk", "auditor"), ()),
        security_categories=taxonomy().members("security_risk"),
    )
    assert policy.ports == {80, 443}
    assert (policy.unknown, policy.default) == (UnknownAction.BLOCK, Verdict.ALLOW)


def test_sections_with_nothing_in_them_are_empty() -> None:
    text = "town: {name: T, timezone: UTC}\npeople:\ndevices: {}\nrules:\ntests: []\n"
    assert load(text).policy.rules == ()


def test_version_is_of_the_text() -> None:
    assert load(DOCUMENT).policy.version == load(DOCUMENT).policy.version
    assert load(DOCUMENT).policy.version != load(DOCUMENT + "# a note\n").policy.version


def test_every_problem_is_reported_at_once_in_the_order_of_the_lines() -> None:
    text = """\
town: {name: Town of Exampleton, timezone: America/New_Yorkk}
schedules:
  lunch: {days: mon-fry, from: "12:00", to: "25:00"}
departments:
  finance: {name: Finance, head: hed, networks: [10.10.20.0/24]}
  police: {name: Police, networks: [10.10.20.128/25]}
people:
  head: {name: Henry Walsh, department: finanze}
rules:
  - {id: one, categories: [gambing], action: blok}
  - {id: one, group: security_risks, when: lunsh, action: block}
default: {action: allow}
"""
    assert problems_of(text) == [
        "line 1: town.timezone: 'America/New_Yorkk' is not a time zone (nearest: 'America/New_York')",
        "line 3: schedules.lunch.days: 'fry' is not a day (nearest: 'fri')",
        'line 3: schedules.lunch.to: \'25:00\' is not a time of the day; write it like "08:00" or "16:30"',
        "line 5: departments.finance.head: 'hed' is not a person (nearest: 'head')",
        "line 6: departments.police: 'head' is missing",
        "line 6: departments.police.networks[0]: 10.10.20.128/25 of 'police' overlaps 10.10.20.0/24 of"
        " 'finance' in line 5; a client must be in one department",
        "line 8: people.head.department: 'finanze' is not a department (nearest: 'finance')",
        "line 10: rules[0].categories[0]: 'gambing' is not a category (nearest: 'gambling')",
        "line 10: rules[0].action: 'blok' is not an action (nearest: 'block')",
        "line 11: rules[1]: rule 'one' is given twice, first in line 10",
        "line 11: rules[1].group: 'security_risks' is not a group (nearest: 'security_risk')",
        "line 11: rules[1].when: 'lunsh' is not a schedule (nearest: 'lunch')",
    ]


def test_problem_knows_line_and_column() -> None:
    with pytest.raises(PolicyError) as caught:
        load("town:\n  name: T\n  timezone: Mars\n")
    assert caught.value.problems == (Problem(3, 13, "town.timezone", "'Mars' is not a time zone"),)


TOWN = "town: {name: T, timezone: America/New_York}\n"
PEOPLE = "people: {clerk: {name: C}, head: {name: H}}\n"
NOTHING_NEAR_A_DAY = "(days are mon, tue, wed, thu, fri, sat, sun)"
NOT_A_CLOCK_TIME = 'is not a time of the day; write it like "08:00" or "16:30"'
NOT_AN_ID = "cannot be an id: write up to 64 small letters, digits, '-', '_' or '.', a letter or digit first"
OF_LIMITS = "is for limits; a rule blocks, and names who may allow it: approval"
EMPTY = "the list is empty; fill it in, or leave the key out"


def test_two_rules_of_one_line_and_id_are_told_apart() -> None:
    rules = "rules: [{id: a, action: block}, {id: a, action: allow}]"
    assert problems_of(TOWN + rules) == ["line 2: rules[1]: rule 'a' is given twice, first in line 2"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("people: {}", "line 1: 'town' is missing"),
        ("- a\n- b", "line 1: a policy is needed here: town, departments, people, rules and so on"),
        ("just text", "line 1: a policy is needed here: town, departments, people, rules and so on"),
        ("", "line 1: the document is empty"),
        ("town:", "line 1: town: 'name' is missing"),
        ("town: x", "line 1: town: keys and values are needed here"),
        (TOWN + TOWN, "line 2: town: 'town' is given twice, first in line 1"),
        (TOWN + "rule: []", "line 2: rule: 'rule' is not a key here (nearest: 'rules')"),
        (TOWN + "? [a]\n: b", "line 2: a key must be a plain word"),
        (TOWN + "~: b", "line 2: a key must be a plain word"),
        (TOWN + "limit: []", "line 2: limit: 'limit' is not a key here (nearest: 'limits')"),
        (TOWN + "line: {}", "line 2: line: 'capacity' is missing"),
        (
            TOWN + "after_approval: opne",
            "line 2: after_approval: 'opne' is not a way to open access (nearest: 'open')",
        ),
        (TOWN + "lockdown: {}", "line 2: lockdown: 'still_works' is missing"),
        (TOWN + "lockdown: [a]", "line 2: lockdown: keys and values are needed here"),
        (TOWN + "never_inspect: [a]", "line 2: never_inspect: keys and values are needed here"),
        (TOWN + "unknown: {}", "line 2: unknown: 'action' is missing"),
        (TOWN + "rules: {a: b}", "line 2: rules: a list is needed here: [one, another]"),
        (TOWN + "rules: [a]", "line 2: rules[0]: keys and values are needed here"),
        (TOWN + "rules: [{}]", "line 2: rules[0]: 'id' is missing"),
    ],
)
def test_problem_of_the_whole(text: str, problem: str) -> None:
    assert problem in problems_of(text)


@pytest.mark.parametrize(
    ("town", "problem"),
    [
        ("name: , timezone: UTC", "town.name: nothing is written here"),
        ("name: [a], timezone: UTC", "town.name: one word or text is needed here, not a list or keys"),
        ('name: "a\\eb", timezone: UTC', "town.name: 'a\\x1bb' holds characters that cannot be seen"),
        (f"name: {'a' * 501}, timezone: UTC", "town.name: 501 characters; at most 500 are shown"),
        ("name: T", "town: 'timezone' is missing"),
        ("name: T, timezone: ../UTC", "town.timezone: '../UTC' is not a time zone"),
        (
            "name: T, timezone: US/Eastren",
            "town.timezone: 'US/Eastren' is not a time zone (nearest: 'US/Eastern')",
        ),
        (
            "name: T, timezone: UTC, help_desk: {email: a b@c}",
            "town.help_desk.email: 'a b@c' is not a mail address",
        ),
        (
            "name: T, timezone: UTC, help_desk: {fax: 1}",
            "town.help_desk.fax: 'fax' is not a key here (there are: email, phone)",
        ),
    ],
)
def test_problem_of_the_town(town: str, problem: str) -> None:
    assert problems_of(f"town: {{{town}}}") == [f"line 1: {problem}"]


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("days: [], from: 8:00, to: 9:00", "days: no day is listed"),
        ("days: , from: 8:00, to: 9:00", "days: no day is listed"),
        ("days: mon-, from: 8:00, to: 9:00", f"days: '' is not a day {NOTHING_NEAR_A_DAY}"),
        ("days: [mon, 8], from: 8:00, to: 9:00", f"days[1]: '8' is not a day {NOTHING_NEAR_A_DAY}"),
        ("days: thurs, from: 8:00, to: 9:00", "days: 'thurs' is not a day (nearest: 'thu')"),
        ("days: mon, from: 480, to: 9:00", f"from: '480' {NOT_A_CLOCK_TIME}"),
        ("days: mon, from: 24:00, to: 8:00", f"from: '24:00' {NOT_A_CLOCK_TIME}"),
        ("days: mon, from: 8:00, to: 16:60", f"to: '16:60' {NOT_A_CLOCK_TIME}"),
        (
            "days: mon, from: 8:00, to: 8:00",
            'to: the window ends as it begins; a whole day is from "00:00" to "24:00"',
        ),
    ],
)
def test_problem_of_a_schedule(schedule: str, problem: str) -> None:
    text = TOWN + f"schedules: {{lunch: {{{schedule}}}}}"
    assert f"line 2: schedules.lunch.{problem}" in problems_of(text)


@pytest.mark.parametrize(
    ("department", "problem"),
    [
        ("name: F", ": 'head' is missing"),
        ("name: F, head: haed", ".head: 'haed' is not a person (nearest: 'head')"),
        ("name: F, head: [head]", ".head: one word or text is needed here, not a list or keys"),
        (
            "name: F, head: head, delegates: [clark]",
            ".delegates[0]: 'clark' is not a person (nearest: 'clerk')",
        ),
        ("name: F, head: head, delegates: [clerk, clerk]", ".delegates[1]: 'clerk' is listed twice"),
        (
            "name: F, head: head, delegates: [clerk, {person: clerk, from: 2026-12-21, until: 2026-12-24}]",
            ".delegates: 'clerk' is listed with days and without: without, they stand in always",
        ),
        (
            "name: F, head: head, delegates: [{person: clerk, from: 2026-12-21, until: 2026-12-20}]",
            ".delegates[0].until: 2026-12-20 is before 2026-12-21; both days are included,"
            " the first one comes first",
        ),
        (
            "name: F, head: head, delegates: [{person: clark, from: 2026-12-20, until: 2026-12-20}]",
            ".delegates[0].person: 'clark' is not a person (nearest: 'clerk')",
        ),
        (
            "name: F, head: head,"
            " delegates: [{person: clerk, from: 2026-12-21, until: 2026-12-21, to: 2026-12-24}]",
            ".delegates[0].to: 'to' is not a key here (there are: person, from, until)",
        ),
        (
            "name: F, head: head, delegates: [{person: clerk, from: soon, until: 2026-12-20}]",
            ".delegates[0].from: 'soon' is not a date; write it like \"2026-12-01\"",
        ),
        (
            "name: F, head: head, delegates: [{person: clerk, from: 2026-12-21}]",
            ".delegates[0]: 'until' is missing",
        ),
        (
            "name: F, head: head, networks: [10.10.20.5/24]",
            ".networks[0]: '10.10.20.5/24' is an address in a network; write the network: 10.10.20.0/24",
        ),
        (
            "name: F, head: head, networks: 10.10.20.0/24",
            ".networks: a list is needed here: [10.10.20.0/24]",
        ),
        ("name: F, head: head, networks: {a: b}", ".networks: a list is needed here: [one, another]"),
        (
            "name: F, head: head, networks: [10.300.0.0/8]",
            ".networks[0]: '10.300.0.0/8' is not a network; write it like 10.10.20.0/24",
        ),
    ],
)
def test_problem_of_a_department(department: str, problem: str) -> None:
    text = TOWN + PEOPLE + f"departments: {{finance: {{{department}}}}}"
    assert problems_of(text) == [f"line 3: departments.finance{problem}"]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            "people: {clerk: {name: C, department: it}}",
            "people.clerk.department: 'it' is not a department",
        ),
        ("people: {clerk: {name: C, mail: c}}", "people.clerk.mail: 'c' is not a mail address"),
        ("people: {Clerk: {name: C}}", f"people.Clerk: 'Clerk' {NOT_AN_ID}"),
        ("people: {a b: {name: C}}", f"people['a b']: 'a b' {NOT_AN_ID}"),
        (
            "devices: {10.1.1.1: {name: A, person: clark}}",
            "devices['10.1.1.1'].person: 'clark' is not a person",
        ),
        ("devices: {fin-pc: {name: A}}", "devices.fin-pc: 'fin-pc' is not an IP address"),
        (
            'devices: {10.1.1.1: {name: A}, "::ffff:10.1.1.1": {name: B}}',
            "devices['::ffff:10.1.1.1']: 10.1.1.1 is the address of another device, 'A'",
        ),
        (
            "devices: {10.1.1.1: {name: A}, 10.1.1.1: {name: B}}",
            "devices['10.1.1.1']: '10.1.1.1' is given twice, first in line 2",
        ),
        (
            "devices: {10.1.1.1: {name: A}, 10.1.1.2: {name: A}}",
            "devices['10.1.1.2'].name: 'A' is another device's name, in line 2",
        ),
        ("roles: {it_securty: []}", "roles.it_securty: 'it_securty' is not a role (nearest: 'it_security')"),
        ("roles: {auditor: [nobody]}", "roles.auditor[0]: 'nobody' is not a person"),
        (
            "unknown: {action: signin}",
            "unknown.action: 'signin' is not an action (nearest: 'sign_in')",
        ),
        ("default: {action: ask}", f"default.action: 'ask' {OF_LIMITS}"),
        (
            'essentials: ["*.town.example"]',
            "essentials[0]: '*.town.example': subdomains are included; write 'town.example'",
        ),
        (
            'essentials: ["https://town.example/"]',
            "essentials[0]: 'https://town.example/' is a whole address; write the host name alone",
        ),
        (
            "essentials: [co.uk]",
            "essentials[0]: 'co.uk' would open every site under it; name the site",
        ),
        ("essentials: [a b]", "essentials[0]: 'a b' is not a host name: it holds ' '"),
        ("ports: [0]", "ports[0]: '0' is not a port; ports are numbers from 1 to 65535"),
        ("ports: [https]", "ports[0]: 'https' is not a port; ports are numbers from 1 to 65535"),
        ("ports: [١]", "ports[0]: '١' is not a port; ports are numbers from 1 to 65535"),
        (
            "internal_networks: [home]",
            "internal_networks[0]: 'home' is not a network; write it like 10.10.20.0/24",
        ),
    ],
)
def test_problem_of_another_section(section: str, problem: str) -> None:
    assert problems_of(TOWN + section) == [f"line 2: {problem}"]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("action: block", ": 'id' is missing"),
        ("id: a", ": 'action' is missing"),
        ("id: a b, action: block", f".id: 'a b' {NOT_AN_ID}"),
        ("id: a, action: ask", f".action: 'ask' {OF_LIMITS}"),
        ("id: a, action: inspect", ".action: 'inspect' is no action; give the rule inspect: urls"),
        (
            "id: a, action: view_only",
            ".action: a rule that has sites looked into must name their categories",
        ),
        (
            "id: a, action: warn, approval: [it_security]",
            ".approval: the rule warns; there is nothing to approve",
        ),
        (
            "id: a, action: block, inspect: urls",
            ".inspect: a rule that has sites looked into must name their categories",
        ),
        (
            "id: a, action: block, categories: [adult], inspect: bodies",
            ".inspect: 'bodies' is not what can be inspected (there are: urls)",
        ),
        (
            "id: a, action: block, quota: 1",
            ".quota: 'quota' is for limits, what is only known once something is loaded",
        ),
        ("id: a, action: block, categories: [games], file_types: []", f".file_types: {EMPTY}"),
        (
            "id: a, action: block, categories: [games], file_types: [executables]",
            ".file_types[0]: 'executables' is not a file type (nearest: 'executable')",
        ),
        (
            "id: a, action: block, file_types: [executable]",
            ".file_types: a rule that has sites looked into must name their categories",
        ),
        (
            "id: a, action: warn, categories: [games], file_types: [executable]",
            ".action: a rule of file_types allows or blocks",
        ),
        (
            "id: a, action: block, categories: [games], file_types: [executable], inspect: urls",
            ".inspect: a rule of file_types decides about downloads, and about no URL",
        ),
        (
            "id: a, action: block, category: x",
            ".category: 'category' is not a key here (nearest: 'categories')",
        ),
        ("id: a, action: block, categories: []", f".categories: {EMPTY}"),
        ("id: a, action: block, departments: ", f".departments: {EMPTY}"),
        ("id: a, action: block, people: []", f".people: {EMPTY}"),
        (
            "id: a, action: block, categories: [gambing]",
            ".categories[0]: 'gambing' is not a category (nearest: 'gambling')",
        ),
        (
            "id: a, action: block, categories: [security_risk]",
            ".categories[0]: 'security_risk' is a group; write it as group, without a list",
        ),
        (
            "id: a, action: block, categories: [gambling], group: personal",
            ".group: a rule has either group or categories; write two rules",
        ),
        ("id: a, action: block, group: personel", ".group: 'personel' is not a group (nearest: 'personal')"),
        ("id: a, action: block, when: lunch", ".when: 'lunch' is not a schedule"),
        (
            "id: a, action: allow, approval: [it_security]",
            ".approval: the rule allows; there is nothing to approve",
        ),
        (
            "id: a, action: block, approval: [head]",
            ".approval[0]: 'head' is not an approver (there are: department_head, it_security,"
            " town_administrator)",
        ),
        (
            "id: a, action: block, approval: [it_security, it_security]",
            ".approval[1]: 'it_security' is listed twice",
        ),
    ],
)
def test_problem_of_a_rule(rule: str, problem: str) -> None:
    assert f"line 3: rules[0]{problem}" in problems_of(TOWN + f"rules:\n- {{{rule}}}")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"as": "clark"}, ".as: 'clark' is not a person (nearest: 'clerk')"),
        ({"as": "{address: x}"}, ".as.address: 'x' is not an IP address"),
        ({"as": "{adress: x}"}, ".as.adress: 'adress' is not a key here (nearest: 'address')"),
        ({"as": "{adress: x}"}, ".as: 'address' is missing"),
        ({"visit": "ftp://a.example"}, ".visit: 'ftp://a.example': the gate judges http and https, not ftp"),
        (
            {"at": "monday"},
            ".at: 'monday' is not a date and time; write it like \"2026-03-02 10:00\"",
        ),
        (
            {"at": "2026-02-30 10:00"},
            ".at: '2026-02-30 10:00' is not a date and time; write it like \"2026-03-02 10:00\"",
        ),
        (
            {"at": "2026-03-08 02:30"},
            ".at: '2026-03-08 02:30' does not exist in America/New_York: the clock skips it that day",
        ),
        ({"expect": "blocked"}, ".expect: 'blocked' is not a verdict (nearest: 'block')"),
        (
            {"expect": "ask"},
            ".expect: 'ask' is not a verdict (there are: allow, view_only, warn, block)",
        ),
        ({"rule": "game"}, ".rule: 'game' is not a rule (nearest: 'games')"),
    ],
)
def test_problem_of_a_test(changed: dict[str, str], problem: str) -> None:
    keys = {"as": "clerk", "visit": "a.example", "at": "2026-03-02 10:00", "expect": "block"} | changed
    written = ", ".join(f"{key}: {value}" for key, value in keys.items())
    rules = "rules: [{id: games, action: block}]\n"
    assert f"line 4: tests[0]{problem}" in problems_of(TOWN + PEOPLE + rules + f"tests: [{{{written}}}]")


def test_group_without_categories_would_match_any_site_and_is_refused() -> None:
    ours = taxonomy()
    bare = replace(ours, groups={**ours.groups, "bare": Group("bare", "Bare")})
    with pytest.raises(PolicyError, match=r"rules\[0\]\.group: 'bare' has no categories"):
        load_document(TOWN + "rules: [{id: a, action: allow, group: bare}]", bare)


def test_every_overlap_of_networks_between_departments_is_found() -> None:
    departments = """\
departments:
  one: {name: One, head: head, networks: [10.0.0.0/8, 10.1.0.0/16, "fd00::/8"]}
  two: {name: Two, head: head, networks: [10.1.2.0/24, 11.0.0.0/8, 10.200.0.0/16, "fd00:1::/64"]}
  three: {name: Three, head: head, networks: [12.0.0.0/8, 9.0.0.0/8]}
"""
    both = "of 'one' in line 4; a client must be in one department"
    assert problems_of(TOWN + PEOPLE + departments) == [
        f"line 5: departments.two.networks[0]: 10.1.2.0/24 of 'two' overlaps 10.0.0.0/8 {both}",
        f"line 5: departments.two.networks[2]: 10.200.0.0/16 of 'two' overlaps 10.0.0.0/8 {both}",
        f"line 5: departments.two.networks[3]: fd00:1::/64 of 'two' overlaps fd00::/8 {both}",
    ]


# --- what is allowed but hardly meant ---


LUNCH = 'schedules: {lunch: {days: mon-fri, from: "12:00", to: "13:00"}}\n'
ROLES = "roles: {it_security: [clerk], town_administrator: [head]}\n"
NEVER_REACHED = "line 7: rules[1]: rule 'b' is never reached: 'a' matches whatever it would"


@pytest.mark.parametrize(
    ("case", "rules", "warning"),
    [
        (
            "all of its categories come before",
            (
                "id: a, action: block, categories: [games, gambling]",
                "id: b, action: allow, categories: [games]",
            ),
            NEVER_REACHED,
        ),
        (
            "everything comes before",
            ("id: a, action: allow", "id: b, action: block, group: personal, when: lunch"),
            NEVER_REACHED,
        ),
        (
            "the same people at any time",
            (
                "id: a, action: allow, people: [clerk, head]",
                "id: b, action: block, people: [clerk], when: lunch",
            ),
            NEVER_REACHED,
        ),
        (
            "the same files of the same sites",
            (
                "id: a, action: allow, categories: [games], file_types: [executable, archive]",
                "id: b, action: block, categories: [games], file_types: [archive]",
            ),
            NEVER_REACHED,
        ),
        (
            "files of sites that an earlier rule decides about",
            (
                "id: a, action: allow, categories: [games]",
                "id: b, action: block, categories: [games], file_types: [archive]",
            ),
            NEVER_REACHED,
        ),
        (
            "pages of a category that an earlier rule answers for",
            (
                "id: a, action: allow, categories: [games, press]",
                "id: b, action: block, categories: [games, hate], inspect: urls",
            ),
            "line 7: rules[1]: rule 'b' never decides about URLs of games: 'a' answers for them before it",
        ),
        (
            "reading of what an earlier rule allows",
            (
                "id: a, action: allow, categories: [forums]",
                "id: b, action: view_only, categories: [forums, social_networks]",
            ),
            "line 7: rules[1]: rule 'b' never decides about sites of forums: 'a' answers for them before it",
        ),
        (
            "files of a category that an earlier rule decides about",
            (
                "id: a, action: block, categories: [games]",
                "id: b, action: block, categories: [games, forums], file_types: [archive]",
            ),
            "line 7: rules[1]: rule 'b' never decides about downloads of games:"
            " 'a' answers for them before it",
        ),
        (
            "files of sites that are blocked",
            (
                "id: a, action: block, categories: [games, forums], file_types: [archive]",
                "id: b, action: block, categories: [games]",
            ),
            "line 6: rules[0]: rule 'a' finds no downloads of sites that are games alone:"
            " 'b' blocks the sites",
        ),
        (
            "a risk opened",
            ("id: a, action: allow, categories: [malware, games]",),
            "line 6: rules[0]: rule 'a' opens a security risk: malware",
        ),
        (
            "a risk asked of who cannot open it",
            ("id: a, action: block, categories: [malware, games], approval: [department_head]",),
            "line 6: rules[0]: rule 'a' asks department_head, but only it_security can open a security risk:"
            " malware",
        ),
    ],
)
def test_warning(case: str, rules: tuple[str, ...], warning: str) -> None:
    written = "".join(f"- {{{rule}}}\n" for rule in rules)
    warnings = load(TOWN + PEOPLE + LUNCH + ROLES + "rules:\n" + written).warnings
    assert [str(found) for found in warnings] == [warning], case


@pytest.mark.parametrize(
    ("case", "rules"),
    [
        (
            "another category",
            (
                "id: a, action: allow, categories: [press]",
                "id: b, action: block, categories: [hate], inspect: urls",
            ),
        ),
        (
            "only at an hour",
            (
                "id: a, action: allow, categories: [games], when: lunch",
                "id: b, action: block, categories: [games, hate], inspect: urls",
            ),
        ),
        (
            "files of sites that are open to some",
            (
                "id: a, action: block, categories: [games], file_types: [archive]",
                "id: b, action: allow, categories: [games], people: [clerk]",
                "id: c, action: block, categories: [games]",
            ),
        ),
    ],
)
def test_rule_that_can_act_is_not_warned_of(case: str, rules: tuple[str, ...]) -> None:
    written = "".join(f"- {{{rule}}}\n" for rule in rules)
    assert load(TOWN + PEOPLE + LUNCH + ROLES + "rules:\n" + written).warnings == (), case


def test_files_of_what_the_default_blocks_are_warned_of() -> None:
    rule = "rules:\n- {id: a, action: block, categories: [games], file_types: [archive]}\n"
    (warning,) = load(TOWN + rule + "default: {action: block}").warnings
    said = "rule 'a' finds no downloads of sites that are games alone: the default blocks the sites"
    assert said in str(warning)


def test_rule_of_files_keeps_no_other_from_being_reached() -> None:
    text = """\
rules:
  - {id: a, action: block, categories: [games], file_types: [archive]}
  - {id: b, action: block, categories: [games], file_types: [archive, video]}
  - {id: c, action: block, categories: [games]}
"""
    document = load(TOWN + text)
    assert not any("never" in str(warning) for warning in document.warnings)
    assert document.policy.rules[1].file_types == {"archive", "video"}


def test_files_of_what_is_never_opened_are_warned_of() -> None:
    text = "never_inspect: {categories: [games]}\nrules:\n- {id: a, action: block, categories: [games], "
    (warning,) = load(TOWN + text + "file_types: [archive]}").warnings
    assert "rule 'a' cannot see downloads of games over HTTPS: never_inspect names it" in str(warning)


def test_role_that_is_asked_and_has_nobody_is_warned_of_once() -> None:
    rules = """\
rules:
  - {id: a, action: block, group: security_risk, approval: [it_security]}
  - {id: b, action: block, group: evasion, approval: [department_head, it_security]}
  - {id: c, action: block, group: personal, approval: [town_administrator]}
"""
    assert [str(warning) for warning in load(TOWN + rules).warnings] == [
        "line 3: rules[0]: rule 'a' asks it_security, but roles names nobody as it_security",
        "line 4: rules[1]: rule 'b' sends a head's own requests to town_administrator, but roles names nobody"
        " as town_administrator",
    ]
    assert load(TOWN + PEOPLE + ROLES + rules).warnings == ()


def test_essential_site_without_a_dot_is_warned_of() -> None:
    (warning,) = load(TOWN + 'essentials: [town.example, com, "[fd00::1]"]').warnings
    assert str(warning) == "line 2: essentials[1]: 'com' opens every name that ends in .com too"


@pytest.mark.parametrize(
    "rules",
    [
        ("id: a, action: block, categories: [games]", "id: b, action: block, categories: [games, gambling]"),
        (
            "id: a, action: block, categories: [games], when: lunch",
            "id: b, action: allow, categories: [games]",
        ),
        ("id: a, action: block, people: [clerk]", "id: b, action: block"),
        ("id: a, action: block, people: [clerk]", "id: b, action: block, people: [clerk, head]"),
        ("id: a, action: allow", "id: b, action: block, group: security_risk, approval: [it_security]"),
        ("id: a, action: block, group: security_risk, approval: [department_head, it_security]",),
    ],
)
def test_rule_that_can_be_meant_is_not_warned_of(rules: tuple[str, ...]) -> None:
    written = "".join(f"- {{{rule}}}\n" for rule in rules)
    assert load(TOWN + PEOPLE + LUNCH + ROLES + "rules:\n" + written).warnings == ()


# --- whatever comes ---


def test_thousands_of_wrong_words_are_reported_in_good_time() -> None:
    people = "".join(f"  person{i}: {{name: P, department: financ{i}}}\n" for i in range(3000))
    problems = problems_of(TOWN + "people:\n" + people + "departments: {finance: {name: F, head: person1}}\n")
    assert len(problems) == 3000
    assert problems[0].endswith("'financ0' is not a department (nearest: 'finance')")


@settings(max_examples=200)
@given(st.data())
def test_a_document_with_a_line_changed_is_read_or_refused_with_places(data: st.DataObject) -> None:
    lines = WHOLE.splitlines()
    position = data.draw(st.integers(0, len(lines) - 1))
    change = data.draw(st.sampled_from(["drop", "twice", "indent", "cut", "text"]))
    line = lines[position]
    match change:
        case "drop":
            lines[position : position + 1] = []
        case "twice":
            lines.insert(position, line)
        case "indent":
            lines[position] = "  " + line
        case "cut":
            lines[position] = line[: data.draw(st.integers(0, len(line)))]
        case _:
            lines[position] = data.draw(st.text(max_size=20))
    try:
        document = load("\n".join(lines))
    except PolicyError as error:
        assert error.problems
        assert all(1 <= problem.line <= len(lines) + 1 for problem in error.problems)
    else:
        assert document.policy.town.name


def test_an_auditor_who_decides_as_well_is_a_problem() -> None:
    roles = "roles: {auditor: [clerk, head, other], it_security: [clerk]}"
    people = "people: {head: {name: H}, clerk: {name: C}, other: {name: O}}"
    departments = (
        "departments: {finance: {name: F, head: head,"
        " delegates: [{person: other, from: 2026-12-21, until: 2026-12-24}]}}"
    )
    with pytest.raises(PolicyError) as refused:
        load("\n".join((TOWN, departments, people, roles)))
    assert [(problem.line, problem.message) for problem in refused.value.problems] == [
        (5, "'clerk' is an auditor and it_security: auditors read, and decide nothing; leave out one"),
        (
            5,
            "'head' is an auditor and head or delegate of finance: auditors read, and decide nothing;"
            " leave out one",
        ),
        (
            5,
            "'other' is an auditor and head or delegate of finance: auditors read, and decide nothing;"
            " leave out one",
        ),
    ]
