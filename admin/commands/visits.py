"""`towngate visits`: the visit log at the command line."""

import asyncio
import contextlib
import json
import re
import signal
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from admin import audit
from admin import visits as visit_log
from admin.audit import Detail, Event, EventKind
from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.acting import actor
from admin.commands.policy import published_policy
from admin.database import Database, DatabaseError
from admin.key_file import KeyFileError
from admin.state_folder import StateFolder
from admin.visit_log import searching
from admin.visit_log.searching import VisitFilter
from admin.visits import VisitRow, WhoCodes
from categories.host_name import HostNameError, canonical_host
from policy import notation
from policy.decision import Lane, Verdict
from policy.file_types import described, refused_types

_FOLLOW_SECONDS = 0.5
_MOST_ROWS = 100_000
_AGO = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@click.command(epilog="Example: towngate visits --department finance --verdict block --since 2h")
@click.option("--person", help="Visits of this person; needs --because.")
@click.option("--because", help="Why you need names. They are shown then, and this is put on record.")
@click.option("--case", default="", help="The case it is for, put on record with --because.")
@click.option("--department", help="Visits of this department.")
@click.option("--host", help="Visits to this host and its subdomains.")
@click.option("--category", help="Visits that this category decided.")
@click.option("--verdict", type=click.Choice([v.value for v in Verdict]), help="What was decided.")
@click.option("--lane", type=click.Choice([lane.value for lane in Lane]), help="How it was carried.")
@click.option("--rule", help="Visits that this rule decided.")
@click.option("--code", help="The visit whose block page showed this code.")
@click.option("--since", help='From when: 30m, 2h, 7d ago, or the town\'s time, "2026-03-02 10:00".')
@click.option("--until", help="Until when, given alike.")
@click.option("--limit", type=click.IntRange(1, _MOST_ROWS), default=50, show_default=True, help="At most.")
@click.option("--follow", is_flag=True, help="Go on with visits as they arrive, until Ctrl-C.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def visits(
    *,
    person: str | None,
    because: str | None,
    case: str,
    department: str | None,
    host: str | None,
    category: str | None,
    verdict: str | None,
    lane: str | None,
    rule: str | None,
    code: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    follow: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Show the newest visits, the newest of them last.

    Persons are hidden until a reason is given: each shows as a department and a code of the day.
    """
    if person is not None and not (because or "").strip():
        raise CommandError("persons are hidden until a reason is given: add --because TEXT, which is logged")
    folder = StateFolder(state)
    published = published_policy(folder)
    zone = ZoneInfo(published.policy.town.timezone if published else "UTC")
    where = VisitFilter(
        person=person,
        department=department,
        host=_host(host),
        category=category,
        verdict=Verdict(verdict) if verdict else None,
        lane=Lane(lane) if lane else None,
        rule=rule,
        code=code.upper() if code else None,
        since=_moment("--since", since, zone),
        until=_moment("--until", until, zone),
    )
    show = _as_json if as_json else _Line(zone)
    log = _Log(folder, zone, where, (because or "").strip(), case)
    try:
        asyncio.run(log.show(show, limit=limit, follow=follow))
    except (DatabaseError, KeyFileError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}") from error


class _Log:
    """The visit log as this command looks at it."""

    def __init__(
        self, folder: StateFolder, zone: ZoneInfo, where: VisitFilter, because: str, case: str
    ) -> None:
        self._folder = folder
        self._zone = zone
        self._where = where
        self._because = because
        self._case = case

    async def show(self, show: Callable[[VisitRow], str], *, limit: int, follow: bool) -> None:
        names_shown = bool(self._because)
        async with Database.open(self._folder.database, must_exist=True) as db:
            codes = WhoCodes(visit_log.who_secret(self._folder.admin), self._zone)
            if names_shown:
                await self._record(db)
            last = await searching.last_id(db.visits)
            rows = await visit_log.query(db, self._where, codes, names_shown=names_shown, limit=limit)
            for row in reversed(rows):
                click.echo(show(row))
            shown = {row.id for row in rows}
            stopping = _on_signal() if follow else None
            while stopping is not None and not await _is_set_within(stopping, _FOLLOW_SECONDS):
                rows, last = await visit_log.arrived_after(
                    db, last, self._where, codes, names_shown=names_shown
                )
                for row in rows:
                    # What came in between the first two questions is not shown again.
                    if row.id not in shown:
                        click.echo(show(row))

    async def _record(self, db: Database) -> None:
        details: dict[str, Detail] = {
            "reason": self._because[:500],
            "case": self._case[:100],
            "person": self._where.person,
        }
        async with db.transaction() as t:
            await audit.record(t, Event(EventKind.NAMES_SHOWN, actor(), "visits", utc_now(), details))


def _on_signal() -> asyncio.Event:
    """Return an event that Ctrl-C or SIGTERM sets: how --follow ends, also in a shell's background."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _host(text: str | None) -> str | None:
    try:
        return canonical_host(text) if text is not None else None
    except HostNameError as error:
        raise CommandError(f"--host: {error}") from error


def _moment(option: str, text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,4})([mhd])", text)
    if ago is not None:
        return utc_now() - int(ago[1]) * _AGO[ago[2]]
    try:
        return notation.moment(text, zone)
    except ValueError as error:
        raise CommandError(f"{option}: {error}; or how long ago, like 30m, 2h or 7d") from error


class _Line:
    """Shows a visit as a line: when, who, what came of it, where, and why."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def __call__(self, row: VisitRow) -> str:
        at = row.started_at.astimezone(self._zone)
        who = row.who
        name = who.person or who.device or (f"person {who.code}" if who.code else "")
        shown = f"{who.department or 'unknown'} {name}".strip()
        why = " ".join(part for part in (row.rule or row.exemption or row.cause.value, row.category) if part)
        types = refused_types(row.refusal)
        why += f": {described(types)}" if types is not None else ""
        counted = f"{row.bytes_down} B in {row.lasted.total_seconds():.1f} s"
        # What is allowed and checked inside is told apart from what goes by in a tunnel.
        is_opened = row.verdict is Verdict.ALLOW and row.lane is Lane.INSPECT
        came = row.lane.value if is_opened else row.verdict.value
        return f"{at:%Y-%m-%d %H:%M:%S}  {shown:<24}  {came:<9}  {row.host}  ({why})  {counted}"


def _as_json(row: VisitRow) -> str:
    who, types = row.who, refused_types(row.refusal)
    values: dict[str, object] = {
        "id": row.id,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat(),
        "seconds": row.lasted.total_seconds(),
        "department": who.department,
        "who": who.code,
        "person": who.person,
        "device": who.device,
        "address": who.address,
        "scheme": row.scheme,
        "host": row.host,
        "port": row.port,
        "verdict": row.verdict.value,
        "lane": row.lane.value,
        "cause": row.cause.value,
        "rule": row.rule,
        "exemption": row.exemption,
        "category": row.category,
        "entry": row.entry,
        "source": row.source,
        "refusal": row.refusal,
        "file_types": None if types is None else sorted(types),
        "bytes_up": row.bytes_up,
        "bytes_down": row.bytes_down,
        "code": row.code,
        "policy_sequence": row.policy_sequence,
        "policy_version": row.policy_version,
        "category_version": row.category_version,
    }
    return json.dumps(values)
