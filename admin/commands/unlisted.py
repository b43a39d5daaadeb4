"""`towngate categories unlisted`: which sites people use that no list knows."""

import asyncio
import json
import sqlite3
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.lists import lists_of
from admin.state_folder import StateFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admin.unlisted_sites import UnlistedSite

_SHOWN_HOSTS = 4


@click.command("unlisted", epilog="Example: towngate categories unlisted --days 7 --limit 20")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How far back.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most.")
@click.option(
    "--well-known",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of well-known sites, the most visited first, of which ten thousand count.",
)
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def unlisted_command(days: int, limit: int, well_known: Path | None, state: Path, *, as_json: bool) -> None:
    """Show the sites that people visited and no list knows, most visits first.

    Where a name can be taken for that of a well-known site, it is said: of those that ship with
    Towngate, and of a file such as Tranco's. People are a count, and under 3 of them are "under 3".
    `towngate categories correct` lists one.
    """
    # A proxy host, where names are looked up too, has no database driver.
    from admin.database import Database, DatabaseError  # noqa: PLC0415
    from admin.unlisted_sites import unlisted_sites  # noqa: PLC0415

    # Its table of letters takes a while to read, and no other command needs it.
    from categories.look_alikes import WellKnownNames, ranked_names, shipped_names  # noqa: PLC0415

    folder = StateFolder(state)

    async def ask() -> "Sequence[UnlistedSite]":
        async with Database.open(folder.database, must_exist=True) as db:
            return await unlisted_sites(db, lists, utc_now() - timedelta(days=days), known, limit)

    known = WellKnownNames([*(ranked_names(well_known) if well_known else ()), *shipped_names()])
    try:
        with lists_of(folder) as (lists, _):
            found = asyncio.run(ask())
    except DatabaseError as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}") from error
    if as_json:
        for one in found:
            values = asdict(one) | {"people": one.said_people, "first_seen_at": one.first_seen_at.isoformat()}
            click.echo(json.dumps(values))
        return
    for one in found:
        click.echo(_sentence(one))


def _sentence(one: "UnlistedSite") -> str:
    listed = f"; listed: {_some(one.listed_hosts)}" if one.listed_hosts else ""
    alike = f"; looks like {one.looks_like}" if one.looks_like else ""
    visits = "1 visit" if one.visits == 1 else f"{one.visits:,} visits"
    return (
        f"{one.site}: {visits}, {one.said_people} people, "
        f"first seen {one.first_seen_at:%Y-%m-%d}; {_some(one.hosts)}{listed}{alike}"
    )


def _some(hosts: "Sequence[str]") -> str:
    more = len(hosts) - _SHOWN_HOSTS
    return ", ".join(hosts[:_SHOWN_HOSTS]) + (f" and {more} more" if more > 0 else "")
