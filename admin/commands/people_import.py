"""`towngate people import`: another list of people, its problems and effects shown before it is applied."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import click

from admin.clock import utc_now
from admin.closed_people import Ended
from admin.command import CommandError
from admin.commands.acting import actor
from admin.commands.policy import check_document, is_in_force, print_places, published_policy
from admin.database import Database, DatabaseError
from admin.people_file import people_in
from admin.people_import import PeopleChange, apply, change_to, preview, refuse, write_list
from admin.state_folder import StateFolder
from policy.people_list import PeopleList, as_csv, read_people_csv
from policy.problem import PolicyError
from policy.town_policy import Person, PersonKind, Policy

_SHOWN = 50


@click.command("import", epilog="Example: towngate people import staff.csv --state /var/lib/towngate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "is_applied", is_flag=True, help="Put it in force; else only say what would change.")
@click.option("--force", metavar="FILE", help="The file's name once more, to remove over a fifth.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def import_(file: Path, *, is_applied: bool, force: str | None, state: Path, as_json: bool) -> None:
    """Take the people in FILE, CSV or YAML, in place of those in people.csv beside the policy.

    CSV has the columns id, name, mail, department, kind; YAML is as in policy.yaml. Who is removed loses
    access, passwords and open requests at once. Exit code 1 when FILE has problems, or would remove over a
    fifth of the people and is not forced: then nothing is applied.
    """
    folder = StateFolder(state)
    listed, document_policy = _checked(file, folder)
    change = change_to(listed, folder, document_policy)
    stops = change.removes_too_many and force != file.name
    try:
        ended = asyncio.run(_ended(folder, change))
        if as_json:
            click.echo(
                json.dumps(_as_json(change, ended, is_applied=is_applied and not stops), ensure_ascii=False)
            )
        else:
            _say(change, ended, file.name)
        if stops:
            if is_applied:
                asyncio.run(_refuse(folder, change))
            click.echo(
                f"{change.too_many} Nothing was applied. If it is meant: --force {file.name}",
                err=True,
            )
            raise click.exceptions.Exit(1)
        if not is_applied:
            if not as_json:
                click.echo("Nothing was applied. Apply it with --apply.")
            return
        version = _version(folder, change)
        asyncio.run(_apply(folder, change, version))
    except DatabaseError as error:
        raise CommandError(f"{error}; nothing was applied") from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; nothing was applied") from error
    except OSError as error:
        raise CommandError(f"{folder.people_list}: {error.strerror}; nothing was applied") from error
    if not as_json:
        is_there = is_in_force(folder, version)
        said = "In force." if is_there else "Not in force yet: the admin process takes it up when it runs."
        click.echo(f"Written to {folder.people_list}. {said}")


def _checked(file: Path, folder: StateFolder) -> tuple[PeopleList, Policy]:
    """Return the list, and the policy with it in force. Exits with every problem."""
    try:
        listed = people_in(file.read_bytes(), file.name)
        document = folder.policy_document.read_bytes()
    except PolicyError as error:
        print_places(file.name, error.problems, "")
        raise click.exceptions.Exit(1) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; nothing was applied") from error
    result = check_document(document, folder, listed=listed)
    print_places(folder.policy_document.name, result.problems, "")
    print_places(file.name, [warning for warning in result.warnings if warning.file], "note: ")
    if result.document is None or result.problems:
        click.echo("Nothing was applied.")
        raise click.exceptions.Exit(1)
    return listed, result.document.policy


def _in_force(folder: StateFolder) -> Policy | None:
    snapshot = published_policy(folder)
    return snapshot.policy if snapshot else None


async def _ended(folder: StateFolder, change: PeopleChange) -> Mapping[str, Ended]:
    policy = _in_force(folder)
    if policy is None or not change.removed:
        return {}
    async with Database.open(folder.database, must_exist=True) as db:
        return await preview(db, policy, change, utc_now())


def _version(folder: StateFolder, change: PeopleChange) -> str:
    """Return which version the policy is of with the list that will be written. Raises CommandError."""
    listed = read_people_csv(as_csv(change.after))
    result = check_document(folder.policy_document.read_bytes(), folder, listed=listed)
    if result.document is None:
        raise CommandError(
            f"{folder.policy_document}: was changed meanwhile and is bad now; nothing was applied"
        )
    return result.document.policy.version


async def _apply(folder: StateFolder, change: PeopleChange, version: str) -> None:
    def write() -> None:
        write_list(folder, change.after)

    policy = _in_force(folder)
    if policy is None:
        write()
        return
    async with Database.open(folder.database, must_exist=True) as db:
        await apply(db, policy, change, version, actor=actor(), at=utc_now(), write=write)


async def _refuse(folder: StateFolder, change: PeopleChange) -> None:
    if _in_force(folder) is None:
        return  # there is no town yet whose records it would be in
    async with Database.open(folder.database, must_exist=True) as db:
        await refuse(db, change.too_many, actor=actor(), at=utc_now())


def _say(change: PeopleChange, ended: Mapping[str, Ended], name: str) -> None:
    click.echo(
        f"{name}: {len(change.added):,} added, {len(change.changed):,} changed, {len(change.removed):,}"
        f" removed, {len(change.after):,} people."
    )
    _say_each("+", [f"{id_}: {_person(change.after[id_])}" for id_ in change.added])
    _say_each("~", [f"{id_}: {_difference(change.before[id_], change.after[id_])}" for id_ in change.changed])
    _say_each(
        "-", [f"{id_}: {_person(change.before[id_])}{_effects(ended.get(id_))}" for id_ in change.removed]
    )


def _say_each(sign: str, lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        click.echo(f"{sign} {line}")
    if len(lines) > _SHOWN:
        click.echo(f"{sign} and {len(lines) - _SHOWN:,} more; --json has them all")


def _person(person: Person) -> str:
    kind = person.kind if person.kind is not PersonKind.EMPLOYEE else ""
    return ", ".join(part for part in (person.name, person.mail, person.department, kind) if part)


def _difference(before: Person, after: Person) -> str:
    parts = (
        (field.name, getattr(before, field.name) or "none", getattr(after, field.name) or "none")
        for field in fields(Person)
    )
    return "; ".join(f"{name} {was} -> {now}" for name, was, now in parts if was != now)


def _effects(ended: Ended | None) -> str:
    if ended is None:
        return ""
    parts = (
        ("loses access", ended.stopped),
        ("withdrawn", ended.withdrawn),
        ("for others to decide", ended.passed_on),
    )
    return "".join(f"; {what}: {', '.join(numbers)}" for what, numbers in parts if numbers)


def _as_json(change: PeopleChange, ended: Mapping[str, Ended], *, is_applied: bool) -> dict[str, object]:
    def effects(id_: str) -> dict[str, list[str]]:
        found = ended.get(id_)
        return {name: list(getattr(found, name, ())) for name in ("stopped", "withdrawn", "passed_on")}

    return {
        "people": len(change.after),
        "added": change.added,
        "changed": change.changed,
        "removed": {id_: effects(id_) for id_ in change.removed},
        "applied": is_applied,
    }
