"""`towngate policy`: check a policy document, put it in force, show the one in force."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

import click
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admin.atomic_file import write_atomically
from admin.clock import utc_now
from admin.command import CommandError, Group
from admin.commands.acting import actor
from admin.commands.lists import lists_of
from admin.commands.opening import opening_lines, openings_as_json
from admin.database import Database, DatabaseError
from admin.people_file import read_people
from admin.people_import import PeopleChange, force_removal
from admin.state_folder import StateFolder
from categories.host_name import HostNameError, canonical_host
from categories.known_sites import known_sites
from categories.taxonomy import taxonomy
from policy import kept_addresses, limit_words
from policy.correction import Corrections
from policy.document import PolicyDocument, load_document
from policy.document_tests import run_tests
from policy.judging import SiteListing
from policy.opening import Openings, openings
from policy.people_list import PeopleList
from policy.problem import PolicyError, Problem
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.town_policy import Limit, Policy, Rule

_console = Console(highlight=False, soft_wrap=True)
# The admin process looks at the document twice a second.
_PATIENCE_SECONDS = 5.0

_state_option = click.option(
    "--state", type=Path, default=Path("var"), show_default=True, help="State folder."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_file_argument = click.argument("file", type=click.File("rb"))


@click.group(cls=Group)
def policy() -> None:
    """Check a policy document, put it in force, or show the one in force."""


@policy.command(epilog="Example: towngate policy check policy.yaml")
@_file_argument
@click.option(
    "--sites", type=click.File("r"), help="Host names, one a line, in place of the well-known sites."
)
@_state_option
@_json_option
def check(file: BinaryIO, sites: TextIO | None, state: Path, as_json: bool) -> None:
    """List every problem of a policy document, with its line, and run its tests.

    Then say how many well-known sites, or of those of a file, its rules would open to look into. Both by
    the category lists in force, or the starter list where there are none. Who is in people.csv of the
    state folder counts as named. Exit code 1 when there is a problem.
    """
    hosts = _hosts(sites) if sites else known_sites().hosts
    result = check_document(file.read(), StateFolder(state), hosts)
    if as_json:
        click.echo(json.dumps(result.as_json(_name(file)), ensure_ascii=False))
    else:
        _print(result, _name(file))
        if result.openings.opened:
            what = ("site", f" of {sites.name}") if sites else ("well-known site", "")
            for line in opening_lines(result.openings, result.sites, *what):
                _console.print(Text(line))
    if result.problems:
        raise click.exceptions.Exit(1)


@policy.command(epilog="Example: towngate policy publish policy.yaml --state /var/lib/towngate")
@_file_argument
@click.option("--force", metavar="FILE", help="The file's name once more, to leave out over a fifth.")
@_state_option
def publish(file: BinaryIO, force: str | None, state: Path) -> None:
    """Check a policy document and put it in force; with a problem the one in force stays.

    FILE takes the place of policy.yaml in the state folder, which is where the policy in force is
    edited. Whom it leaves out of the people loses access, passwords and open requests; one that leaves out
    over a fifth of them is not published unless it is forced.
    """
    folder = StateFolder(state)
    if not folder.root.is_dir():
        raise CommandError(f"{folder.root}: no such state folder; name it with --state")
    data = file.read()
    result = check_document(data, folder)
    _print(result, _name(file))
    if result.document is None or result.problems:
        _console.print("Not published. The policy in force stays.")
        raise click.exceptions.Exit(1)
    version = result.document.policy.version
    before = published_policy(folder)
    change = PeopleChange(before.policy.people if before else {}, result.document.policy.people)
    if change.removes_too_many and force != Path(_name(file)).name:
        name = Path(_name(file)).name
        _console.print(
            Text(
                f"{change.too_many} Not published. The policy in force stays. If it is meant: --force {name}"
            )
        )
        raise click.exceptions.Exit(1)
    try:
        asyncio.run(_write(folder, data, version, change))
    except (DatabaseError, sqlite3.Error) as error:
        raise CommandError(f"{folder.database}: {error}; nothing was published") from error
    except OSError as error:
        raise CommandError(f"{folder.policy_document}: {error.strerror}; nothing was published") from error
    _console.print(f"Written to {folder.policy_document}, policy {version}.", markup=False)
    if is_in_force(folder, version):
        _console.print(f"In force: policy {version}.")
    else:
        _console.print("It is not in force yet: the admin process takes it up when it runs.")


@policy.command(epilog="Example: towngate policy show")
@_state_option
@_json_option
def show(state: Path, as_json: bool) -> None:
    """Show the policy in force: what the proxy decides by."""
    snapshot = published_policy(StateFolder(state))
    if snapshot is None:
        raise CommandError(
            f"no policy was published in {state}; start `towngate run`, or name another --state"
        )
    if as_json:
        values = TypeAdapter(Policy).dump_python(snapshot.policy, mode="json")
        head = {"sequence": snapshot.sequence, "published_at": snapshot.published_at.isoformat()}
        click.echo(json.dumps(head | values, ensure_ascii=False))
        return
    in_force = snapshot.policy
    _console.print(f"{in_force.town.name}: policy {in_force.version}", style="bold", markup=False)
    _console.print(f"published {snapshot.published_at:%Y-%m-%d %H:%M:%S} UTC, number {snapshot.sequence}")
    _console.print(
        f"{len(in_force.departments)} departments, {len(in_force.people)} people,"
        f" {len(in_force.devices)} devices, {len(snapshot.exemptions)} exemptions"
    )
    _console.print()
    table = Table.grid(padding=(0, 2))
    for rule in in_force.rules:
        table.add_row(Text(rule.id, no_wrap=True), rule.action.value, Text(_conditions(rule)))
    table.add_row("default", in_force.default.value, "whatever no rule matches")
    for limit in in_force.limits:
        table.add_row(Text(limit.id, no_wrap=True), limit.action.value, Text(_conditions(limit)))
    _console.print(table)


async def _write(folder: StateFolder, data: bytes, version: str, change: PeopleChange) -> None:
    if not change.removes_too_many:
        write_atomically(folder.policy_document, data)
        return
    async with Database.open(folder.database, must_exist=True) as db, db.transaction() as t:
        await force_removal(t, version, change, actor=actor(), at=utc_now())
        write_atomically(folder.policy_document, data)


def published_policy(folder: StateFolder) -> PolicySnapshot | None:
    """Return what the proxy decides by; None when nothing was ever published."""
    try:
        return PolicySnapshot.from_bytes(folder.policy_snapshot.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"{folder.policy_snapshot}: {error.strerror}") from error
    except SnapshotError as error:
        raise CommandError(f"{folder.policy_snapshot}: {error}") from error


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check; `document` is None when it could not even be read.

    `openings` are of so many `sites`.
    """

    document: PolicyDocument | None
    problems: tuple[Problem, ...]
    test_count: int = 0
    tested_with: str = ""
    sites: int = 0
    openings: Openings = field(default_factory=Openings)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self.document.warnings if self.document else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is right, and yet better known."""
        if self.document is None:
            return ()
        policy = self.document.policy
        notes = (*limit_words.where_they_cannot_act(policy), *kept_addresses.what_is_kept(policy))
        if not policy.names_newly_seen:
            return notes
        days = policy.newly_seen_days
        return (
            f"nothing is newly seen before the town's own first visit is {_counted(days, 'day')} old,"
            " nor in the policy's tests",
            *notes,
        )

    def as_json(self, name: str) -> dict[str, object]:
        return {
            "file": name,
            "version": self.document.policy.version if self.document else None,
            "problems": [asdict(problem) for problem in self.problems],
            "warnings": [asdict(warning) for warning in self.warnings],
            "notes": list(self.notes),
            "tests": self.test_count,
            "tested_with": self.tested_with or None,
            "sites": self.sites,
            **openings_as_json(self.openings),
        }


def check_document(
    data: bytes, folder: StateFolder, hosts: Sequence[str] = (), listed: PeopleList | None = None
) -> Checked:
    """Check a document, with the people that are `listed`, else with those of the folder's people.csv.

    Say too which of the canonical hosts it would open.
    """
    try:
        document = load_document(_decoded(data), taxonomy(), listed or read_people(folder.people_list))
    except PolicyError as error:
        return Checked(None, error.problems)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    opens = any(rule.opens_sites for rule in document.policy.rules)
    if not document.tests and not (opens and hosts):
        return Checked(document, (), sites=len(hosts))
    with lists_of(folder) as (lists, name):
        results = run_tests(document, lists)
        listing = SiteListing(lists, Corrections(), document.policy)
        found = openings(document.policy, listing, hosts, utc_now())
    failed = tuple(result.problem for result in results if result.problem is not None)
    return Checked(document, failed, len(results), name, len(hosts), found)


def _hosts(file: TextIO) -> tuple[str, ...]:
    """Read host names, one a line; empty lines and those that begin with # are passed over."""
    hosts = []
    try:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                try:
                    hosts.append(canonical_host(text))
                except HostNameError as error:
                    raise CommandError(f"{file.name}: line {number}: {error}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file.name}: this is not UTF-8 text") from error
    return tuple(dict.fromkeys(hosts))


def _name(file: BinaryIO) -> str:
    return getattr(file, "name", "<stdin>")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(line, 1, "", "this is not UTF-8 text; save the file as UTF-8")
        raise PolicyError((problem,)) from error


def _print(result: Checked, name: str) -> None:
    print_places(name, result.problems, "")
    print_places(name, result.warnings, "warning: ")
    for note in result.notes:
        _console.print(Text(f"{name}: note: {note}"))
    if result.problems:
        _console.print(f"{_counted(len(result.problems), 'problem')}.")
    elif result.test_count:
        _console.print(
            f"No problems; {_counted(result.test_count, 'test')} passed with {result.tested_with}."
        )
    else:
        _console.print("No problems; the policy has no tests.")


def print_places(name: str, problems: Iterable[Problem], kind: str) -> None:
    for problem in problems:
        _console.print(Text(f"{problem.file or name}: {kind}{problem}"))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def is_in_force(folder: StateFolder, version: str) -> bool:
    """Wait for the admin process to take the document up, as long as it would need."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        snapshot = published_policy(folder)
        if snapshot is not None and snapshot.policy.version == version:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def _conditions(rule: Rule | Limit) -> str:
    known = taxonomy()
    group = next((id_ for id_ in known.groups if known.members(id_) == rule.categories), None)
    parts = [f"group {group}" if group else ", ".join(sorted(rule.categories)) or "any site"]
    if isinstance(rule, Limit):
        parts.insert(0, limit_words.over(rule))
        parts += [f"at {', '.join(sorted(rule.hosts))}"] if rule.hosts else []
    elif rule.file_types:
        parts.append(f"downloads of {', '.join(sorted(rule.file_types))}")
    if rule.departments or rule.people:
        parts.append("for " + ", ".join(sorted(rule.departments) + sorted(rule.people)))
    if rule.when:
        parts.append(f"in {rule.when}")
    if rule.approval:
        parts.append("may be allowed by " + ", then ".join(role.value for role in rule.approval))
    return "; ".join(parts)
