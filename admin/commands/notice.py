"""`towngate notice`: who accepted which version of the notice, for the town's records."""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from admin import audit, notices
from admin.audit import Event, EventKind
from admin.clock import utc_now
from admin.command import CommandError, Group
from admin.commands.acting import actor
from admin.commands.policy import published_policy
from admin.database import Database, DatabaseError
from admin.notices import NoticeVersion, Receipt
from admin.state_folder import StateFolder
from admin.written_text import as_cell
from policy.town_policy import Notice, Policy
from policy.town_time import ENGLISH, zone_of

_COLUMNS = (
    *("record", "version", "title", "law", "text", "first_in_force_at"),
    *("person", "name", "accepted_at", "known_by"),
)

_state = click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")


@click.group(cls=Group)
def notice() -> None:
    """Show how the notice stands, and write out who accepted which version when."""


@notice.command(epilog="Example: towngate notice export --csv > receipts.csv")
@click.option("--csv", "form", flag_value="csv", default="csv", help="A table (the default).")
@click.option("--json", "form", flag_value="json", help="One JSON object.")
@_state
def export(form: str, state: Path) -> None:
    """Write out every version that was in force, and every receipt, with names; this is put on record.

    In the table a row is a version (with its text) or a receipt. An apostrophe stands before what a
    spreadsheet would take for a formula.
    """
    folder, policy = _opened(state)
    versions, receipts = _from_database(folder, _exported)
    if form == "json":
        values = {
            "versions": [_version(version) for version in versions],
            "receipts": [_receipt(receipt, policy) for receipt in receipts],
        }
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    rows = [{"record": "version", **_version(version)} for version in versions]
    rows += [{"record": "receipt", **_receipt(receipt, policy)} for receipt in receipts]
    click.echo(_as_csv(rows), nl=False)


@notice.command(epilog="Example: towngate notice status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_state
def status(*, as_json: bool, state: Path) -> None:
    """Say which version is in force, and how many people accepted it, put it off, or have yet to."""
    folder, policy = _opened(state)
    in_force = policy.notice
    if in_force is None:
        click.echo(json.dumps({"version": None}) if as_json else "No notice is in force: nobody is asked.")
        return
    now = utc_now()

    async def live(db: Database) -> Mapping[str, datetime | None]:
        return await notices.live(db, policy)

    standing = _standing(policy, _from_database(folder, live), now)
    if as_json:
        click.echo(json.dumps(_standing_as_json(in_force, standing), ensure_ascii=False))
        return
    required = notices.required_at(policy)
    if required is None or required <= now:
        since = "It has to be accepted."
    else:
        since = f"From {ENGLISH.day(required, now.astimezone(zone_of(policy)))} it has to be accepted."
    click.echo(f"{in_force.title}, version {in_force.version}. {since}")
    click.echo(
        f"Of {len(policy.people):,} people {len(standing.accepted):,} accepted it,"
        f" {len(standing.put_off):,} put it off, {len(standing.missing):,} have not answered."
    )
    if standing.missing:
        click.echo(f"Not yet: {', '.join(standing.missing)}.")


@dataclass(frozen=True, slots=True)
class _Standing:
    """The policy's people by where they stand with the notice in force."""

    accepted: tuple[str, ...]
    put_off: tuple[str, ...]
    missing: tuple[str, ...]


def _standing(policy: Policy, live: Mapping[str, datetime | None], now: datetime) -> _Standing:
    until = {person: live[person] for person in policy.people if person in live}
    accepted = tuple(sorted(person for person, at in until.items() if at is None))
    put_off = tuple(sorted(person for person, at in until.items() if at is not None and now < at))
    return _Standing(accepted, put_off, tuple(sorted(policy.people.keys() - {*accepted, *put_off})))


def _standing_as_json(in_force: Notice, standing: _Standing) -> dict[str, object]:
    return {
        "version": in_force.version,
        "title": in_force.title,
        "required_from": in_force.required_from.isoformat() if in_force.required_from else None,
        "accepted": standing.accepted,
        "put_off": standing.put_off,
        "missing": standing.missing,
    }


def _opened(state: Path) -> tuple[StateFolder, Policy]:
    folder = StateFolder(state)
    snapshot = published_policy(folder)
    if snapshot is None:
        raise CommandError(f"no policy was published in {state}; start 'towngate run', or give --state")
    return folder, snapshot.policy


def _from_database[T](folder: StateFolder, ask: Callable[[Database], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with Database.open(folder.database, must_exist=True) as db:
            return await ask(db)

    try:
        return asyncio.run(asked())
    except DatabaseError as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; nothing was written out") from error


async def _exported(db: Database) -> tuple[list[NoticeVersion], list[Receipt]]:
    async with db.transaction() as t:
        versions, receipts = await notices.all_versions(t), await notices.all_receipts(t)
        counts = {"versions": len(versions), "receipts": len(receipts)}
        await audit.record(t, Event(EventKind.NOTICE_EXPORTED, actor(), "notices", utc_now(), counts))
    return versions, receipts


def _version(version: NoticeVersion) -> dict[str, str]:
    return {
        "version": version.version,
        "title": version.title,
        "law": version.law,
        "text": version.text,
        "first_in_force_at": version.first_in_force_at.isoformat(),
    }


def _receipt(receipt: Receipt, policy: Policy) -> dict[str, str]:
    record = policy.people.get(receipt.person)
    return {
        "version": receipt.version,
        "person": receipt.person,
        "name": record.name if record else "",
        "accepted_at": receipt.accepted_at.isoformat(),
        "known_by": receipt.known_by.value,
    }


def _as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: as_cell(cell) for name, cell in row.items()})
    return text.getvalue()
