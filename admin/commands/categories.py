"""`towngate categories`: the lists, what the town says in place of them, and looking names up."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from admin.command import Group
from admin.commands.correct import correct
from admin.commands.diff_lists import diff_command
from admin.commands.lists import lists_of
from admin.commands.policy import published_policy
from admin.commands.roll_back_lists import rollback_command
from admin.commands.unlisted import unlisted_command
from admin.commands.update_lists import update_command
from admin.state_folder import StateFolder
from categories.host_name import canonical_host
from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.correction import Corrections
from policy.web_address import parse_web_address

_state_option = click.option(
    "--state", type=Path, default=Path("var"), show_default=True, help="State folder."
)


@click.group(cls=Group)
def categories() -> None:
    """Bring the category lists up to date, correct them, and look names up."""


categories.add_command(correct)
categories.add_command(update_command)
categories.add_command(diff_command)
categories.add_command(rollback_command)
categories.add_command(unlisted_command)


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
