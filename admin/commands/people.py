"""`towngate people`: who is in the town's service.

It writes to the database. A running admin publishes that within half a second; where none runs, the
command publishes by itself.
"""

import asyncio
import json
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from admin import closed_people
from admin.asking import InvalidRequestError
from admin.clock import utc_now
from admin.closed_people import AlreadyClosedError, Ended, LastOfItError, UnknownPersonError
from admin.command import CommandError, Group
from admin.commands.acting import actor
from admin.commands.people_import import import_
from admin.commands.policy import published_policy
from admin.commands.telling_proxy import Told, tell_proxy
from admin.database import Database, DatabaseError
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot

_state = click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
_because = click.option("--because", default="", metavar="TEXT", help="Why; stands in the audit log.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group(cls=Group)
def people() -> None:
    """Take people from a file, close who leaves, and open those again who come back."""


people.add_command(import_)


@people.command(epilog='Example: towngate people close clerk --because "Retired."')
@click.argument("person")
@_because
@_state
@_json
def close(person: str, because: str, state: Path, *, as_json: bool) -> None:
    """End all that PERSON, an id of the policy, has: sign-ins, passwords, open requests and access.

    What waits for them goes to their delegate, else up. Exit code 1 when they are closed already.
    """
    folder = StateFolder(state)
    snapshot = _snapshot(folder)

    async def move() -> tuple[Ended, Told]:
        async with Database.open(folder.database, must_exist=True) as db:
            ended = await closed_people.close(
                db, snapshot.policy, person, why=because, actor=actor(), at=utc_now()
            )
            return ended, await _told(folder, db, snapshot, person, is_there=False)

    ended, told = _run(folder, move())
    if as_json:
        lists = {name: list(getattr(ended, name)) for name in ("withdrawn", "stopped", "passed_on")}
        click.echo(json.dumps({"person": person, **lists, "problem": told.problem}))
    else:
        click.echo(f"{person} is closed. {told.words}")
        for what, numbers in (
            ("Withdrawn", ended.withdrawn),
            ("Access stopped", ended.stopped),
            ("For others to decide now", ended.passed_on),
        ):
            if numbers:
                click.echo(f"{what}: {', '.join(numbers)}.")
    if told.problem is not None:
        raise click.exceptions.Exit(2)


@people.command(epilog='Example: towngate people reopen clerk --because "Back from leave."')
@click.argument("person")
@_because
@_state
@_json
def reopen(person: str, because: str, state: Path, *, as_json: bool) -> None:
    """Let PERSON, who was closed, be who the policy says again. They have no password."""
    folder = StateFolder(state)
    snapshot = _snapshot(folder)

    async def move() -> Told:
        async with Database.open(folder.database, must_exist=True) as db:
            await closed_people.reopen(db, person, why=because, actor=actor(), at=utc_now())
            return await _told(folder, db, snapshot, person, is_there=True)

    told = _run(folder, move())
    if as_json:
        click.echo(json.dumps({"person": person, "problem": told.problem}))
    else:
        click.echo(f"{person} is open again. {told.words}")
    if told.problem is not None:
        raise click.exceptions.Exit(2)


async def _told(
    folder: StateFolder, db: Database, before: PolicySnapshot, person: str, *, is_there: bool
) -> Told:
    async def is_published() -> bool:
        now = await asyncio.to_thread(published_policy, folder)
        return (
            now is not None and now.sequence > before.sequence and (person in now.policy.people) is is_there
        )

    return await tell_proxy(folder, db, before, is_published)


def _snapshot(folder: StateFolder) -> PolicySnapshot:
    snapshot = published_policy(folder)
    if snapshot is None:
        raise CommandError(
            f"{folder.root}: no policy says who there is; start 'towngate run', or give --state"
        )
    return snapshot


def _run[R](folder: StateFolder, work: Coroutine[Any, Any, R]) -> R:
    try:
        return asyncio.run(work)
    except AlreadyClosedError as error:
        click.echo(f"{error}. Nothing changed.")
        raise click.exceptions.Exit(1) from error
    except InvalidRequestError as error:
        raise CommandError(f"--because: {error}") from error
    except (DatabaseError, UnknownPersonError, LastOfItError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; nothing changed") from error
