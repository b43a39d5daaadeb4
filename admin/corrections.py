"""Corrections of the lists: what the town says a site is. In force for everyone within a second.

The table and its moves (`admin.site_answers`). Of two people who correct a site at once one wins: each
says which correction they saw.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from admin import audit
from admin.asking import InvalidRequestError, site_of
from admin.audit import Detail, Event, EventKind
from admin.database import Database, Reader, Row, Transaction
from admin.site_answers import SiteAnswer, SiteAnswers
from admin.written_text import tidy_text
from categories.taxonomy import UNLISTED, taxonomy
from policy.correction import Correction


@dataclass(frozen=True, slots=True)
class MadeCorrection(SiteAnswer):
    """A correction. `categories` are ids of the taxonomy; empty: the site is listed as nothing."""

    categories: tuple[str, ...]


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

    async def change(t: Transaction, _present: MadeCorrection | None) -> MadeCorrection:
        return await replace(t, new, actor=actor, at=at, why=why)

    return await _attempt(db, new.site, seen, actor, at, change)


async def undo(
    db: Database, site: str, *, why: str, actor: str, at: datetime, seen: int | None
) -> MadeCorrection:
    """Let the lists say again what a site is; return the correction that ended.

    Raises as correct does; InvalidRequestError, too, when there is none.
    """
    reason = tidy_text("why", why, "Enter why")

    async def change(t: Transaction, present: MadeCorrection | None) -> MadeCorrection:
        if present is None:
            raise InvalidRequestError("host", f"{site} is not corrected")
        await _TABLE.end(t, site, actor, at)
        details: dict[str, Detail] = {"categories": list(present.categories), "why": reason}
        await audit.record(t, Event(EventKind.SITE_CORRECTION_UNDONE, actor, site, at, details))
        return await _TABLE.get(t, present.id)

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
    reason = tidy_text("why", why, "Enter why")
    made = await _TABLE.put(t, new.site, json.dumps(new.categories), why=reason, actor=actor, at=at)
    details: dict[str, Detail] = {
        "categories": list(new.categories),
        "before": list(before.categories) if before else None,
        "why": reason,
    }
    await audit.record(t, Event(EventKind.SITE_CORRECTED, actor, new.site, at, details))
    return made


async def in_force(db: Reader, site: str) -> MadeCorrection | None:
    """Return the correction of exactly this site that is in force, None when there is none."""
    return await _TABLE.in_force(db, site)


async def history(db: Reader, site: str) -> list[MadeCorrection]:
    """Return the corrections of exactly this site, newest first, 50 at most."""
    return (await _TABLE.where(db, "site = ?", site))[:50]


async def all_in_force(db: Reader) -> list[MadeCorrection]:
    """Return every correction in force, newest first."""
    return await _TABLE.where(db, "undone_at IS NULL")


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
    change: Callable[[Transaction, MadeCorrection | None], Awaitable[MadeCorrection]],
) -> MadeCorrection:
    """Change what was seen, or record that it was refused and raise why."""

    def why_not(present: MadeCorrection | None) -> CorrectedMeanwhileError | None:
        is_seen = (present.id if present else None) == seen
        return None if is_seen else CorrectedMeanwhileError(site, present)

    return await _TABLE.attempt(db, site, actor=actor, at=at, why_not=why_not, change=change)


def _correction(row: Row) -> Correction:
    return Correction(row["site"], tuple(json.loads(row["categories"])))


def _made(answer: SiteAnswer, categories: str) -> MadeCorrection:
    return MadeCorrection(**asdict(answer), categories=tuple(json.loads(categories)))


_TABLE = SiteAnswers(
    "correction", site="site", said="categories", read=_made, refused=EventKind.SITE_CORRECTION_REFUSED
)
