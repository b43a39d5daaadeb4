"""`towngate lockdown`, `device` and `filter`: what IT does in an emergency.

They write to the database. A running admin publishes that within half a second; where none runs,
the command publishes by itself, since an emergency does not wait for admin.
"""

import asyncio
import functools
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import assert_never

import click

from admin import measures
from admin.asking import InvalidRequestError
from admin.clock import utc_now
from admin.command import CommandError
from admin.commands.acting import actor
from admin.commands.policy import published_policy
from admin.commands.telling_proxy import Told, tell_proxy
from admin.database import Database, DatabaseError
from admin.measures import AlreadySoError, InForce, Measure, MeasureKind
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot
from policy.town_policy import Policy
from policy.town_time import ENGLISH, zone_of

_OPTIONS = {
    "because": "--because",
    "department": "--department",
    "next_news": "--next-news",
    "lasts": "--for",
    "device": "ADDRESS",
}

type _Move = Callable[[Database, Policy, datetime], Awaitable[Measure]]


def _verb[F: Callable[..., object]](*verbs: str) -> Callable[[F], F]:
    return click.argument("verb", type=click.Choice([*verbs, "status"]), default="status")


_because = click.option("--because", default="", metavar="TEXT", help="Why; people read it.")
_state = click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.command(epilog='Example: towngate lockdown on --because "A worm goes round." --next-news 11:00')
@_verb("on", "news", "off")
@click.option("--department", default=measures.EVERYONE, help="Of this department alone, not of everyone.")
@_because
@click.option("--next-news", default="", metavar="TIME", help='By when people hear more, like "11:00".')
@_state
@_json
def lockdown(verb: str, department: str, because: str, next_news: str, state: Path, as_json: bool) -> None:
    """Limit the web to what still works (on), say anew why (news), end it (off), or say how it stands.

    Essential sites and those of `lockdown: {still_works: [...]}` in the policy go on. Open connections
    to others are closed. It stays until it is ended.
    """

    async def begin(db: Database, policy: Policy, now: datetime) -> Measure:
        new = measures.lockdown(policy, department, because, next_news, now)
        return await measures.begin(db, new, actor=actor(), at=now)

    async def subject(db: Database, policy: Policy, now: datetime) -> str:
        # One that has left the policy since can still be ended.
        is_limited = department in {measure.subject for measure in await measures.all_in_force(db, now)}
        return department if is_limited else measures.lockdown_subject(policy, department)

    async def give_news(db: Database, policy: Policy, now: datetime) -> Measure:
        of = await subject(db, policy, now)
        news = measures.lockdown_news(policy, of, because, next_news, now)
        return await measures.give_news(db, news, actor=actor(), at=now)

    async def end(db: Database, policy: Policy, now: datetime) -> Measure:
        of = await subject(db, policy, now)
        return await measures.end(db, MeasureKind.LOCKDOWN, of, actor=actor(), at=now, because=because)

    _run(state, MeasureKind.LOCKDOWN, {"on": begin, "news": give_news, "off": end}.get(verb), as_json=as_json)


@click.command(epilog='Example: towngate device off 10.10.20.15 --because "It sends mail by itself."')
@_verb("off", "on")
@click.argument("address", default="")
@_because
@_state
@_json
def device(verb: str, address: str, because: str, state: Path, as_json: bool) -> None:
    """Take a device off the web (off), let it back (on), or say which are off.

    ADDRESS is its IP address, or its name in the policy. A device that is off reaches the admin site
    and nothing else, essential sites neither.
    """

    async def begin(db: Database, policy: Policy, now: datetime) -> Measure:
        new = measures.device_off(policy, address, because)
        return await measures.begin(db, new, actor=actor(), at=now)

    async def end(db: Database, policy: Policy, now: datetime) -> Measure:
        of = measures.device_subject(policy, address)
        return await measures.end(db, MeasureKind.DEVICE_OFF, of, actor=actor(), at=now, because=because)

    _run(state, MeasureKind.DEVICE_OFF, {"off": begin, "on": end}.get(verb), as_json=as_json)


@click.command("filter", epilog='Example: towngate filter off --for 10m --because "The lists are bad."')
@_verb("off", "on")
@click.option("--for", "lasts", default="", metavar="TIME", help="For how long: 10m, 2h; 4h at most.")
@_because
@_state
@_json
def filter_(verb: str, lasts: str, because: str, state: Path, as_json: bool) -> None:
    """Switch the filter off for a while (off), on again before that (on), or say how it stands.

    While it is off, known and allowed clients reach every site, security risks too; visits are
    recorded as always. It comes on again by itself.
    """

    async def begin(db: Database, _policy: Policy, now: datetime) -> Measure:
        return await measures.begin(db, measures.filter_off(lasts, because, now), actor=actor(), at=now)

    async def end(db: Database, _policy: Policy, now: datetime) -> Measure:
        return await measures.end(db, MeasureKind.FILTER_OFF, "", actor=actor(), at=now, because=because)

    _run(state, MeasureKind.FILTER_OFF, {"off": begin, "on": end}.get(verb), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a command: what was said of it, and all of its kind that is in force now.

    `told` is whether the proxy has been told. `had_been_told` is whether nothing changed and the proxy
    knew it all.
    """

    in_force: list[Measure]
    words: str = ""
    is_changed: bool = False
    had_been_told: bool = False
    told: Told = field(default_factory=Told)


def _run(state: Path, kind: MeasureKind, move: _Move | None, *, as_json: bool) -> None:
    folder = StateFolder(state)
    snapshot = published_policy(folder)
    if snapshot is None:
        raise CommandError(f"no policy was published in {state}; start 'towngate run', or give --state")
    try:
        outcome = asyncio.run(_outcome(folder, snapshot, kind, move))
    except InvalidRequestError as error:
        raise CommandError(f"{_OPTIONS[error.field]}: {error}; nothing changed") from error
    except DatabaseError as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"{folder.database}: {error}; nothing changed") from error
    if as_json:
        click.echo(json.dumps(_as_json(outcome, is_move=move is not None), ensure_ascii=False))
    else:
        click.echo(outcome.words)
        if move is not None and not outcome.had_been_told:
            click.echo(outcome.told.words)
    if outcome.had_been_told:
        raise click.exceptions.Exit(1)


async def _outcome(
    folder: StateFolder, snapshot: PolicySnapshot, kind: MeasureKind, move: _Move | None
) -> _Outcome:
    now = utc_now()
    async with Database.open(folder.database, must_exist=True) as db:
        measure, subject, is_changed = None, "", False
        if move is not None:
            try:
                measure = await move(db, snapshot.policy, now)
                is_changed = True
            except AlreadySoError as stands:
                measure, subject = stands.measure, stands.subject
        in_force = [found for found in await measures.all_in_force(db, now) if found.kind is kind]
        say = _Sentences(snapshot.policy, now, in_force)
        if move is None:
            return _Outcome(in_force, "\n".join(map(say.how_it_stands, in_force)) or say.nothing(kind))
        words = say.how_it_stands(measure) if measure else say.is_not(kind, subject)
        if not is_changed:
            words = f"Nothing changed. {words}{say.what_changes(measure)}"
            if await _is_published(folder, db):
                return _Outcome(in_force, words, had_been_told=True)
        # Also where nothing changed: what was not published before is now.
        told = await tell_proxy(folder, db, snapshot, functools.partial(_is_published, folder, db))
    return _Outcome(in_force, words, is_changed, told=told)


async def _is_published(folder: StateFolder, db: Database) -> bool:
    return await asyncio.to_thread(_in_force, folder) == await measures.live(db, utc_now())


def _in_force(folder: StateFolder) -> InForce | None:
    snapshot = published_policy(folder)
    if snapshot is None:
        return None
    off = snapshot.filter_off
    is_off = off is not None and off.holds_at(utc_now())
    return InForce(snapshot.lockdowns, snapshot.devices_off, off if is_off else None)


class _Sentences:
    """Says how things stand at `now`, while `in_force` is all of its kind that is in force."""

    def __init__(self, policy: Policy, now: datetime, in_force: Sequence[Measure]) -> None:
        self._policy = policy
        self._now = now
        self._limited = [found.subject for found in in_force if found.kind is MeasureKind.LOCKDOWN]

    def how_it_stands(self, measure: Measure) -> str:
        """Return a measure in words, in force or over."""
        if not measure.is_in_force_at(self._now):
            ended_at = measure.ended_at or measure.ends_at or self._now
            by = f", by {measure.ended_by}" if measure.ended_by else ""
            return f"{self.is_not(measure.kind, measure.subject)} Since {self._moment(ended_at)}{by}."
        until = f" until {self._moment(measure.ends_at)}" if measure.ends_at else ""
        news = f" Next news by {self._moment(measure.next_news_at)}." if measure.next_news_at else ""
        since = f"since {self._moment(measure.began_at)}, by {measure.began_by}"
        return f"{self._is(measure.kind, measure.subject)}{until}, {since}: {measure.because}{news}"

    def nothing(self, kind: MeasureKind) -> str:
        """Return what is so while nothing of this kind is in force."""
        return "No device is off the web." if kind is MeasureKind.DEVICE_OFF else self.is_not(kind, "")

    def is_not(self, kind: MeasureKind, subject: str) -> str:
        """Return that nothing of this kind and subject is in force."""
        match kind:
            case MeasureKind.LOCKDOWN:
                return self._no_lockdown(subject)
            case MeasureKind.DEVICE_OFF:
                return f"{self._device(subject)} is not off the web."
            case MeasureKind.FILTER_OFF:
                return "The filter is on."
            case _:
                assert_never(kind)

    def what_changes(self, measure: Measure | None) -> str:
        """Return what to do where a lockdown that is in force was begun once more."""
        if (
            measure is None
            or measure.kind is not MeasureKind.LOCKDOWN
            or measure.subject not in self._limited
        ):
            return ""
        department = f" --department {measure.subject}" if measure.subject else ""
        return f' To say anew why: towngate lockdown news{department} --because "..."'

    def _no_lockdown(self, subject: str) -> str:
        if measures.EVERYONE in self._limited:
            return f"There is no lockdown for {self._whom(subject)} alone."
        if subject:
            return f"The web is not limited for {self._whom(subject)}."
        if self._limited:
            return f"There is no lockdown for everyone, only for {', '.join(map(self._whom, self._limited))}."
        return "There is no lockdown."

    def _is(self, kind: MeasureKind, subject: str) -> str:
        match kind:
            case MeasureKind.LOCKDOWN:
                return f"The web is limited for {self._whom(subject)}"
            case MeasureKind.DEVICE_OFF:
                return f"{self._device(subject)} is off the web"
            case MeasureKind.FILTER_OFF:
                return "The filter is off"
            case _:
                assert_never(kind)

    def _whom(self, department: str) -> str:
        known = self._policy.departments.get(department)
        return known.name if known else (department or "everyone")

    def _device(self, address: str) -> str:
        known = self._policy.devices.get(address)
        return f"{known.name} ({address})" if known else address

    def _moment(self, at: datetime) -> str:
        return ENGLISH.moment(at, zone_of(self._policy), self._now)


def _as_json(outcome: _Outcome, *, is_move: bool) -> dict[str, object]:
    moved = {
        "changed": outcome.is_changed,
        "published": outcome.told.problem is None,
        "problem": outcome.told.problem,
    }
    return {**(moved if is_move else {}), "in_force": [_measure(measure) for measure in outcome.in_force]}


def _measure(measure: Measure) -> dict[str, object]:
    times = {
        "began_at": measure.began_at,
        "next_news_at": measure.next_news_at,
        "ends_at": measure.ends_at,
    }
    return {
        "kind": measure.kind.value,
        "subject": measure.subject,
        "because": measure.because,
        "began_by": measure.began_by,
        **{name: at.isoformat() if at else None for name, at in times.items()},
    }
