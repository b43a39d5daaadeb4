"""What IT does in an emergency: limits the web, takes a device off it, switches the filter off.

The table and its moves. A measure is in force from when it began until somebody ends it; a filter that
is off comes on again by itself. Of two people who begin or end the same at once one is first; the
other is told how it stands. Every move is an event of the audit log, refused ones too.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from admin import audit
from admin.asking import InvalidRequestError
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.written_text import tidy_text
from policy import notation
from policy.state import DeviceOff, FilterOff, Lockdown
from policy.town_policy import Policy
from policy.town_time import zone_of

# It stands twice on a block page of at most 8 kB.
MAX_REASON_LENGTH = 300
SHORTEST_FILTER_OFF = timedelta(minutes=1)
# An afternoon: who needs longer than that changes the policy.
LONGEST_FILTER_OFF = timedelta(hours=4)

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
EVERYONE = ""
_THE_FILTER = ""


class MeasureKind(StrEnum):
    """What was done."""

    LOCKDOWN = "lockdown"
    DEVICE_OFF = "device_off"
    FILTER_OFF = "filter_off"


@dataclass(frozen=True, slots=True)
class NewMeasure:
    """What is to be done; made by `lockdown`, `device_off` and `filter_off`.

    `subject` is the department of a lockdown (EVERYONE for all), the IP address of a device.
    """

    kind: MeasureKind
    subject: str
    because: str
    next_news_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """What was done, as it stands. `ends_at` is when it ends by itself, None for what does not.

    `ended_at` is when it did end, by itself where `ended_by` is None.
    """

    id: int
    kind: MeasureKind
    subject: str
    because: str
    began_at: datetime
    began_by: str
    next_news_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None

    def is_in_force_at(self, at: datetime) -> bool:
        """Whether it holds at `at` (aware UTC)."""
        is_over = self.ends_at is not None and at >= self.ends_at
        return self.ended_at is None and not is_over


@dataclass(frozen=True, slots=True)
class InForce:
    """What a policy snapshot says of emergencies."""

    lockdowns: tuple[Lockdown, ...] = ()
    devices_off: tuple[DeviceOff, ...] = ()
    filter_off: FilterOff | None = None


class AlreadySoError(Exception):
    """What was to be done is so already; nothing changed.

    `measure` is how it stands, None where nothing was ever done about `subject`.
    """

    def __init__(self, subject: str, measure: Measure | None, message: str) -> None:
        super().__init__(message)
        self.subject = subject
        self.measure = measure


# --- what is to be done, from the words of a form or a command (InvalidRequestError names the field) ---


def lockdown(policy: Policy, department: str, because: str, next_news: str, at: datetime) -> NewMeasure:
    """Limit the web for a department, or EVERYONE; `next_news` as `news_time` reads it, or empty."""
    return lockdown_news(policy, lockdown_subject(policy, department), because, next_news, at)


def lockdown_news(policy: Policy, subject: str, because: str, next_news: str, at: datetime) -> NewMeasure:
    """Say anew why a lockdown of this subject is in force; its department may have left the policy."""
    next_news_at = _news_time(policy, next_news, at) if next_news else None
    return NewMeasure(MeasureKind.LOCKDOWN, subject, _reason(because), next_news_at=next_news_at)


def device_off(policy: Policy, device: str, because: str) -> NewMeasure:
    """Take a device off the web, by its IP address or its name in the policy."""
    return NewMeasure(MeasureKind.DEVICE_OFF, device_subject(policy, device), _reason(because))


def filter_off(lasts: str, because: str, at: datetime) -> NewMeasure:
    """Switch the filter off for a while, like "10m" or "2h"; four hours at most."""
    if not lasts:
        raise InvalidRequestError("lasts", "Enter for how long, like 10m or 2h; 4h at most")
    found = re.fullmatch(r"(\d{1,4})([mh])", lasts)
    if found is None:
        raise InvalidRequestError("lasts", f"{lasts!r} is not how long; write it like 10m or 2h")
    duration = int(found[1]) * _UNITS[found[2]]
    if not SHORTEST_FILTER_OFF <= duration <= LONGEST_FILTER_OFF:
        raise InvalidRequestError("lasts", f"The filter is off for 1m to 4h at a time, not for {lasts}")
    return NewMeasure(MeasureKind.FILTER_OFF, _THE_FILTER, _reason(because), ends_at=at + duration)


def lockdown_subject(policy: Policy, department: str) -> str:
    """Return the subject of a lockdown: a department's id, or EVERYONE."""
    if department != EVERYONE and department not in policy.departments:
        message = (
            f"{department!r} is not a department of the policy{_nearest(department, policy.departments)}"
        )
        raise InvalidRequestError("department", message)
    return department


def device_subject(policy: Policy, device: str) -> str:
    """Return the IP address that is meant by an address or by a device's name."""
    if not device:
        raise InvalidRequestError("device", "Enter the device's name, or its IP address")
    by_name = {d.name.lower(): address for address, d in policy.devices.items()}
    if device.lower() in by_name:
        return by_name[device.lower()]
    try:
        return notation.address(device)
    except ValueError as error:
        nearest = _nearest(device, [d.name for d in policy.devices.values()])
        message = f"{device!r} is neither an IP address nor a device of the policy{nearest}"
        raise InvalidRequestError("device", message) from error


# --- moves ---


async def begin(db: Database, new: NewMeasure, *, actor: str, at: datetime) -> Measure:
    """Put a measure in force. Raises AlreadySoError when one of its kind and subject is."""
    async with db.transaction() as t:
        # What ended by itself makes room for the next.
        await t.execute(
            "UPDATE emergency_measure SET ended_at = ends_at WHERE ended_at IS NULL AND ends_at <= ?",
            to_ms(at),
        )
        present = await _present(t, new.kind, new.subject)
        if present is None:
            id_ = await t.insert(
                "INSERT INTO emergency_measure (kind, subject, because, began_at, began_by, next_news_at,"
                " ends_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                new.kind.value,
                new.subject,
                new.because,
                to_ms(at),
                actor,
                to_ms(new.next_news_at) if new.next_news_at else None,
                to_ms(new.ends_at) if new.ends_at else None,
            )
            name = _name(new.kind, new.subject)
            await audit.record(t, Event(_BEGUN[new.kind], actor, name, at, _details(new)))
            return await get(t, id_)
        refused = AlreadySoError(new.subject, present, "it is in force already")
        await _record_refusal(t, new.kind, new.subject, actor, at, move="begin", why=str(refused))
    raise refused


async def give_news(
    db: Database, news: NewMeasure, *, actor: str, at: datetime, seen: int | None = None
) -> Measure:
    """Say anew why a lockdown is in force, and when people hear more; it goes on meanwhile.

    `news` is what `lockdown` makes; `seen` and errors are as with `end`.
    """
    async with db.transaction() as t:
        present = await _present(t, news.kind, news.subject)
        if present is not None and seen in (None, present.id):
            await t.execute(
                "UPDATE emergency_measure SET because = ?, next_news_at = ? WHERE id = ?",
                news.because,
                to_ms(news.next_news_at) if news.next_news_at else None,
                present.id,
            )
            name = _name(news.kind, news.subject)
            await audit.record(t, Event(EventKind.LOCKDOWN_NEWS_GIVEN, actor, name, at, _details(news)))
            return await get(t, present.id)
        refused = await _not_in_force(t, news.kind, news.subject, seen)
        await _record_refusal(t, news.kind, news.subject, actor, at, move="give news", why=str(refused))
    raise refused


async def end(
    db: Database,
    kind: MeasureKind,
    subject: str,
    *,
    actor: str,
    at: datetime,
    seen: int | None = None,
    because: str = "",
) -> Measure:
    """End the measure of this kind and subject that is in force; `because` is for the audit log.

    `seen` is the one that the person was shown: none that began later is ended in its place. Raises
    AlreadySoError when none is in force, or another.
    """
    details: dict[str, Detail] = {"because": _reason(because)} if because else {}
    async with db.transaction() as t:
        present = await _present(t, kind, subject)
        is_in_force = present is not None and present.is_in_force_at(at)
        if present is not None and is_in_force and seen in (None, present.id):
            await t.execute(
                "UPDATE emergency_measure SET ended_at = ?, ended_by = ? WHERE id = ?",
                to_ms(at),
                actor,
                present.id,
            )
            await audit.record(t, Event(_ENDED[kind], actor, _name(kind, subject), at, details))
            return await get(t, present.id)
        refused = await _not_in_force(t, kind, subject, seen)
        await _record_refusal(t, kind, subject, actor, at, move="end", why=str(refused))
    raise refused


async def refuse(
    db: Database, kind: MeasureKind, subject: str, *, actor: str, at: datetime, why: str
) -> None:
    """Record that somebody wanted to do what is not for them to do."""
    async with db.transaction() as t:
        await _record_refusal(t, kind, subject, actor, at, move="act", why=why)


# --- looking ---


async def get(db: Reader, id_: int) -> Measure:
    """Return a measure. Raises LookupError."""
    row = await db.fetch_one("SELECT * FROM emergency_measure WHERE id = ?", id_)
    if row is None:
        raise LookupError(f"there is no emergency measure {id_}")
    return _measure(row)


async def all_in_force(db: Reader, at: datetime) -> list[Measure]:
    """Return what is in force at `at` or from then on, oldest first."""
    rows = await db.fetch_all(
        "SELECT * FROM emergency_measure WHERE ended_at IS NULL AND (ends_at IS NULL OR ends_at > ?)"
        " ORDER BY id",
        to_ms(at),
    )
    return [_measure(row) for row in rows]


async def latest(db: Reader, limit: int) -> list[Measure]:
    """Return the newest measures, in force or over, newest first."""
    rows = await db.fetch_all("SELECT * FROM emergency_measure ORDER BY id DESC LIMIT ?", limit)
    return [_measure(row) for row in rows]


async def live(db: Reader, at: datetime) -> InForce:
    """Return what is in force, as a policy snapshot carries it."""
    lockdowns, devices, off = [], [], None
    for measure in await all_in_force(db, at):
        because, since = measure.because, measure.began_at
        if measure.kind is MeasureKind.LOCKDOWN:
            lockdowns.append(Lockdown(because, since, measure.subject or None, measure.next_news_at))
        elif measure.kind is MeasureKind.DEVICE_OFF:
            devices.append(DeviceOff(measure.subject, because, since))
        elif measure.ends_at is not None:
            off = FilterOff(because, since, measure.ends_at)
    return InForce(tuple(lockdowns), tuple(devices), off)


# --- inside ---

_BEGUN = {
    MeasureKind.LOCKDOWN: EventKind.LOCKDOWN_BEGUN,
    MeasureKind.DEVICE_OFF: EventKind.DEVICE_TAKEN_OFF,
    MeasureKind.FILTER_OFF: EventKind.FILTER_SWITCHED_OFF,
}
_ENDED = {
    MeasureKind.LOCKDOWN: EventKind.LOCKDOWN_ENDED,
    MeasureKind.DEVICE_OFF: EventKind.DEVICE_LET_BACK,
    MeasureKind.FILTER_OFF: EventKind.FILTER_SWITCHED_ON,
}


async def _present(t: Transaction, kind: MeasureKind, subject: str) -> Measure | None:
    row = await t.fetch_one(
        "SELECT * FROM emergency_measure WHERE kind = ? AND subject = ? AND ended_at IS NULL",
        kind.value,
        subject,
    )
    return _measure(row) if row else None


async def _not_in_force(t: Transaction, kind: MeasureKind, subject: str, seen: int | None) -> AlreadySoError:
    last = await t.fetch_one(
        "SELECT * FROM emergency_measure WHERE kind = ? AND subject = ? AND (? IS NULL OR id = ?)"
        " ORDER BY id DESC LIMIT 1",
        kind.value,
        subject,
        seen,
        seen,
    )
    return AlreadySoError(subject, _measure(last) if last else None, "it is not in force")


def _details(new: NewMeasure) -> dict[str, Detail]:
    return {
        "because": new.because,
        "next_news_at": new.next_news_at.isoformat() if new.next_news_at else None,
        "ends_at": new.ends_at.isoformat() if new.ends_at else None,
    }


async def _record_refusal(
    t: Transaction, kind: MeasureKind, subject: str, actor: str, at: datetime, *, move: str, why: str
) -> None:
    details: dict[str, Detail] = {"move": move, "why": why}
    await audit.record(t, Event(EventKind.EMERGENCY_REFUSED, actor, _name(kind, subject), at, details))


def _name(kind: MeasureKind, subject: str) -> str:
    """Return what an event is about: "lockdown", "lockdown finance", "device_off 10.10.20.15"."""
    return f"{kind.value} {subject}".strip()


def _measure(row: Row) -> Measure:
    return Measure(
        id=row["id"],
        kind=MeasureKind(row["kind"]),
        subject=row["subject"],
        because=row["because"],
        began_at=from_ms(row["began_at"]),
        began_by=row["began_by"],
        next_news_at=from_ms(row["next_news_at"]) if row["next_news_at"] is not None else None,
        ends_at=from_ms(row["ends_at"]) if row["ends_at"] is not None else None,
        ended_at=from_ms(row["ended_at"]) if row["ended_at"] is not None else None,
        ended_by=row["ended_by"],
    )


def _reason(text: str) -> str:
    """Return IT's sentence in one line: it stands on other people's pages."""
    line = " ".join(tidy_text("because", text, "Enter why; people read it").split())
    if len(line) > MAX_REASON_LENGTH:
        message = f"Use {MAX_REASON_LENGTH} characters at most; this has {len(line)}"
        raise InvalidRequestError("because", message)
    return line


def _news_time(policy: Policy, text: str, at: datetime) -> datetime:
    """Read the town's next "11:00", or "2026-03-02 11:00"; to come, in UTC."""
    zone = zone_of(policy)
    today = at.astimezone(zone).date()
    try:
        if "-" in text:
            found = notation.moment(text, zone)
        else:
            clock = notation.clock_time(text)
            found = notation.moment(f"{today:%Y-%m-%d} {clock:%H:%M}", zone)
            if found <= at:
                found = notation.moment(f"{today + timedelta(days=1):%Y-%m-%d} {clock:%H:%M}", zone)
    except ValueError as error:
        message = f'{text!r} is not a time; write it like "11:00" or "2026-03-02 11:00"'
        raise InvalidRequestError("next_news", message) from error
    if found <= at:
        raise InvalidRequestError("next_news", f"{text} is over; say when people will hear more")
    return found


def _nearest(word: str, known: Iterable[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word[:64], list(known), n=1)
    return f" (nearest: {near[0]!r})" if near else ""
