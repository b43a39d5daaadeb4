"""The visit log: asking it, with persons hidden until a reason is given.

A row's `who` is a department and a code of the day, made with a secret of this installation: the
same person has another code tomorrow.
"""

import functools
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from admin import audit, key_file, sessions
from admin.asking import MAX_REASON_LENGTH, InvalidRequestError, NotAllowedError
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms
from admin.database import Database
from admin.sessions import NAMES_SHOWN_FOR, Session
from admin.visit_log import searching
from admin.visit_log.searching import Cursor, Found, VisitFilter
from admin.visit_log.taking_in import host_of
from admin.written_text import one_line
from policy.decision import Cause, Lane, Verdict
from policy.visit_record import CODE_ALPHABET

FIRST_YEAR, LAST_YEAR = 2000, 2099
"""Of which years times are asked for. Those at the ends of the calendar are none in another time zone."""
_CODE_LENGTH = 3
_CODES_KEPT = 10_000
_MOST_STOPPED = 100


class NamesHiddenError(Exception):
    """A search by person, or a case of naming, before a reason was given."""


# Structs, and no dataclasses: a question answers with thousands of them.
class Who(Struct, frozen=True):
    """Who visited. `code` is of the day ("4FK"), None where only the department is known.

    `person`, `device` and `address` are None while names are hidden.
    """

    department: str | None
    code: str | None
    person: str | None = None
    device: str | None = None
    address: str | None = None


class VisitRow(Struct, frozen=True):
    """One visit of the log. `id` grows in the order visits arrived, not in which they started.

    `connections`, `requests` and `pages` are as in VisitRecord, of all that was one visit.
    `is_reported`: whoever made it said that they came there by accident. `addresses` are the full ones of
    pages gone to, where the policy has them kept; None while names are hidden, as they may name somebody.
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
    connections: int
    requests: int
    pages: int
    bytes_up: int
    bytes_down: int
    policy_sequence: int
    policy_version: str
    category_version: str
    is_reported: bool
    addresses: tuple[str, ...] | None = None

    @property
    def is_in_background(self) -> bool:
        """Whether its requests could be seen, and none was for a page that was gone to: pages pulled them in,
        or a program made them."""
        return self.requests > 0 and self.pages == 0

    @property
    def lasted(self) -> timedelta:
        """From start to end."""
        return self.ended_at - self.started_at


class WhoCodes:
    """Gives people, devices and addresses their codes of the day.

    HMAC-SHA256 of the day (by the clock of the town) and the name, cut to 3 of 30 signs: enough
    to tell the people of a department apart, not to tell who they are. The secret never leaves
    the admin folder.
    """

    def __init__(self, secret: bytes, zone: ZoneInfo) -> None:
        self._secret = secret
        self._zone = zone
        # Of few people many visits are shown at once.
        self._of_day = functools.lru_cache(_CODES_KEPT)(self._code)

    def code(self, name: str, at: datetime) -> str:
        """Return the code of a name on the day of an instant (aware)."""
        return self._of_day(name, at.astimezone(self._zone).date())

    def _code(self, name: str, day: date) -> str:
        digest = hmac.digest(self._secret, f"who:{day.isoformat()}:{name}".encode(), "sha256")
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
    db: Database,
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
    _check(where, names_shown=names_shown)
    found = await searching.newest_first(db.visits, where, before, limit)
    return await _rows(db, found, codes, names_shown=names_shown)


async def arrived_after(
    db: Database, id_: int, where: VisitFilter, codes: WhoCodes, *, names_shown: bool
) -> tuple[list[VisitRow], int]:
    """Return visits that came into the log after the row `id_`, in the order they came.

    And the id to go on from: a thousand at most are returned at once. Raises as query does.
    """
    _check(where, names_shown=names_shown)
    found, last = await searching.arrived_after(db.visits, id_, where)
    return await _rows(db, found, codes, names_shown=names_shown), last


async def count_arrived_after(
    db: Database, id_: int, where: VisitFilter, *, names_shown: bool
) -> tuple[int, int]:
    """Count the visits that came into the log after the row `id_`; return the id to go on from, too.

    Raises LookupError for what is the id of no visit, and as query does.
    """
    _check(where, names_shown=names_shown)
    return await searching.count_arrived_after(db.visits, id_, where)


async def get(db: Database, id_: int, codes: WhoCodes, *, names_shown: bool) -> VisitRow:
    """Return one visit. Raises LookupError."""
    (row,) = await _rows(db, [await searching.get(db.visits, id_)], codes, names_shown=names_shown)
    return row


async def stopped(
    db: Database, person: str | None, device: str | None, since: datetime, codes: WhoCodes
) -> list[VisitRow]:
    """Return what was blocked for a person, or at a device, since an instant; newest first, 100 at most."""
    found = await searching.blocked_for(db.visits, person, device, since, _MOST_STOPPED)
    return await _rows(db, found, codes, names_shown=False)


async def stopped_at(
    db: Database, person: str, address: str, since: datetime, codes: WhoCodes
) -> list[VisitRow]:
    """Return what was blocked for a person at an address since an instant; newest first, 100 at most."""
    found = await searching.blocked_for(db.visits, person, None, since, _MOST_STOPPED, address=address)
    return await _rows(db, found, codes, names_shown=False)


async def show_names(db: Database, session: Session, reason: str, case: str, now: datetime) -> None:
    """Show names to a signed-in session for 30 minutes; who, why and for which case is logged.

    Raises InvalidRequestError without a reason, NotAllowedError for a session that only knows the device.
    """
    why = one_line(reason)[:MAX_REASON_LENGTH]
    if not why:
        raise InvalidRequestError("reason", "Enter why you need the names")
    if session.person is None or not session.is_signed_in:
        raise NotAllowedError("Sign in to see names.")
    until = now + NAMES_SHOWN_FOR
    details: dict[str, Detail] = {
        "reason": why,
        "case": one_line(case)[:100],
        "until": until.isoformat(),
    }
    async with db.transaction() as t:
        await audit.record(t, Event(EventKind.NAMES_SHOWN, session.person, "visits", now, details))
        await sessions.show_names(t, session.id, session.person, until)


def _check(where: VisitFilter, *, names_shown: bool) -> None:
    if where.person is not None and not names_shown:
        raise NamesHiddenError("persons are hidden until a reason is given")


async def _rows(
    db: Database, found: Sequence[Found], codes: WhoCodes, *, names_shown: bool
) -> list[VisitRow]:
    # A report may be there before its visit.
    reported = await db.fetch_all(
        "SELECT DISTINCT code FROM site_report WHERE kind = 'accident'"
        " AND code IN (SELECT value FROM json_each(?))",
        json.dumps([one.row["code"] for one in found]),
    )
    of_reports = {row["code"] for row in reported}
    addresses = None
    if names_shown:
        addresses = await searching.addresses_of(db.visits, [one.id for one in found])
    return [_visit_row(one, codes, of_reports, addresses) for one in found]


def _visit_row(
    found: Found,
    codes: WhoCodes,
    reported: Collection[str],
    addresses: Mapping[int, tuple[str, ...]] | None,
) -> VisitRow:
    """Return a visit as it is shown; `addresses` by the ids of visits, None while names are hidden."""
    row, names_shown = found.row, addresses is not None
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
        id=found.id,
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
        connections=row["connections"],
        requests=row["requests"],
        pages=row["pages"],
        bytes_up=row["bytes_up"],
        bytes_down=row["bytes_down"],
        policy_sequence=row["policy_sequence"],
        policy_version=row["policy_version"],
        category_version=row["category_version"],
        is_reported=row["code"] in reported,
        addresses=None if addresses is None else addresses.get(found.id, ()),
    )
