"""What people with that duty said of a site: in force until it is undone, or until the next in its place.

Each kind is a table of its own. A site has one answer of a kind in force at most; those before it are
kept. Of two people who answer at once one is first; what the other wanted is refused and recorded.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from admin import audit
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction, Value


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """An answer about a site, a canonical host; who gave it and why. Times aware UTC."""

    id: int
    site: str
    why: str
    made_by: str
    made_at: datetime
    undone_by: str | None
    undone_at: datetime | None


class SiteAnswers[A: SiteAnswer]:
    """The answers of one kind.

    `table` has them, with the site in the column `site` and what is said in `said`; `read` makes one of a
    row and of what all kinds have. `refused` is the event of what somebody wanted and could not.
    """

    def __init__(
        self,
        table: str,
        *,
        site: str,
        said: str,
        read: Callable[[SiteAnswer, str], A],
        refused: EventKind,
    ) -> None:
        self._table = table
        self._site = site
        self._said = said
        self._read = read
        self._refused = refused

    async def get(self, db: Reader, id_: int) -> A:
        """Return an answer, in force or not. Raises LookupError."""
        found = await self.where(db, "id = ?", id_)
        if not found:
            raise LookupError(f"there is no {self._table} {id_}")
        return found[0]

    async def in_force(self, db: Reader, site: str) -> A | None:
        """Return the answer about exactly this site that is in force, None when there is none."""
        found = await self.where(db, f"{self._site} = ? AND undone_at IS NULL", site)
        return found[0] if found else None

    async def where(self, db: Reader, condition: str, *values: Value) -> list[A]:
        """Return the answers that a condition (SQL, our own words) holds for, newest first."""
        rows = await db.fetch_all(
            f"SELECT * FROM {self._table} WHERE {condition} ORDER BY id DESC",  # noqa: S608 - own words
            *values,
        )
        return [self._answer(row) for row in rows]

    async def attempt(
        self,
        db: Database,
        site: str,
        *,
        actor: str,
        at: datetime,
        why_not: Callable[[A | None], Exception | None],
        change: Callable[[Transaction, A | None], Awaitable[A]],
    ) -> A:
        """Make a change, or record why not and raise it; one transaction either way.

        Both are given the answer in force, None when there is none.
        """
        async with db.transaction() as t:
            present = await self.in_force(t, site)
            refused = why_not(present)
            if refused is None:
                return await change(t, present)
            await self.record_refusal(t, site, actor, at, str(refused))
        raise refused

    async def put(self, t: Transaction, site: str, said: str, *, why: str, actor: str, at: datetime) -> A:
        """Put an answer in the place of the one in force, if there is one."""
        await self.end(t, site, actor, at)
        id_ = await t.insert(
            f"INSERT INTO {self._table} ({self._site}, {self._said}, why, made_by, made_at)"  # noqa: S608 - own words
            " VALUES (?, ?, ?, ?, ?)",
            *(site, said, why, actor, to_ms(at)),
        )
        return await self.get(t, id_)

    async def end(self, t: Transaction, site: str, actor: str, at: datetime) -> None:
        """Undo the answer in force, if there is one."""
        await t.execute(
            f"UPDATE {self._table} SET undone_by = ?, undone_at = ?"  # noqa: S608 - own words
            f" WHERE {self._site} = ? AND undone_at IS NULL",
            *(actor, to_ms(at), site),
        )

    async def record_refusal(self, t: Transaction, site: str, actor: str, at: datetime, why: str) -> None:
        """Record that somebody wanted what was refused."""
        details: dict[str, Detail] = {"why": why}
        await audit.record(t, Event(self._refused, actor, site, at, details))

    def _answer(self, row: Row) -> A:
        answer = SiteAnswer(
            id=row["id"],
            site=row[self._site],
            why=row["why"],
            made_by=row["made_by"],
            made_at=from_ms(row["made_at"]),
            undone_by=row["undone_by"],
            undone_at=from_ms(row["undone_at"]) if row["undone_at"] is not None else None,
        )
        return self._read(answer, row[self._said])
