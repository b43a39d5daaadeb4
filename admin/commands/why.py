"""`towngate why`: why a recorded visit was decided as it was."""

import asyncio
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from admin import visits as visit_log
from admin import why_words
from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.explain import steps_table
from admin.commands.policy import published_policy
from admin.database import Database, DatabaseError
from admin.key_file import KeyFileError
from admin.replaying import Explanation, explain
from admin.state_folder import StateFolder
from admin.visit_lines import values_of
from admin.visit_log.searching import VisitFilter
from admin.visits import VisitRow, WhoCodes
from admin.web.words import decided, plain
from policy.town_policy import Policy
from policy.town_time import ENGLISH, zone_of
from policy.visit_record import read_code

_console = Console(highlight=False, soft_wrap=True)


@click.command(epilog="Example: towngate why K7M-4QP")
@click.argument("code")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def why(code: str, state: Path, as_json: bool) -> None:
    """Say why the visit with this code was decided as it was, by deciding it once more.

    It is decided by what was in force then. CODE is that of a block page, or of `towngate visits --json`.
    Nobody is named.
    """
    folder = StateFolder(state)
    published = published_policy(folder)
    if published is None:
        raise CommandError(
            f"no policy was published in {state}; start `towngate run`, or name another --state"
        )
    try:
        code = read_code(code)
    except ValueError as error:
        raise CommandError(f"{error}; `towngate visits --json` has the codes") from error
    try:
        row, explanation = asyncio.run(_explained(folder, published.policy, code))
    except LookupError as error:
        raise CommandError(
            f"no visit has the code {code!r}; `towngate visits --json` has the codes"
        ) from error
    except (DatabaseError, KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}") from error
    zone, now = zone_of(published.policy), utc_now()
    by = plain(why_words.decided_by(explanation, row, zone, now))
    sentences = [
        text
        for text in (by, why_words.otherwise(explanation, row), why_words.today(explanation, row))
        if text
    ]
    if as_json:
        click.echo(json.dumps(_as_json(row, explanation, sentences)))
        return
    named = row.rule or row.exemption or row.cause.value.replace("_", " ")
    at = ENGLISH.moment(row.started_at, zone, now)
    department = row.who.department or "no department"
    said = f"{row.host} was {decided(row.verdict)} for someone in {department} on {at}, by {named}"
    _console.print(Text(plain(said), "bold"))
    if explanation.steps:
        _console.print(steps_table(explanation.steps))
    for sentence in sentences:
        _console.print(Text(sentence))


async def _explained(folder: StateFolder, policy: Policy, code: str) -> tuple[VisitRow, Explanation]:
    """Raises LookupError when no visit has the code."""
    async with Database.open(folder.database, must_exist=True) as db:
        codes = WhoCodes(visit_log.who_secret(folder.admin), zone_of(policy))
        where = VisitFilter(code=code)
        rows = await visit_log.query(db, where, codes, names_shown=False, limit=1)
        if not rows:
            raise LookupError(code)
        return rows[0], await explain(db, folder, rows[0])


def _as_json(row: VisitRow, why: Explanation, said: list[str]) -> dict[str, object]:
    return {
        "visit": values_of(row),
        "verdict": why.decision and why.decision.verdict.value,
        "rule": why.decision and why.decision.rule,
        "steps": [asdict(step) for step in why.steps],
        "agrees": why.agrees_with(row),
        "decided_by": why.decided_by and asdict(why.decided_by),
        "changed": list(why.changed),
        "today": why.today and {"verdict": why.today.verdict.value, "rule": why.today.rule},
        "said": said,
    }
