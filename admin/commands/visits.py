"""`towngate visits`: the visit log at the command line."""

import asyncio
import contextlib
import re
import signal
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from admin import audit, names
from admin import visits as visit_log
from admin.asking import UnknownRequestError
from admin.audit import Detail, Event, EventKind
from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.acting import actor
from admin.commands.policy import published_policy
from admin.database import Database, DatabaseError
from admin.key_file import KeyFileError
from admin.state_folder import StateFolder
from admin.visit_lines import Form, heading, shown_as
from admin.visit_log import searching
from admin.visit_log.searching import MOST_LEFT_OUT, LeftOut, VisitFilter
from admin.visits import VisitRow, WhoCodes
from admin.web.visit_filters import unknown
from admin.written_text import one_line
from categories.host_name import HostNameError, canonical_host
from policy import notation
from policy.decision import Lane, Verdict
from policy.town_policy import Policy, SecondPerson
from policy.visit_record import read_code

_FOLLOW_SECONDS = 0.5
_MOST_ROWS = 100_000
_AGO = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@click.command(epilog="Example: towngate visits --department finance --verdict block --since 2h")
@click.option("--person", help="Visits of this person; needs --because.")
@click.option("--because", help="Why you need names. They are shown then, and this is put on record.")
@click.option(
    "--agreed",
    help="What a second person agreed to, like NAMES-3; where the policy wants that, in place of --because.",
)
@click.option("--case", default="", help="The case it is for, put on record with --because.")
@click.option("--department", help="Visits of this department.")
@click.option("--host", help="Visits to this host and its subdomains.")
@click.option("--category", help="Visits that this category decided.")
@click.option("--verdict", type=click.Choice([v.value for v in Verdict]), help="What was decided.")
@click.option("--lane", type=click.Choice([lane.value for lane in Lane]), help="How it was carried.")
@click.option("--rule", help="Visits that this rule decided.")
@click.option("--not-host", multiple=True, help="No visits to this host and its subdomains; may be repeated.")
@click.option("--not-department", multiple=True, help="None of this department; may be repeated.")
@click.option("--not-category", multiple=True, help="None that this category decided; may be repeated.")
@click.option("--not-rule", multiple=True, help="None that this rule decided; may be repeated.")
@click.option("--code", help="The visit whose block page showed this code.")
@click.option("--since", help='From when: 30m, 2h, 7d ago, or the town\'s time, "2026-03-02 10:00".')
@click.option("--until", help="Until when, given alike.")
@click.option("--limit", type=click.IntRange(1, _MOST_ROWS), default=50, show_default=True, help="At most.")
@click.option("--follow", is_flag=True, help="Go on with visits as they arrive, until Ctrl-C.")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "form", flag_value=Form.JSON.value, help="One JSON object a line.")
@click.option(
    "--csv", "form", flag_value=Form.CSV.value, help="A table, its columns named on the first line."
)
@click.option("--squid", "form", flag_value=Form.SQUID.value, help="As squid writes its access.log.")
@click.option("--all", "all_of_them", is_flag=True, help="All of them, in the order in which they came.")
def visits(
    *,
    person: str | None,
    because: str | None,
    agreed: str | None,
    case: str,
    department: str | None,
    host: str | None,
    category: str | None,
    verdict: str | None,
    lane: str | None,
    rule: str | None,
    not_host: tuple[str, ...],
    not_department: tuple[str, ...],
    not_category: tuple[str, ...],
    not_rule: tuple[str, ...],
    code: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    follow: bool,
    state: Path,
    form: str | None,
    all_of_them: bool,
) -> None:
    """Show the newest visits, the newest of them last.

    Persons are hidden until a reason is given: each shows as a department and a code of the day.
    """
    folder = StateFolder(state)
    published = published_policy(folder)
    reason = one_line(because or "")
    if agreed is None:
        _check(published.policy if published else None, person, reason)
    zone = ZoneInfo(published.policy.town.timezone if published else "UTC")
    where = VisitFilter(
        person=person,
        department=department,
        host=_host("--host", host) if host is not None else None,
        category=category,
        verdict=Verdict(verdict) if verdict else None,
        lane=Lane(lane) if lane else None,
        rule=rule,
        code=_code(code) if code is not None else None,
        since=_moment("--since", since, zone),
        until=_moment("--until", until, zone),
        left_out=_left_out(not_host, not_department, not_category, not_rule),
    )
    log = _Log(folder, zone, where, reason, case, Form(form or Form.LINE), agreed)
    try:
        count = asyncio.run(log.show(None if all_of_them else limit, follow=follow))
    except (DatabaseError, KeyFileError, UnknownRequestError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}") from error
    if not count and not follow:
        given = {"department": department, "category": category, "rule": rule, "person": person}
        named = {name: id_ for name, id_ in given.items() if id_}
        not_there = unknown(named, published.policy) if published else ()
        click.echo(
            " ".join(("No visits match.", *not_there, "Leave an option out, or widen the time.")), err=True
        )


def _check(policy: Policy | None, person: str | None, because: str) -> None:
    """Raise CommandError for names without a reason, or without the second person whom the policy wants."""
    if person is not None and not because:
        raise CommandError("persons are hidden until a reason is given: add --because TEXT, which is logged")
    when = policy.second_person if policy is not None else SecondPerson.SEARCHES
    if because and names.needs_second_person(when, person):
        raise CommandError(
            "a second person must agree to this: ask on the page Visits, then add --agreed NAMES-3, say"
        )


class _Log:
    """The visit log as this command looks at it."""

    def __init__(
        self,
        folder: StateFolder,
        zone: ZoneInfo,
        where: VisitFilter,
        because: str,
        case: str,
        form: Form,
        agreed: str | None,
    ) -> None:
        self._folder = folder
        self._zone = zone
        self._where = where
        self._because = because
        self._case = case
        self._agreed = agreed
        self._heading = heading(form)
        self._show = shown_as(form, zone)

    async def show(self, limit: int | None, *, follow: bool) -> int:
        """Print the newest visits, or all of them (None), and go on with `follow`; return how many were."""
        async with Database.open(self._folder.database, must_exist=True) as db:
            codes = WhoCodes(visit_log.who_secret(self._folder.admin), self._zone)
            if self._agreed is not None:
                await names.agreed(db, self._agreed, self._where.person, utc_now())
            names_shown = bool(self._because) or self._agreed is not None
            if names_shown:
                await self._record(db)
            if self._heading is not None:
                click.echo(self._heading)
            last, shown = 0, set[int]()
            if limit is not None:
                last = await searching.last_id(db.visits)
                rows = await visit_log.query(db, self._where, codes, names_shown=names_shown, limit=limit)
                self._echo(reversed(rows))
                shown = {row.id for row in rows}
            count = len(shown)
            if limit is not None and not follow:
                return count
            stopping = _on_signal() if follow else None
            while True:
                rows, newest = await visit_log.arrived_after(
                    db, last, self._where, codes, names_shown=names_shown
                )
                # What came in between the first two questions is not shown again.
                self._echo(row for row in rows if row.id not in shown)
                count += len(rows)
                if newest == last and (stopping is None or await _is_set_within(stopping, _FOLLOW_SECONDS)):
                    return count
                last = newest

    def _echo(self, rows: Iterable[VisitRow]) -> None:
        for row in rows:
            click.echo(self._show(row))

    async def _record(self, db: Database) -> None:
        details: dict[str, Detail] = {
            "reason": self._because[:500],
            "case": one_line(self._case)[:100],
            "person": self._where.person,
        }
        if self._agreed is not None:
            details["request"] = self._agreed.upper()
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


def _host(option: str, text: str) -> str:
    try:
        return canonical_host(text)
    except HostNameError as error:
        raise CommandError(f"{option}: {error}") from error


def _code(text: str) -> str:
    try:
        return read_code(text)
    except ValueError as error:
        raise CommandError(f"--code: {error}") from error


def _left_out(
    hosts: Sequence[str], departments: tuple[str, ...], categories: tuple[str, ...], rules: tuple[str, ...]
) -> LeftOut:
    if max(map(len, (hosts, departments, categories, rules))) > MOST_LEFT_OUT:
        raise CommandError(f"{MOST_LEFT_OUT} of a kind can be left out at most; choose what to show instead")
    return LeftOut(tuple(_host("--not-host", one) for one in hosts), departments, categories, rules)


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
