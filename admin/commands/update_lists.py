"""`towngate categories update`: fetch the lists and put them into force."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from admin.command import CommandError
from admin.commands.opening import ListedPages, listed_pages
from admin.commands.policy import published_policy
from admin.commands.recording import put_on_record
from admin.state_folder import Side, StateFolder, StateFolderError
from categories.known_sites import KnownSites, known_sites
from categories.publishing import CurrentSnapshot
from categories.sources import STARTER, Source, is_url
from categories.taxonomy import TOWN_LIST, taxonomy
from policy.problem import PolicyError

if TYPE_CHECKING:
    from admin.list_settings import ListSettings
    from categories.updating import SourceReport, UpdateReport, Watch

_SHOWN_PROBLEMS = 3
_console = Console(highlight=False, soft_wrap=True)


class SourceType(click.ParamType[Source]):
    """NAME=PATH_OR_URL or NAME:CATEGORY=PATH_OR_URL."""

    name = "NAME=PATH_OR_URL"

    def convert(
        self, value: str | Source, param: click.Parameter | None, ctx: click.Context | None
    ) -> Source:
        if isinstance(value, Source):
            return value
        names, _, location = value.partition("=")
        name, _, category = names.partition(":")
        if not location:
            self.fail(f"{value!r}: write NAME=PATH_OR_URL, like ut1=https://lists.example/ut1.tar.gz")
        if name == STARTER:
            self.fail(f"{STARTER!r} is the list that ships with Towngate; choose another name")
        if category and category not in taxonomy().listable:
            nearest = taxonomy().nearest(category)
            hint = f" (nearest: {nearest!r})" if nearest else ""
            self.fail(f"{value!r}: {category!r} is not a category{hint}")
        try:
            where = location if is_url(location) else str(Path(location).absolute())
            return Source(name, where, category or None)
        except ValueError as error:
            self.fail(str(error))


@click.command(
    "update",
    epilog="Example: towngate categories update --source ut1=https://lists.example/ut1.tar.gz "
    "--source ads:advertising=/srv/lists/hosts.txt",
)
@click.option(
    "--source",
    "sources",
    type=SourceType(),
    multiple=True,
    help="A list to fetch: a folder or archive in UT1's layout (CATEGORY/domains, CATEGORY/urls), a hosts "
    "file, AdBlock rules, a plain list, as a path or URL. NAME:CATEGORY says what is in a plain list whose "
    "name does not. May be repeated.",
)
@click.option("--remove", multiple=True, metavar="NAME", help="Drop a list. May be repeated.")
@click.option(
    "--force",
    multiple=True,
    metavar="NAME",
    help="Use this list's edition in spite of what the gate doubts. May be repeated; needs --because.",
)
@click.option("--because", default="", metavar="TEXT", help="Why; stands in the audit log.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def update_command(
    sources: Sequence[Source],
    remove: Sequence[str],
    force: Sequence[str],
    because: str,
    state: Path,
    *,
    as_json: bool,
) -> None:
    """Fetch lists and put them into force; without --source, those of settings.yaml and all others known.

    Lists that are not named stay in force as they are. A list that cannot be right (a web page, cut,
    empty, half its former size, one that calls google.com phishing) is refused, its last good
    entries stay in force, and the exit code is 1.
    """
    # Fetching needs an HTTP client, which a proxy host, where names are looked up too, has not.
    from categories.updating import Force, UpdateError, update  # noqa: PLC0415

    if force and not because.strip():
        raise CommandError("forcing a list is put on record: add --because TEXT")
    folder = StateFolder(state)
    try:
        folder.create(Side.ADMIN)
        settings = list_settings(folder)
        named_there = [source.name for source in settings.sources if source.name in remove]
        if named_there:
            raise CommandError(f"{named_there[0]!r} is a source of settings.yaml; take it out there first")
        with shown_progress(is_shown=not as_json) as watch:
            report = update(
                sources,
                folder.category_sources,
                folder.categories,
                datetime.now(UTC),
                remove,
                configured=settings.sources,
                known=sites_known_to(folder, settings),
                force=Force(force, lambda name, doubts: _record_forced(folder, name, doubts, because)),
                watch=watch,
            )
    except (StateFolderError, UpdateError) as error:
        raise CommandError(str(error)) from error
    pages = listed_pages(published_policy(folder), CurrentSnapshot(folder.categories).snapshot)
    if as_json:
        click.echo(json.dumps(update_as_json(report, pages), ensure_ascii=False))
    else:
        print_sources(report, pages)
        was = ", as before" if report.version == report.former else " is in force"
        _console.print(f"Snapshot {report.version}{was}.")
        if report.is_held:
            _console.print(
                "It was gone back to: what was fetched comes into force after "
                "'towngate categories rollback --end --because TEXT'."
            )
    if any(source.refused for source in report.sources):
        raise click.exceptions.Exit(1)


def list_settings(folder: StateFolder) -> "ListSettings":
    """Return what settings.yaml says of lists; with problems in it, nothing, which is said."""
    # Fetching again: the settings of a webhook are judged as its addresses are.
    from admin.list_settings import ListSettings  # noqa: PLC0415
    from admin.settings import read_settings  # noqa: PLC0415

    path = folder.settings_document
    try:
        return read_settings(path.read_text(encoding="utf-8"), folder.root).lists
    except FileNotFoundError:
        return ListSettings()
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        first = str(error).partition("\n")[0]
        click.echo(f"{path.name}: {first}; only lists that are known already are updated", err=True)
        return ListSettings()


def sites_known_to(folder: StateFolder, settings: "ListSettings") -> KnownSites:
    """Return what the gate holds lists to: what everybody knows, and the town's settings and policy."""
    published = published_policy(folder)
    return known_sites().adding(
        harmless=published.policy.essentials if published else frozenset(),
        own=settings.never_listed,
        canaries=settings.canaries,
    )


def _record_forced(folder: StateFolder, name: str, doubts: Sequence[str], because: str) -> None:
    put_on_record(folder, "lists.forced", name, doubts=list(doubts), why=because.strip())


@contextmanager
def shown_progress(*, is_shown: bool) -> Iterator["Watch | None"]:
    """Show on a terminal how far an update is, each step in a line of its own."""
    if not (is_shown and _console.is_terminal):
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[size]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console) as progress:
        steps: dict[str, TaskID] = {}

        def end_steps() -> None:
            for step in steps.values():
                progress.update(step, total=1, completed=1)

        def watch(what: str, done_bytes: int, of_bytes: int | None) -> None:
            if what not in steps:
                end_steps()
                steps[what] = progress.add_task(what, total=None, size="")
            size = decimal(done_bytes) if done_bytes else ""
            progress.update(steps[what], completed=done_bytes, total=of_bytes, size=size)

        yield watch
        end_steps()


def update_as_json(report: "UpdateReport", pages: ListedPages | None) -> dict[str, object]:
    """Return what an update did, for a script; `pages` of the lists that it made."""
    return {
        "url_entries": pages.as_json() if pages else None,
        "snapshot": report.version,
        "former_snapshot": report.former,
        "is_held": report.is_held,
        "sources": [
            {
                "name": source.name,
                "category": source.category,
                "entries": source.entries,
                "added": source.added,
                "removed": source.removed,
                "refused": source.refused,
                "doubts": source.doubts,
                "unchanged": source.is_unchanged,
                "not_understood": source.problems.count,
                "first_not_understood": [asdict(problem) for problem in source.problems.first],
                "unusable": source.problems.unusable_count,
                "first_unusable": [asdict(problem) for problem in source.problems.first_unusable],
                "unused_categories": source.unused,
            }
            for source in report.sources
        ],
    }


def print_sources(report: "UpdateReport", pages: ListedPages | None) -> None:
    """Print what became of every source, and what their URL entries would have the policy open."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Source")
    for heading in ("Entries", "Added", "Removed"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for source in report.sources:
        numbers = (f"{number:,}" for number in (source.entries, source.added, source.removed))
        what = "refused" if source.refused else "as before" if source.is_unchanged else ""
        table.add_row(source.name, *numbers, what)
    _console.print(table)
    for source in report.sources:
        for line in _remarks(source):
            _console.print(line, markup=False)
    for line in pages.lines() if pages else ():
        _console.print(line, markup=False)


def _remarks(source: "SourceReport") -> Iterator[str]:
    if source.refused:
        of_before = "entry of before stays" if source.entries == 1 else "entries of before stay"
        kept = f"its {source.entries:,} {of_before}" if source.entries else "it has no entries"
        yield f"{source.name} refused: {source.refused}; {kept} in force."
        if source.doubts:
            yield f"  If it is right all the same: --force {source.name} --because TEXT"
    elif source.doubts:
        yield f"{source.name} was forced, in spite of: {'; '.join(source.doubts)}."
    if source.problems.count:
        yield f"{source.name}: {source.problems.count:,} lines were not understood and are not used, like"
        for problem in source.problems.first[:_SHOWN_PROBLEMS]:
            yield f"  {problem}"
    if source.problems.unusable_count:
        yield f"{source.name}: {source.problems.unusable_count:,} lines say nothing of a whole site, like"
        for problem in source.problems.first_unusable[:_SHOWN_PROBLEMS]:
            yield f"  {problem}"
    if source.category == TOWN_LIST:
        yield (
            f"{source.name}: a plain list, and its name is no category, so what is in it is in {TOWN_LIST}; "
            f"--source {source.name}:CATEGORY=... says otherwise"
        )
    for category, reason in source.unused.items():
        yield f"{source.name}: {category} is not used: {reason}"
