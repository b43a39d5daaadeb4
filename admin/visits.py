"""The visit log: asking it, with persons hidden until a reason is given.

A row's `who` is a department and a code of the day, made with a secret of this installation: the
same person has another code tomorrow.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from admin import audit, key_file, sessions
from admin.asking import MAX_REASON_LENGTH, NotAllowedError
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Value
from admin.sessions import Session
from policy.decision import Cause, Lane, Verdict
from policy.visit_record import CODE_ALPHABET

NAMES_SHOWN_FOR = timedelta(minutes=30)

# A report may be there before its visit.
_SELECT = """
    SELECT visit.*, EXISTS (
        SELECT 1 FROM site_report WHERE site_report.kind = 'accident' AND site_report.code = visit.code
    ) AS is_reported FROM visit
"""
_CODE_LENGTH = 3
_MOST_AT_ONCE = 1000


class NamesHiddenError(PermissionError):
    """A search by person, or a case of naming, before a reason was given."""


@dataclass(frozen=True, slots=True)
class VisitFilter:
    """Every given condition holds. `host` covers its subdomains; since <= started_at < until."""

    person: str | None = None
    department: str | None = None
    host: str | None = None
    category: str | None = None
    verdict: Verdict | None = None
    lane: Lane | None = None
    rule: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Who:
    """Who visited. `code` is of the day ("4FK"), None where only the department is known.

    `person`, `device` and `address` are None while names are hidden.
    """

    department: str | None
    code: str | None
    person: str | None = None
    device: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit of the log. `id` grows in the order visits arrived, not in which they started.

    `is_reported`: whoever made it said that they came there by accident.
    """

    id: int
    who: Who
    started_at: datetime
    ended_at: datetime
    code: str
    scheme: str
    host: str
    port: int
    verdict: Verdict
    lane: Lane
    cause: Cause
    rule: str | None
    exemption: str | None
    category: str | None
    entry: str | None
    source: str | None
    refusal: str | None
    bytes_up: int
    bytes_down: int
    policy_sequence: int
    policy_version: str
    category_version: str
    is_reported: bool

    @property
    def lasted(self) -> timedelta:
        """From start to end."""
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True)
class Reach:
    """How often a department went to a site. Under 3 people are shown as "under 3"."""

    tries: int
    people: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a row in the log, newest first."""

    started_at: datetime
    id: int

    def __str__(self) -> str:
        """Return the cursor as text for an address."""
        return f"{to_ms(self.started_at)}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read it back. Raises ValueError."""
        found = re.fullmatch(r"(\d{1,15})\.(\d{1,18})", text, re.ASCII)
        if found is None:
            raise ValueError("not a place in the visit log")
        try:
            return cls(from_ms(int(found[1])), int(found[2]))
        except OverflowError as error:
            raise ValueError("not a place in the visit log") from error


class WhoCodes:
    """Gives people, devices and addresses their codes of the day.

    HMAC-SHA256 of the day (by the clock of the town) and the name, cut to 3 of 30 signs: enough
    to tell the people of a department apart, not to tell who they are. The secret never leaves
    the admin folder.
    """

    def __init__(self, secret: bytes, zone: ZoneInfo) -> None:
        self._secret = secret
        self._zone = zone

    def code(self, name: str, at: datetime) -> str:
        """Return the code of a name on the day of an instant (aware)."""
        day = at.astimezone(self._zone).date().isoformat()
        digest = hmac.digest(self._secret, f"who:{day}:{name}".encode(), "sha256")
        number = int.from_bytes(digest)
        letters = []
        for _ in range(_CODE_LENGTH):
            number, letter = divmod(number, len(CODE_ALPHABET))
            letters.append(CODE_ALPHABET[letter])
        return "".join(letters)


def who_secret(admin_folder: Path) -> bytes:
    """Return the secret of this installation's codes, made when missing. Raises KeyFileError."""
    return key_file.ensure(admin_folder / "who-codes.key")


async def query(
    db: Reader,
    where: VisitFilter,
    codes: WhoCodes,
    *,
    names_shown: bool,
    before: Cursor | None = None,
    limit: int = 50,
) -> list[VisitRow]:
    """Return visits, newest first, those before the cursor's row.

    Raises NamesHiddenError for a search by person while names are hidden: the answer would name.
    """
    condition, params = _condition(where, names_shown=names_shown)
    if before is not None:
        condition += " AND (started_at, id) < (?, ?)"
        params += [to_ms(before.started_at), before.id]
    rows = await db.fetch_all(
        f"{_SELECT} WHERE {condition} ORDER BY started_at DESC, id DESC LIMIT ?",
        *params,
        limit,
    )
    return [_visit_row(row, codes, names_shown=names_shown) for row in rows]


async def arrived_after(
    db: Reader, id_: int, where: VisitFilter, codes: WhoCodes, *, names_shown: bool
) -> tuple[list[VisitRow], int]:
    """Return visits that came into the log after the row `id_`, in the order they came.

    And the id to go on from: a thousand at most are returned at once. Raises as query does.
    """
    condition, params = _condition(where, names_shown=names_shown)
    newest = await last_id(db)
    rows = await db.fetch_all(
        f"{_SELECT} WHERE {condition} AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        *params,
        id_,
        newest,
        _MOST_AT_ONCE,
    )
    found = [_visit_row(row, codes, names_shown=names_shown) for row in rows]
    return found, found[-1].id if len(found) == _MOST_AT_ONCE else max(id_, newest)


async def last_id(db: Reader) -> int:
    """Return the id of the visit that came into the log last; 0 when there is none."""
    row = await db.fetch_one("SELECT max(id) AS id FROM visit")
    return row["id"] or 0 if row else 0


async def get(db: Reader, id_: int, codes: WhoCodes, *, names_shown: bool) -> VisitRow:
    """Return one visit. Raises LookupError."""
    row = await db.fetch_one(f"{_SELECT} WHERE id = ?", id_)
    if row is None:
        raise LookupError(f"there is no visit {id_} in the log")
    return _visit_row(row, codes, names_shown=names_shown)


async def stopped(
    db: Reader, person: str | None, device: str | None, since: datetime, codes: WhoCodes
) -> list[VisitRow]:
    """Return what was blocked for a person, or at a device, since an instant; newest first, 100 at most."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE started_at >= ? AND verdict = ? AND (person = ? OR device = ?)"
        " ORDER BY started_at DESC, id DESC LIMIT 100",
        to_ms(since),
        Verdict.BLOCK.value,
        person,
        device,
    )
    return [_visit_row(row, codes, names_shown=False) for row in rows]


async def reach(db: Reader, host: str, department: str | None, since: datetime) -> Reach:
    """Count a department's visits to a host and its subdomains since an instant, and who made them."""
    first, last = site_range(host)
    row = await db.fetch_one(
        "SELECT count(*) AS tries, count(DISTINCT coalesce(person, device, address)) AS people FROM visit"
        " WHERE site >= ? AND site < ? AND department IS ? AND started_at >= ?",
        first,
        last,
        department,
        to_ms(since),
    )
    return Reach(row["tries"], row["people"]) if row else Reach(0, 0)


async def show_names(db: Database, session: Session, reason: str, case: str, now: datetime) -> Session:
    """Show names to a signed-in session for 30 minutes; who, why and for which case is logged.

    Raises ValueError without a reason, NotAllowedError for a session that only knows the device.
    """
    why = " ".join(reason.split())[:MAX_REASON_LENGTH]
    if not why:
        raise ValueError("Enter why you need the names")
    if session.person is None or not session.is_signed_in:
        raise NotAllowedError("Sign in to see names.")
    until = now + NAMES_SHOWN_FOR
    details: dict[str, Detail] = {
        "reason": why,
        "case": " ".join(case.split())[:100],
        "until": until.isoformat(),
    }
    async with db.transaction() as t:
        await audit.record(t, Event(EventKind.NAMES_SHOWN, session.person, "visits", now, details))
        return await sessions.show_names(t, session, until)


def site_key(host: str) -> str:
    """Return a host as the table keeps it: "www.cardroom.example" is "example.cardroom.www."."""
    return ".".join(reversed(host.split("."))) + "."


def host_of(site: str) -> str:
    """Return the host that the table keeps as `site`."""
    return site_key(site[:-1])[:-1]


def site_range(host: str) -> tuple[str, str]:
    """Return the keys from a host to behind its last subdomain: first <= key < last."""
    key = site_key(host)
    return key, key[:-1] + chr(ord(".") + 1)


def _condition(where: VisitFilter, *, names_shown: bool) -> tuple[str, list[Value]]:
    if where.person is not None and not names_shown:
        raise NamesHiddenError("persons are hidden until a reason is given")
    parts, params = ["1"], list[Value]()
    equal = {
        "person": where.person,
        "department": where.department,
        "category": where.category,
        "verdict": where.verdict.value if where.verdict else None,
        "lane": where.lane.value if where.lane else None,
        "rule": where.rule,
        "code": where.code,
    }
    for column, value in equal.items():
        if value is not None:
            parts.append(f"{column} = ?")
            params.append(value)
    if where.host is not None:
        parts.append("site >= ? AND site < ?")
        params += site_range(where.host)
    if where.since is not None:
        parts.append("started_at >= ?")
        params.append(to_ms(where.since))
    if where.until is not None:
        parts.append("started_at < ?")
        params.append(to_ms(where.until))
    return " AND ".join(parts), params


def _visit_row(row: Row, codes: WhoCodes, *, names_shown: bool) -> VisitRow:
    started_at = from_ms(row["started_at"])
    # A department's network tells nobody apart; an address that is in none is all that is known.
    name = row["person"] or row["device"] or (row["address"] if row["department"] is None else None)
    who = Who(
        department=row["department"],
        code=codes.code(name, started_at) if name else None,
        person=row["person"] if names_shown else None,
        device=row["device"] if names_shown else None,
        address=row["address"] if names_shown else None,
    )
    return VisitRow(
        id=row["id"],
        who=who,
        started_at=started_at,
        ended_at=from_ms(row["ended_at"]),
        code=row["code"],
        scheme=row["scheme"],
        host=host_of(row["site"]),
        port=row["port"],
        verdict=Verdict(row["verdict"]),
        lane=Lane(row["lane"]),
        cause=Cause(row["cause"]),
        rule=row["rule"],
        exemption=row["exemption"],
        category=row["category"],
        entry=row["entry"],
        source=row["source"],
        refusal=row["refusal"],
        bytes_up=row["bytes_up"],
        bytes_down=row["bytes_down"],
        policy_sequence=row["policy_sequence"],
        policy_version=row["policy_version"],
        category_version=row["category_version"],
        is_reported=bool(row["is_reported"]),
    )
