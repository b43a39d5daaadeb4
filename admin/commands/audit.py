"""`towngate audit`: the log of what people decided."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

import click

from admin import audit as audit_log
from admin.audit import Damage, Head, Verification
from admin.audit_heads import HeadsError, read_heads
from admin.command import CommandError, Group
from admin.database import Database, DatabaseError
from admin.settings import read_settings
from admin.state_folder import StateFolder
from policy.problem import PolicyError


@click.group(cls=Group)
def audit() -> None:
    """Check the log of what people decided."""


@audit.command(epilog="Example: towngate audit verify --heads /srv/witness/towngate-heads")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option(
    "--heads",
    type=Path,
    help="Heads that were exported, a file or syslog's; else the file that they are exported to now:"
    " 'audit: heads_file' of settings.yaml, or admin/audit-heads.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(*, state: Path, heads: Path | None, as_json: bool) -> None:
    """Check that no event of the audit log was edited, removed or moved.

    Exit code 1 when one was, or when nothing refuses it any more. That the chain was computed anew, or its
    tail cut off, only the heads show that were exported before.
    """
    folder = StateFolder(state)
    try:
        kept = read_heads(heads) if heads else _kept_here(folder)
        found = asyncio.run(_verify(folder, kept))
    except (DatabaseError, HeadsError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}") from error
    if as_json:
        click.echo(json.dumps(_as_json(found)))
    else:
        for line in _said(found, folder, kept):
            click.echo(line)
    if not found.is_whole or found.guards_missing:
        raise click.exceptions.Exit(1)


def _kept_here(folder: StateFolder) -> list[Head]:
    named = _heads_file_of(folder.settings_document)
    if named is not None:
        return read_heads(named)
    return read_heads(folder.audit_heads) if folder.audit_heads.exists() else []


def _heads_file_of(settings: Path) -> Path | None:
    """Return the file that the settings name; None where they name none."""
    try:
        return read_settings(settings.read_text(encoding="utf-8"), settings.parent).audit.heads_file
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        first = str(error).partition("\n")[0]
        raise CommandError(
            f"{settings.name}: {first}; nothing was compared, name the file of heads by --heads"
        ) from error


async def _verify(folder: StateFolder, heads: Sequence[Head]) -> Verification:
    async with Database.open(folder.database, must_exist=True) as db:
        return await audit_log.verify(db, heads)


def _as_json(found: Verification) -> dict[str, object]:
    return {
        "events": found.events,
        "whole": found.is_whole,
        "broken_at": found.broken_at,
        "damage": found.damage.value if found.damage else None,
        "heads": found.against,
        "guards_missing": list(found.guards_missing),
    }


def _said(found: Verification, folder: StateFolder, heads: Sequence[Head]) -> list[str]:
    if found.damage is None:
        lines = [f"{found.events:,} events, each with the digest that it was recorded with."]
        if heads:
            newest = max(heads, key=lambda head: head.last_id)
            fit = "1 head" if found.against == 1 else f"{found.against:,} heads"
            lines.append(
                f"They fit {fit}; the newest, of {newest.at:%Y-%m-%d %H:%M} UTC, knows"
                f" {newest.events:,} events."
            )
        else:
            lines.append(
                "Compared with no heads: that its tail was cut off would not show. Name some by --heads."
            )
    else:
        lines = [f"{folder.database}: {_damage(found.damage, found.broken_at)}"]
    if found.guards_missing:
        lines.append(
            f"{folder.database}: not there, or other than they were: {', '.join(found.guards_missing)}."
            " Somebody removed or changed what refuses changes to the log; find out who and when."
        )
    return lines


def _damage(damage: Damage, at: int | None) -> str:
    match damage:
        case Damage.BROKEN:
            return (
                f"event {at} does not fit the one before it: it was changed, or what was before it was"
                " changed or removed. Compare with a backup."
            )
        case Damage.REWRITTEN:
            return (
                f"event {at} is not the one that was exported: it or one before it was changed or removed,"
                " and the chain computed anew. Compare with a backup."
            )
        case Damage.CUT_OFF:
            return (
                f"event {at} was exported and is not there: the log's tail was cut off, or an older database"
                " was put in place. Compare with a backup."
            )
        case _:
            assert_never(damage)
