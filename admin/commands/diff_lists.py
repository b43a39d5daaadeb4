"""`towngate categories diff`: what an update would change, before it changes anything."""

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.opening import ListedPages, listed_pages
from admin.commands.policy import published_policy
from admin.commands.update_lists import (
    SourceType,
    list_settings,
    print_sources,
    shown_progress,
    sites_known_to,
    update_as_json,
)
from admin.state_folder import Side, StateFolder, StateFolderError
from categories.comparing import compare
from categories.sources import Source
from categories.taxonomy import taxonomy
from policy.decision import Verdict

if TYPE_CHECKING:
    from admin.list_effects import Effect
    from categories.trying import Trial

_console = Console(highlight=False, soft_wrap=True)


@click.command("diff", epilog="Example: towngate categories diff --source ut1=/srv/lists/ut1.tar.gz")
@click.option("--source", "sources", type=SourceType(), multiple=True, help="As of update. May be repeated.")
@click.option("--remove", multiple=True, metavar="NAME", help="Drop a list. May be repeated.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def diff_command(sources: Sequence[Source], remove: Sequence[str], state: Path, *, as_json: bool) -> None:
    """Say what the same update would change, and change nothing.

    How many entries come and go in each category; and which hosts that people visited in the last 30
    days would be decided otherwise, for which departments: by host, as the policy in force decides
    at the time of day of their last visit. It takes as long as an update. The exit code is 1 when
    a list would be refused.
    """
    # Fetching needs an HTTP client, which a proxy host, where names are looked up too, has not.
    from categories.trying import trial_of  # noqa: PLC0415
    from categories.updating import UpdateError, UpdateReport, update  # noqa: PLC0415

    folder = StateFolder(state)
    settings = list_settings(folder)
    with shown_progress(is_shown=not as_json) as watch:

        def tried(kept: Path, published: Path) -> UpdateReport:
            return update(
                sources,
                kept,
                published,
                datetime.now(UTC),
                remove,
                configured=settings.sources,
                known=sites_known_to(folder, settings),
                watch=watch,
            )

        try:
            folder.create(Side.ADMIN)
            with trial_of(tried, folder.category_sources, folder.categories) as trial:
                effects = _effects(folder, trial)
                pages = listed_pages(published_policy(folder), trial.after)
                (_write_json if as_json else _print)(trial, effects, pages)
        except (StateFolderError, UpdateError) as error:
            raise CommandError(str(error)) from error
    if any(source.refused for source in trial.report.sources):
        raise click.exceptions.Exit(1)


def _effects(folder: StateFolder, trial: "Trial") -> "Sequence[Effect] | None":
    """Return what changes for visits; None where none are known, or no policy is published."""
    # A proxy host has no database driver, and no lists to fetch either.
    from admin.database import Database, DatabaseError  # noqa: PLC0415
    from admin.list_effects import effects_of  # noqa: PLC0415

    published, before = published_policy(folder), trial.before
    if published is None or before is None or not folder.database.exists():
        return None

    async def ask() -> "Sequence[Effect]":
        async with Database.open(folder.database, must_exist=True) as db:
            return await effects_of(db, published, before, trial.after, utc_now())

    try:
        return asyncio.run(ask())
    except (sqlite3.Error, DatabaseError) as error:
        raise CommandError(f"{folder.database}: {error}; nothing was changed") from error


def _write_json(trial: "Trial", effects: "Sequence[Effect] | None", pages: ListedPages | None) -> None:
    changes = [
        {"category": category, "source": source, **asdict(change)}
        for (category, source), change in compare(trial.before, trial.after).items()
        if change.added or change.removed
    ]
    visited = None if effects is None else [asdict(effect) for effect in effects]
    answer = update_as_json(trial.report, pages) | {"changes": changes, "visited": visited}
    click.echo(json.dumps(answer, ensure_ascii=False))


def _print(trial: "Trial", effects: "Sequence[Effect] | None", pages: ListedPages | None) -> None:
    print_sources(trial.report, pages)
    if trial.after.version == trial.report.former:
        _console.print("\nNothing would change.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("Category")
    table.add_column("Source")
    for heading in ("More", "Fewer"):
        table.add_column(heading, justify="right")
    added = removed = 0
    for (category, source), change in compare(trial.before, trial.after).items():
        if change.added or change.removed:
            table.add_row(category, source, f"{change.added:,}", f"{change.removed:,}")
            added, removed = added + change.added, removed + change.removed
    _console.print()
    _console.print(table)
    _console.print(f"\n{added:,} names more, {removed:,} fewer.", end=" ")
    if effects is None:
        _console.print("No visits are known.")
        return
    hosts = len({effect.host for effect in effects})
    _console.print(f"{hosts} {'site' if hosts == 1 else 'sites'} visited in 30 days would change.")
    for effect in effects:
        _console.print("  " + _sentence(effect), markup=False)


def _sentence(effect: "Effect") -> str:
    whose = ", ".join(name or "no department" for name in effect.departments)
    return (
        f"{effect.host}: {_came_to(effect.before, is_opened=effect.is_opened_before)} -> "
        f"{_came_to(effect.after, is_opened=effect.is_opened_after)} for {whose} "
        f"({effect.visits:,} visits); "
        f"{_labels(effect.categories_before)} -> {_labels(effect.categories_after)}"
    )


def _came_to(verdict: Verdict, *, is_opened: bool) -> str:
    return f"{verdict.value}, checked inside" if is_opened else verdict.value


def _labels(categories: Iterable[str]) -> str:
    return ", ".join(taxonomy().categories[category].label for category in categories) or "not listed"
