"""`towngate never-inspect`: what is never opened because programs there do not trust the town's certificate.

It writes to the database. A running admin publishes that within half a second; where none runs, the
command publishes by itself.
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from admin import never_inspected
from admin.asking import InvalidRequestError
from admin.clock import utc_now
from admin.command import CommandError, Group
from admin.commands.acting import actor
from admin.commands.lists import lists_of
from admin.commands.policy import published_policy
from admin.commands.telling_proxy import tell_proxy
from admin.database import Database, DatabaseError
from admin.never_inspected import Answered, InspectionAnsweredError
from admin.state_folder import StateFolder
from admin.untrusting_hosts import UntrustingHost, untrusting_hosts
from categories.host_name import HostNameError, canonical_host
from policy.correction import Corrections
from policy.snapshot import PolicySnapshot
from policy.town_policy import Policy
from policy.town_time import ENGLISH, zone_of

type _Move = Callable[[Database, str], Awaitable[Answered]]

_because = click.option("--because", default="", metavar="TEXT", help="Why; stands in the audit log.")
_state = click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group(cls=Group)
def never_inspect() -> None:
    """Say what is never opened for programs' sake, add to it, or take off it.

    What the policy's own never_inspect names is not opened either.
    """


@never_inspect.command("list", epilog="Example: towngate never-inspect list")
@_state
@_json
def list_command(state: Path, *, as_json: bool) -> None:
    """Say what is on the list, and where programs refused the town's certificate in the last 30 days."""
    folder = StateFolder(state)
    snapshot = _snapshot(folder)

    async def look() -> tuple[list[Answered], tuple[UntrustingHost, ...]]:
        async with Database.open(folder.database, must_exist=True) as db:
            with lists_of(folder) as (lists, _):
                learnt = await untrusting_hosts(db, snapshot, lists, utc_now())
            return await never_inspected.all_never(db), learnt

    never, learnt = _run(folder, look())
    if as_json:
        answer = {
            "never_inspected": [_answered(one) for one in never],
            "learnt": [_learnt(one) for one in learnt],
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for one in never:
        since = ENGLISH.moment(one.made_at, zone_of(snapshot.policy), utc_now())
        click.echo(f"{one.host} is not opened since {since}, by {one.made_by}: {one.why}")
    if not never:
        click.echo("Nothing is on the list.")
    for found in learnt:
        click.echo(_sentence(found, snapshot.policy))


@never_inspect.command(
    epilog='Example: towngate never-inspect add api.vendor.example --because "Its client pins."'
)
@click.argument("host")
@_because
@_state
@_json
def add(host: str, because: str, state: Path, *, as_json: bool) -> None:
    """Have HOST and its subdomains never opened, whatever a rule says.

    A host of a category that the policy blocks is refused. Exit code 1 when it is on the list already.
    """
    folder = StateFolder(state)
    snapshot = _snapshot(folder)

    async def move(db: Database, canonical: str) -> Answered:
        with lists_of(folder) as (lists, _):
            matches = Corrections(snapshot.corrections).apply(canonical, lists.lookup(canonical))
        return await never_inspected.add(
            db, canonical, why=because, actor=actor(), at=utc_now(), policy=snapshot.policy, matches=matches
        )

    _change(folder, snapshot, host, move, "{} is not opened from now on.", as_json=as_json)


@never_inspect.command(
    epilog='Example: towngate never-inspect remove api.vendor.example --because "It trusts us."'
)
@click.argument("host")
@_because
@_state
@_json
def remove(host: str, because: str, state: Path, *, as_json: bool) -> None:
    """Let rules open HOST again. Exit code 1 when it is not on the list."""
    folder = StateFolder(state)

    async def move(db: Database, canonical: str) -> Answered:
        return await never_inspected.remove(db, canonical, why=because, actor=actor(), at=utc_now())

    _change(folder, _snapshot(folder), host, move, "Rules open {} again.", as_json=as_json)


def _change(
    folder: StateFolder, snapshot: PolicySnapshot, host: str, move: _Move, done: str, *, as_json: bool
) -> None:
    """Make a move, have the proxy told, and say so; also where nothing changed, which may be untold yet."""
    try:
        canonical = canonical_host(host)
    except HostNameError as error:
        raise CommandError(str(error)) from error

    async def change() -> tuple[str, bool, list[Answered], str | None, str]:
        async with Database.open(folder.database, must_exist=True) as db:

            async def is_published() -> bool:
                told = await asyncio.to_thread(published_policy, folder)
                return told is not None and told.never_inspect == await never_inspected.live(db)

            try:
                await move(db, canonical)
                said, is_changed = done.format(canonical), True
            except InspectionAnsweredError as error:
                said, is_changed = str(error), False
            told = await tell_proxy(folder, db, snapshot, is_published)
            return said, is_changed, await never_inspected.all_never(db), told.problem, told.words

    said, is_changed, never, problem, words = _run(folder, change())
    if as_json:
        answer = {
            "changed": is_changed,
            "published": problem is None,
            "problem": problem,
            "never_inspected": [_answered(one) for one in never],
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        click.echo(said)
        if is_changed or problem is not None:
            click.echo(words)
    if not is_changed:
        raise click.exceptions.Exit(1)


def _snapshot(folder: StateFolder) -> PolicySnapshot:
    snapshot = published_policy(folder)
    if snapshot is None:
        raise CommandError(f"no policy was published in {folder.root}; start 'towngate run', or give --state")
    return snapshot


def _run[T](folder: StateFolder, work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except InvalidRequestError as error:
        option = "--because: " if error.field == "why" else ""
        raise CommandError(f"{option}{error}; nothing changed") from error
    except DatabaseError as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; nothing changed") from error


def _sentence(found: UntrustingHost, policy: Policy) -> str:
    devices = "1 or 2" if found.devices < 3 else str(found.devices)
    names = {id_: department.name for id_, department in policy.departments.items()}
    whose = ", ".join(names.get(id_, id_) if id_ else "no department" for id_ in found.departments)
    last = ENGLISH.moment(found.last_at, zone_of(policy), utc_now())
    return (
        f"Programs on {devices} devices in {whose} refused the certificate at {found.host}"
        f" {found.visits:,} times, last on {last}; opened by {', '.join(found.rules)}"
    )


def _answered(one: Answered) -> dict[str, object]:
    return {"host": one.host, "why": one.why, "made_by": one.made_by, "made_at": one.made_at.isoformat()}


def _learnt(one: UntrustingHost) -> dict[str, object]:
    return {
        "host": one.host,
        "visits": one.visits,
        "devices": "under 3" if one.devices < 3 else one.devices,
        "departments": list(one.departments),
        "last_at": one.last_at.isoformat(),
        "rules": list(one.rules),
    }
