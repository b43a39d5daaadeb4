"""`towngate audit`: the log of what people decided."""

import asyncio
import json
import sqlite3
from pathlib import Path

import click

from admin import audit as audit_log
from admin.audit import Verification
from admin.command import CommandError
from admin.database import Database, DatabaseError
from admin.state_folder import StateFolder


@click.group()
def audit() -> None:
    """Check the log of what people decided."""


@audit.command(epilog="Example: towngate audit verify --state /var/lib/towngate")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(*, state: Path, as_json: bool) -> None:
    """Check that no event of the audit log was edited, removed from its middle or moved.

    Exit code 1 when one was. A tail that was cut off, and a chain that was made anew with every
    digest, cannot be seen from the database alone.
    """
    folder = StateFolder(state)
    try:
        found = asyncio.run(_verify(folder))
    except DatabaseError as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}") from error
    if as_json:
        click.echo(
            json.dumps({"events": found.events, "whole": found.is_whole, "broken_at": found.broken_at})
        )
    elif found.is_whole:
        click.echo(f"{found.events:,} events, each with the digest that it was recorded with.")
    else:
        click.echo(
            f"{folder.database}: event {found.broken_at} does not fit the one before it: it was changed, or"
            " what was before it was changed or removed. Compare with a backup."
        )
    if not found.is_whole:
        raise click.exceptions.Exit(1)


async def _verify(folder: StateFolder) -> Verification:
    async with Database.open(folder.database, must_exist=True) as db:
        return await audit_log.verify(db)
