"""Corrections of the lists: what the town says a site is. In force for everyone within a second.

A site has one correction in force at most; those before it are kept. Of two people who correct a
site at once one wins: each says which correction they saw, and the other one's move is refused and
recorded.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from admin import audit
from admin.asking import InvalidRequestError, site_of
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.written_text import tidy_text
from categories.taxonomy import UNLISTED, taxonomy
from policy.correction import Correction


@dataclass(frozen=True, slots=True)
class MadeCorrection:
    """A correction, who made it and why; in force unless it was undone.

    `categories` are ids of the taxonomy; empty: the site is listed as nothing.
    """

    id: int
    site: str
    categories: tuple[str, ...]
    why: str
    made_by: str
    made_at: datetime
    undone_by: str | None
    undone_at: datetime | None


class CorrectedMeanwhileError(Exception):
    """The site's correction is another than the person saw: `present`, None when there is none."""

    def __init__(self, site: str, present: MadeCorrection | None) -> None:
        by = f"{present.made_by} corrected it" if present else "its correction was undone"
        super().__init__(f"{site}: {by} meanwhile; nothing changed")
        self.site = site
        self.present = present


async def correct(
    db: Database,
    site: str,
    categories: Sequence[str],
    *,
    why: str,
    actor: str,
    at: datetime,
    seen: int | None,
) -> MadeCorrection:
    """List a site (a canonical host) as these categories and as nothing else.

    `seen` is the id of the correction that the person saw in force, None when they saw none.
    Raises InvalidRequestError for what is not one site, a category that is none, or no reason;
    CorrectedMeanwhileError.
    """
    new = checked(site, categories, why)

    async def change(t: Transaction) -> MadeCorrection:
        return await replace(t, new, actor=actor, at=at, why=why)

    return await _attempt(db, new.site, seen, actor, at, change)


async def undo(
    db: Database, site: str, *, why: str, actor: str, at: datetime, seen: int | None
) -> MadeCorrection:
    """Let the lists say again what a site is; return the correction that ended.

    Raises as correct does; InvalidRequestError, too, when there is none.
    """
    reason = tidy_text("why", why, "Enter why")

    async def change(t: Transaction) -> MadeCorrection:
        present = await in_force(t, site)
        if present is None:
            raise InvalidRequestError("host", f"{site} is not corrected")
        await _end(t, site, actor, at)
        details: dict[str, Detail] = {"categories": list(present.categories), "why": reason}
        await audit.record(t, Event(EventKind.SITE_CORRECTION_UNDONE, actor, site, at, details))
        return await _get(t, present.id)

    return await _attempt(db, site, seen, actor, at, change)


def checked(site: str, categories: Sequence[str], why: str) -> Correction:
    """Return what would be corrected. Raises InvalidRequestError as `correct` does."""
    tidy_text("why", why, "Enter why")
    known = taxonomy().listable
    for category in categories:
        if category in UNLISTED:
            raise InvalidRequestError("category", f"{category!r} is for rules; no site is listed as that")
        if category not in known:
            near = taxonomy().nearest(category)
            hint = f" (nearest: {near!r})" if near in known else ""
            raise InvalidRequestError("category", f"{category!r} is not a category{hint}")
    return Correction(site_of(site), tuple(dict.fromkeys(categories)))


async def replace(t: Transaction, new: Correction, *, actor: str, at: datetime, why: str) -> MadeCorrection:
    """Put a correction that was `checked` in the place of the site's present one, if it has one."""
    before = await in_force(t, new.site)
    await _end(t, new.site, actor, at)
    reason = tidy_text("why", why, "Enter why")
    id_ = await t.insert(
        "INSERT INTO correction (site, categories, why, made_by, made_at) VALUES (?, ?, ?, ?, ?)",
        new.site,
        json.dumps(new.categories),
        reason,
        actor,
        to_ms(at),
    )
    details: dict[str, Detail] = {
        "categories": list(new.categories),
        "before": list(before.categories) if before else None,
        "why": reason,
    }
    await audit.record(t, Event(EventKind.SITE_CORRECTED, actor, new.site, at, details))
    return await _get(t, id_)


async def in_force(db: Reader, site: str) -> MadeCorrection | None:
    """Return the correction of exactly this site that is in force, None when there is none."""
    row = await db.fetch_one("SELECT * FROM correction WHERE site = ? AND undone_at IS NULL", site)
    return _made(row) if row else None


async def history(db: Reader, site: str) -> list[MadeCorrection]:
    """Return the corrections of exactly this site, newest first, 50 at most."""
    rows = await db.fetch_all("SELECT * FROM correction WHERE site = ? ORDER BY id DESC LIMIT 50", site)
    return [_made(row) for row in rows]


async def all_in_force(db: Reader) -> list[MadeCorrection]:
    """Return every correction in force, newest first."""
    rows = await db.fetch_all("SELECT * FROM correction WHERE undone_at IS NULL ORDER BY id DESC")
    return [_made(row) for row in rows]


async def of_parents(db: Reader, host: str) -> tuple[Correction, ...]:
    """Return the corrections in force of a canonical host and of its parents."""
    sites = [host]
    while parent := sites[-1].partition(".")[2]:
        sites.append(parent)
    rows = await db.fetch_all(
        "SELECT site, categories FROM correction WHERE undone_at IS NULL"
        " AND site IN (SELECT value FROM json_each(?))",
        json.dumps(sites),
    )
    return tuple(_correction(row) for row in rows)


async def live(db: Reader) -> tuple[Correction, ...]:
    """Return the corrections in force, as the proxy is told."""
    rows = await db.fetch_all("SELECT site, categories FROM correction WHERE undone_at IS NULL ORDER BY site")
    return tuple(_correction(row) for row in rows)


async def _attempt(
    db: Database,
    site: str,
    seen: int | None,
    actor: str,
    at: datetime,
    change: Callable[[Transaction], Awaitable[MadeCorrection]],
) -> MadeCorrection:
    """Change what was seen, or record that it was refused and raise why; one transaction either way."""
    async with db.transaction() as t:
        present = await in_force(t, site)
        if (present.id if present else None) == seen:
            return await change(t)
        refused = CorrectedMeanwhileError(site, present)
        details: dict[str, Detail] = {"why": str(refused)}
        await audit.record(t, Event(EventKind.SITE_CORRECTION_REFUSED, actor, site, at, details))
    raise refused


async def _end(t: Transaction, site: str, actor: str, at: datetime) -> None:
    await t.execute(
        "UPDATE correction SET undone_by = ?, undone_at = ? WHERE site = ? AND undone_at IS NULL",
        actor,
        to_ms(at),
        site,
    )


async def _get(db: Reader, id_: int) -> MadeCorrection:
    row = await db.fetch_one("SELECT * FROM correction WHERE id = ?", id_)
    if row is None:
        raise LookupError(f"there is no correction {id_}")
    return _made(row)


def _correction(row: Row) -> Correction:
    return Correction(row["site"], tuple(json.loads(row["categories"])))


def _made(row: Row) -> MadeCorrection:
    return MadeCorrection(
        id=row["id"],
        site=row["site"],
        categories=tuple(json.loads(row["categories"])),
        why=row["why"],
        made_by=row["made_by"],
        made_at=from_ms(row["made_at"]),
        undone_by=row["undone_by"],
        undone_at=from_ms(row["undone_at"]) if row["undone_at"] is not None else None,
    )
