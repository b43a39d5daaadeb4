"""`towngate categories rollback`: lists of before in force again, at once and until that is ended."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from admin.command import CommandError
from admin.commands.recording import put_on_record
from admin.state_folder import StateFolder
from categories.publishing import Version, end_hold, go_back, is_held, versions
from categories.snapshot import CategorySnapshotError, verify
from categories.sources import KeptSources


@click.command("rollback", epilog='Example: towngate categories rollback --because "Half the web is malware"')
@click.argument("version", required=False)
@click.option("--end", "ends", is_flag=True, help="Let updates put new lists into force again.")
@click.option("--list", "lists", is_flag=True, help="Say which lists can be gone back to.")
@click.option("--because", default="", metavar="TEXT", help="Why; stands in the audit log.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rollback_command(
    version: str | None, *, ends: bool, lists: bool, because: str, state: Path, as_json: bool
) -> None:
    """Put lists of before into force again: of VERSION, or those before the ones in force.

    In force in every worker within a second. Updates go on fetching, and publish nothing before
    --end: the next update then puts into force what was fetched last. Three versions are kept.
    """
    folder = StateFolder(state)
    if ends + lists + (version is not None) > 1:
        raise CommandError("give a version, or --end, or --list")
    if not lists and not because.strip():
        raise CommandError("this is put on record: add --because TEXT")
    try:
        if not lists:
            with _alone(folder):
                if ends:
                    _end(folder, because.strip())
                else:
                    _go_back(folder, version, because.strip())
        (_write_json if as_json else _print)(folder)
    except CategorySnapshotError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename or folder.categories}: {error.strerror}") from error


@contextmanager
def _alone(folder: StateFolder) -> Iterator[None]:
    with KeptSources(folder.category_sources).alone() as are_alone:
        if not are_alone:
            raise CommandError("an update is running; try again when it has ended")
        yield


def _go_back(folder: StateFolder, version: str | None, why: str) -> None:
    current, *former = versions(folder.categories)
    to = _chosen(current, former, version)
    verify(folder.categories / to.version)
    put_on_record(folder, "lists.rolled_back", to.version, former=current.version, why=why)
    go_back(folder.categories, to)


def _chosen(current: Version, former: Sequence[Version], version: str | None) -> Version:
    if version is not None:
        for other in former:
            if other.version == version:
                return other
        known = ", ".join(other.version for other in former) or "none"
        raise CommandError(f"{version!r} is not kept, or in force already; kept: {known}")
    older = [other for other in former if other.built_at <= current.built_at]
    if not older:
        raise CommandError("no lists of before the ones in force are kept; nothing was changed")
    return max(older, key=lambda other: other.built_at)


def _end(folder: StateFolder, why: str) -> None:
    if not is_held(folder.categories):
        raise CommandError("updates are free to put new lists into force; nothing was changed")
    put_on_record(folder, "lists.released", versions(folder.categories)[0].version, why=why)
    end_hold(folder.categories)


def _write_json(folder: StateFolder) -> None:
    current, *former = versions(folder.categories)
    answer = {
        "snapshot": current.version,
        "built_at": current.built_at.isoformat(),
        "is_held": is_held(folder.categories),
        "former": [{"snapshot": one.version, "built_at": one.built_at.isoformat()} for one in former],
    }
    click.echo(json.dumps(answer))


def _print(folder: StateFolder) -> None:
    current, *former = versions(folder.categories)
    held = "; updates do not replace it before --end" if is_held(folder.categories) else ""
    click.echo(f"Snapshot {current.version} of {current.built_at:%Y-%m-%d %H:%M} UTC is in force{held}.")
    for one in former:
        click.echo(f"  kept: {one.version} of {one.built_at:%Y-%m-%d %H:%M} UTC")
