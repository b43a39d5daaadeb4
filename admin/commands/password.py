"""`towngate password`: passwords of the admin site and the proxy."""

import asyncio
import difflib
import sqlite3
import sys
from pathlib import Path

import click

from admin import accounts, closed_people
from admin.accounts import AccountKind, PasswordError
from admin.clock import utc_now
from admin.command import CommandError, Group
from admin.commands.acting import actor
from admin.commands.policy import published_policy
from admin.database import Database, DatabaseError
from admin.people_file import read_people
from admin.state_folder import StateFolder
from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.problem import PolicyError


@click.group(cls=Group)
def password() -> None:
    """Set people's passwords."""


@password.command("set", epilog="Example: towngate password set clerk --proxy")
@click.argument("person")
@click.option("--proxy", is_flag=True, help="The password for the proxy, not the one for the admin site.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from standard input, not from a prompt.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
def set_(person: str, *, proxy: bool, from_stdin: bool, state: Path) -> None:
    """Set the password of PERSON, an id of policy.yaml.

    A running admin takes it over within a second. A new password for the admin site signs the
    person out everywhere.
    """
    folder = StateFolder(state)
    people = _people(folder)
    if person not in people:
        near = difflib.get_close_matches(person.lower(), people, n=1)
        nearest = f" (nearest: {near[0]!r})" if near else ""
        raise CommandError(f"{person!r} is not a person of the policy{nearest}")
    if asyncio.run(_is_closed(folder, person)):
        raise CommandError(f"{person} is closed and has no password; 'towngate people reopen {person}' first")
    text = _password(from_stdin=from_stdin)
    kind: AccountKind = "proxy" if proxy else "admin"
    try:
        asyncio.run(_set(folder, person, text, kind))
    except (DatabaseError, PasswordError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; the password is as it was") from error
    click.echo(f"The password of {person} for the {'proxy' if proxy else 'admin site'} is set.")


async def _is_closed(folder: StateFolder, person: str) -> bool:
    try:
        async with Database.open(folder.database, must_exist=True) as db:
            return person in await closed_people.closed(db)
    except DatabaseError as error:
        raise CommandError(str(error)) from error


async def _set(folder: StateFolder, person: str, text: str, kind: AccountKind) -> None:
    async with Database.open(folder.database, must_exist=True) as db:
        await accounts.set_password(db, person, text, kind, actor=actor(), now=utc_now())


def _people(folder: StateFolder) -> set[str]:
    """Return the people of the policy in force, and those that policy.yaml is about to bring in."""
    published = published_policy(folder)
    people = set(published.policy.people) if published else set()
    try:
        document = load_document(
            folder.policy_document.read_text(encoding="utf-8"), taxonomy(), read_people(folder.people_list)
        )
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        if published is None:
            raise CommandError(
                f"{folder.root}: no policy says who there is; start 'towngate run', or give --state"
            ) from error
        return people
    return people | set(document.policy.people)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return prompted
