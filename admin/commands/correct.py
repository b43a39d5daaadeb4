"""`towngate categories correct`: what the town lists a site as, in place of every list."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.acting import actor
from admin.state_folder import StateFolder
from categories.host_name import HostNameError, canonical_host
from categories.taxonomy import taxonomy

if TYPE_CHECKING:
    from admin.corrections import MadeCorrection


@click.command(
    epilog='Example: towngate categories correct cardroom.example reference --because "A museum of cards"'
)
@click.argument("site")
@click.argument("categories", nargs=-1, metavar="[CATEGORY]...")
@click.option("--nothing", is_flag=True, help="List it as nothing at all.")
@click.option("--undo", "undoes", is_flag=True, help="Let the lists say again what it is.")
@click.option("--because", "why", required=True, metavar="TEXT", help="Why; stands in the audit log.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def correct(
    site: str,
    categories: Sequence[str],
    *,
    nothing: bool,
    undoes: bool,
    why: str,
    state: Path,
    as_json: bool,
) -> None:
    """List SITE and its subdomains as these categories and as nothing else, for everyone.

    In force within a second of a running admin. A site has one correction; a new one takes its
    place, --undo ends it, and all of them are kept.
    """
    if bool(categories) + nothing + undoes != 1:
        raise CommandError("give categories, or --nothing, or --undo")
    try:
        host = canonical_host(site)
    except HostNameError as error:
        raise CommandError(str(error)) from error
    made = asyncio.run(_correct(StateFolder(state), host, categories, why, undoes=undoes))
    if as_json:
        answer = {"site": made.site, "categories": made.categories, "is_in_force": not undoes}
        click.echo(json.dumps(answer))
    elif undoes:
        click.echo(f"{made.site} is what the lists say again.")
    else:
        labels = ", ".join(taxonomy().categories[category].label for category in made.categories)
        click.echo(f"{made.site} is listed as {labels or 'nothing'} now.")


async def _correct(
    folder: StateFolder, host: str, categories: Sequence[str], why: str, *, undoes: bool
) -> "MadeCorrection":
    """Correct a site, or undo its correction; return the one that began or ended."""
    # A proxy host, where names are looked up too, has no database driver.
    from admin import corrections  # noqa: PLC0415
    from admin.asking import InvalidRequestError, site_of  # noqa: PLC0415
    from admin.database import Database, DatabaseError  # noqa: PLC0415

    now, by = utc_now(), actor()
    try:
        site = site_of(host)
    except InvalidRequestError as error:
        raise CommandError(f"{host} is not one site; nothing was corrected") from error
    try:
        async with Database.open(folder.database, must_exist=True) as db:
            present = await corrections.in_force(db, site)
            seen = present.id if present else None
            if undoes:
                return await corrections.undo(db, site, why=why, actor=by, at=now, seen=seen)
            return await corrections.correct(db, site, categories, why=why, actor=by, at=now, seen=seen)
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; nothing was corrected") from error
    except (DatabaseError, InvalidRequestError, corrections.CorrectedMeanwhileError) as error:
        raise CommandError(str(error)) from error
