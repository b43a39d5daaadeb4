"""`towngate categories`: bring the category lists up to date, and look names up in them."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
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
from admin.commands.correct import correct
from admin.commands.lists import lists_of
from admin.commands.policy import published_policy
from admin.state_folder import Side, StateFolder, StateFolderError
from categories.host_name import canonical_host
from categories.match import CategoryMatch
from categories.sources import STARTER, Source, is_url
from categories.taxonomy import TOWN_LIST, taxonomy
from policy.correction import Corrections
from policy.problem import PolicyError
from policy.web_address import parse_web_address

if TYPE_CHECKING:
    from categories.updating import SourceReport, UpdateReport, Watch

_SHOWN_PROBLEMS = 3
_console = Console(highlight=False, soft_wrap=True)

_state_option = click.option(
    "--state", type=Path, default=Path("var"), show_default=True, help="State folder."
)


@click.group()
def categories() -> None:
    """Bring the category lists up to date, correct them, and look names up."""


categories.add_command(correct)


class _SourceType(click.ParamType[Source]):
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
        if category and category not in taxonomy().categories:
            nearest = taxonomy().nearest(category)
            hint = f" (nearest: {nearest!r})" if nearest else ""
            self.fail(f"{value!r}: {category!r} is not a category{hint}")
        try:
            where = location if is_url(location) else str(Path(location).absolute())
            return Source(name, where, category or None)
        except ValueError as error:
            self.fail(str(error))


@categories.command(
    "update",
    epilog="Example: towngate categories update --source ut1=https://lists.example/ut1.tar.gz "
    "--source ads:advertising=/srv/lists/hosts.txt",
)
@click.option(
    "--source",
    "sources",
    type=_SourceType(),
    multiple=True,
    help="A list to fetch: UT1's layout (a folder or archive), a hosts file or a plain list of names, as "
    "a path or URL. NAME:CATEGORY says what is in a plain list whose name does not. May be repeated.",
)
@click.option("--remove", multiple=True, metavar="NAME", help="Drop a list. May be repeated.")
@_state_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def update_command(sources: Sequence[Source], remove: Sequence[str], state: Path, as_json: bool) -> None:
    """Fetch lists and put them into force; without --source, those of settings.yaml and all others known.

    Lists that are not named stay in force as they are. A list that cannot be right (a web page, cut,
    empty, half its former size) is refused, its last good entries stay in force, and the exit code
    is 1.
    """
    # Fetching needs an HTTP client, which a proxy host, where names are looked up too, has not.
    from categories.updating import UpdateError, update  # noqa: PLC0415

    folder = StateFolder(state)
    try:
        folder.create(Side.ADMIN)
        configured = _configured(folder)
        named_there = [source.name for source in configured if source.name in remove]
        if named_there:
            raise CommandError(f"{named_there[0]!r} is a source of settings.yaml; take it out there first")
        with _progress(is_shown=not as_json) as watch:
            report = update(
                sources,
                folder.category_sources,
                folder.categories,
                datetime.now(UTC),
                remove,
                configured=configured,
                watch=watch,
            )
    except (StateFolderError, UpdateError) as error:
        raise CommandError(str(error)) from error
    if as_json:
        click.echo(json.dumps(_update_as_json(report), ensure_ascii=False))
    else:
        _print_update(report)
    if any(source.refused for source in report.sources):
        raise click.exceptions.Exit(1)


def _configured(folder: StateFolder) -> tuple[Source, ...]:
    """Return the sources of settings.yaml; with problems in it, none, which is said."""
    # Fetching again: the settings of a webhook are judged as its addresses are.
    from admin.settings import read_settings  # noqa: PLC0415

    path = folder.settings_document
    try:
        return read_settings(path.read_text(encoding="utf-8"), folder.root).lists.sources
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        first = str(error).partition("\n")[0]
        click.echo(f"{path.name}: {first}; only lists that are known already are updated", err=True)
        return ()


@contextmanager
def _progress(*, is_shown: bool) -> Iterator["Watch | None"]:
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


def _update_as_json(report: "UpdateReport") -> dict[str, object]:
    return {
        "snapshot": report.version,
        "former_snapshot": report.former,
        "sources": [
            {
                "name": source.name,
                "category": source.category,
                "entries": source.entries,
                "added": source.added,
                "removed": source.removed,
                "refused": source.refused,
                "unchanged": source.is_unchanged,
                "not_understood": source.problems.count,
                "first_not_understood": [asdict(problem) for problem in source.problems.first],
                "unused_categories": source.unused,
            }
            for source in report.sources
        ],
    }


def _print_update(report: "UpdateReport") -> None:
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
    if report.version == report.former:
        _console.print(f"Snapshot {report.version}, as before.")
    else:
        _console.print(f"Snapshot {report.version} is in force.")


def _remarks(source: "SourceReport") -> Iterator[str]:
    if source.refused:
        kept = f"its {source.entries:,} entries of before stay" if source.entries else "it has no entries"
        yield f"{source.name} refused: {source.refused}; {kept} in force."
    if source.problems.count:
        yield f"{source.name}: {source.problems.count:,} lines were not understood and are not used, like"
        for problem in source.problems.first[:_SHOWN_PROBLEMS]:
            yield f"  {problem}"
    if source.category == TOWN_LIST:
        yield (
            f"{source.name}: a plain list, and its name is no category, so what is in it is in {TOWN_LIST}; "
            f"--source {source.name}:CATEGORY=... says otherwise"
        )
    for category, reason in source.unused.items():
        yield f"{source.name}: {category} is not used: {reason}"


@categories.command(epilog="Example: towngate categories lookup pokerstars.com www.example.com")
@click.argument("names", nargs=-1, required=True, metavar="NAME... | -")
@_state_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def lookup(names: Sequence[str], state: Path, as_json: bool) -> None:
    """Say which categories names are listed in, by which entry of which list.

    What the town corrected is by its own entry, of the source "town".
    A name is a host name, an IP address or a web address; - reads names from standard input, one a
    line. What is none of these is said so in its place, and the exit code is 1.
    """
    texts: Iterable[str] = names
    if tuple(names) == ("-",):
        lines = click.open_file("-", errors="replace")
        texts = (text for line in lines if (text := line.strip()))
    write = _write_json if as_json else _write_sentence
    are_all_names = True
    folder = StateFolder(state)
    published = published_policy(folder)
    corrections = Corrections(published.corrections if published else ())
    with lists_of(folder) as (snapshot, _):
        for text in texts:
            try:
                host, path = _host_and_path(text)
                write(text, corrections.apply(host, snapshot.lookup(host, path)), snapshot.version, None)
            except ValueError as error:
                are_all_names = False
                write(text, (), snapshot.version, str(error))
    if not are_all_names:
        raise click.exceptions.Exit(1)


def _host_and_path(text: str) -> tuple[str, str | None]:
    if "/" not in text:
        return canonical_host(text), None
    address = parse_web_address(text)
    return address.host, address.path


def _write_json(name: str, matches: Sequence[CategoryMatch], version: str, error: str | None) -> None:
    listed = [{"id": match.category, "entry": match.entry, "source": match.source} for match in matches]
    answer = {"name": name, "categories": listed, "snapshot": version}
    if error:
        answer["error"] = error
    sys.stdout.write(json.dumps(answer) + "\n")


def _write_sentence(name: str, matches: Sequence[CategoryMatch], version: str, error: str | None) -> None:
    words = taxonomy().categories
    listed = "; ".join(
        f"{words[match.category].label} ({match.category}), by {match.entry} in {match.source}"
        for match in matches
    )
    sys.stdout.write(f"{name}: {listed or error or 'not listed'}\n")
