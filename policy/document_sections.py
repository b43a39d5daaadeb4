"""The sections of a policy document that say who and when: town, people, devices, schedules."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import time
from ipaddress import IPv4Network
from zoneinfo import available_timezones

from policy import notation, yaml_tree
from policy.document_value import Value
from policy.schedule import Schedule
from policy.town_policy import (
    DatedDelegate,
    Department,
    Device,
    Network,
    Notice,
    Person,
    PersonKind,
    Town,
)

type Entries = Mapping[str, Value]
"""A section's values by their ids; its keys are what other sections may name."""

_ROLES = ("it_security", "town_administrator", "help_desk", "auditor")


def read_town(value: Value) -> Town:
    """Read `town`."""
    fields = value.fields(required=("name", "timezone"), optional=("help_desk",))
    help_desk = fields["help_desk"].fields(optional=("email", "phone"))

    def time_zone(text: str) -> str:
        try:
            return notation.time_zone(text)
        except ValueError as error:
            raise ValueError(f"{error}{value.findings.nearest(text, available_timezones())}") from error

    return Town(
        name=fields["name"].text(),
        timezone=fields["timezone"].parsed(time_zone) or "UTC",
        help_desk_email=help_desk["email"].parsed(notation.mail_address) or "",
        help_desk_phone=help_desk["phone"].text(),
    )


def read_departments(entries: Entries, people: Collection[str]) -> dict[str, Department]:
    """Read `departments`. A network may be of one department only."""
    departments = {}
    networks: list[tuple[Network, str, Value]] = []
    for id_, value in entries.items():
        fields = value.fields(required=("name", "head"), optional=("delegates", "networks"))
        own = [
            (network, id_, item)
            for item in fields["networks"].items()
            if (network := item.parsed(notation.network)) is not None
        ]
        networks += own
        delegates, dated = _read_delegates(fields["delegates"], people)
        departments[id_] = Department(
            name=fields["name"].text(),
            head=fields["head"].one_of(people, "a person") or "",
            delegates=delegates,
            networks=tuple(network for network, _, _ in own),
            dated_delegates=dated,
        )
    _report_overlaps(networks)
    return departments


def _read_delegates(
    value: Value, people: Collection[str]
) -> tuple[tuple[str, ...], tuple[DatedDelegate, ...]]:
    """Read who stands in always, and who does for some days, which one person may several times."""
    always: list[str] = []
    dated: list[DatedDelegate] = []
    for item in value.items():
        if isinstance(item.node, yaml_tree.Mapping):
            one = _read_dated_delegate(item, people)
            dated += [one] if one is not None else []
            continue
        person = item.one_of(people, "a person")
        if person in always:
            item.report(f"{person!r} is listed twice")
        elif person is not None:
            always.append(person)
    for person in dict.fromkeys(one.person for one in dated if one.person in always):
        value.report(f"{person!r} is listed with days and without: without, they stand in always")
    return tuple(always), tuple(dated)


def _read_dated_delegate(value: Value, people: Collection[str]) -> DatedDelegate | None:
    fields = value.fields(required=("person", "from", "until"))
    person = fields["person"].one_of(people, "a person")
    first, last = (fields[name].parsed(notation.date_of) for name in ("from", "until"))
    if person is None or first is None or last is None:
        return None
    if last < first:
        fields["until"].report(f"{last} is before {first}; both days are included, the first one comes first")
    return DatedDelegate(person, first, last)


def _with_dates(department: Department) -> list[str]:
    return [one.person for one in department.dated_delegates]


def _report_overlaps(networks: Iterable[tuple[Network, str, Value]]) -> None:
    def by_address(entry: tuple[Network, str, Value]) -> tuple[int, int, int]:
        network = entry[0]
        return network.version, int(network.network_address), network.prefixlen

    # Sorted so, a network that overlaps others comes right before the first that it holds.
    widest: tuple[Network, str, Value] | None = None
    for entry in sorted(networks, key=by_address):
        network, department, value = entry
        if widest is None or not _overlap(network, widest[0]):
            widest = entry
        elif department != widest[1]:
            value.report(
                f"{network} of {department!r} overlaps {widest[0]} of {widest[1]!r} in line {widest[2].line};"
                " a client must be in one department"
            )


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return not isinstance(other, IPv4Network) and one.overlaps(other)


def read_people(entries: Entries, departments: Collection[str]) -> dict[str, Person]:
    """Read `people`."""
    people = {}
    for id_, value in entries.items():
        fields = value.fields(required=("name",), optional=("mail", "department", "kind"))
        people[id_] = Person(
            name=fields["name"].text(),
            mail=fields["mail"].parsed(notation.mail_address) or "",
            department=fields["department"].one_of(departments, "a department"),
            kind=fields["kind"].member(PersonKind, "a kind of person") or PersonKind.EMPLOYEE,
        )
    return people


def read_devices(value: Value, people: Collection[str], departments: Collection[str]) -> dict[str, Device]:
    """Read `devices`, by their addresses. A name is of one device only: it stands in the records."""
    devices: dict[str, Device] = {}
    names: dict[str, int] = {}
    for key, entry in value.entries():
        fields = entry.fields(required=("name",), optional=("person", "department"))
        device = Device(
            name=fields["name"].text(),
            person=fields["person"].one_of(people, "a person"),
            department=fields["department"].one_of(departments, "a department"),
        )
        if device.name in names:
            fields["name"].report(f"{device.name!r} is another device's name, in line {names[device.name]}")
        elif device.name:
            names[device.name] = key.line
        address = key.parsed(notation.address)
        if address in devices:
            key.report(f"{address} is the address of another device, {devices[address].name!r}")
        elif address is not None:
            devices[address] = device
    return devices


def read_roles(value: Value, people: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Read `roles`: the people of each, none where it is left out."""
    fields = value.fields(optional=_ROLES, what="a role")
    return {role: tuple(fields[role].each_of(people, "a person")) for role in _ROLES}


def refuse_auditors_who_decide(
    value: Value, roles: Mapping[str, Collection[str]], departments: Mapping[str, Department]
) -> None:
    """Report an auditor who decides as well: whoever looks over what was decided has decided nothing."""
    for person in roles["auditor"]:
        others = [role for role in _ROLES if role != "auditor" and person in roles[role]]
        others += [
            f"head or delegate of {id_}"
            for id_, department in departments.items()
            if person in (department.head, *department.delegates, *_with_dates(department))
        ]
        if others:
            value.report(
                f"{person!r} is an auditor and {', '.join(others)}: auditors read, and decide nothing;"
                " leave out one"
            )


def read_schedules(entries: Entries) -> dict[str, Schedule]:
    """Read `schedules`."""
    schedules = {}
    for id_, value in entries.items():
        fields = value.fields(required=("days", "from", "to"))
        if fields["days"].is_empty:
            fields["days"].report("no day is listed")
        parts = fields["days"].items_or_self()
        days = frozenset(day for part in parts for day in part.parsed(notation.days_of_week) or ())
        starts_at = fields["from"].parsed(notation.clock_time)
        ends_at = fields["to"].parsed(notation.end_of_window)
        if starts_at is None or ends_at is None:
            continue
        if starts_at == ends_at != time(0):
            fields["to"].report('the window ends as it begins; a whole day is from "00:00" to "24:00"')
        schedules[id_] = Schedule(days, starts_at, ends_at)
    return schedules


def read_notice(value: Value) -> Notice | None:
    """Read `notice`; None where it is left out, and nobody is asked to accept one."""
    if not value.is_given:
        return None
    fields = value.fields(required=("title", "text"), optional=("law", "required_from"))
    title, law = fields["title"].text(), fields["law"].text()
    text = fields["text"].paragraphs()
    return Notice(
        version=hashlib.sha256("\0".join((title, law, text)).encode()).hexdigest()[:12],
        title=title,
        text=text,
        law=law,
        required_from=fields["required_from"].parsed(notation.date_of),
    )
