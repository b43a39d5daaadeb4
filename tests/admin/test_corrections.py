"""Corrections: one a site, kept for ever, and two people at once never overwrite each other."""

import asyncio
from datetime import timedelta

import pytest

from admin import audit, corrections
from admin.asking import InvalidRequestError
from admin.audit import EventKind
from admin.corrections import CorrectedMeanwhileError, MadeCorrection
from admin.database import Database
from policy.correction import Correction
from tests.admin.small_town import MONDAY, SECOND_IT
from tests.people import IT

SITE = "cardroom.example"
LATER = MONDAY + timedelta(hours=1)


async def corrected(
    db: Database, *categories: str, seen: int | None = None, actor: str = IT, why: str = "A museum"
) -> MadeCorrection:
    return await corrections.correct(db, SITE, categories, why=why, actor=actor, at=MONDAY, seen=seen)


async def test_correction_is_what_the_proxy_is_told(db: Database) -> None:
    await corrected(db, "reference", "education", "reference")
    await corrections.correct(db, "www.b.example", (), why="Nothing", actor=IT, at=MONDAY, seen=None)
    assert await corrections.live(db) == (
        Correction("b.example", ()),
        Correction(SITE, ("reference", "education")),
    )


async def test_every_correction_moves_what_is_to_be_published(db: Database) -> None:
    async def change() -> int:
        row = await db.fetch_one("SELECT change FROM publication")
        assert row is not None
        return int(row["change"])

    before = await change()
    made = await corrected(db, "reference")
    between = await change()
    await corrections.undo(db, SITE, why="They closed", actor=IT, at=LATER, seen=made.id)
    assert before < between < await change()


async def test_newer_correction_takes_the_place_of_the_one_before_which_is_kept(db: Database) -> None:
    first = await corrected(db, "reference")
    second = await corrected(db, "education", seen=first.id, actor=SECOND_IT)
    newest, oldest = await corrections.history(db, SITE)
    assert newest == second == await corrections.in_force(db, SITE)
    assert (oldest.categories, oldest.undone_by) == (("reference",), SECOND_IT)
    assert await corrections.all_in_force(db) == [second]


async def test_undone_correction_is_kept_and_no_longer_told(db: Database) -> None:
    made = await corrected(db, "reference")
    ended = await corrections.undo(db, SITE, why="They closed", actor=SECOND_IT, at=LATER, seen=made.id)
    assert (ended.undone_by, ended.undone_at) == (SECOND_IT, LATER)
    assert await corrections.live(db) == ()
    assert [event.kind for event in await audit.events_of(db, SITE)] == [
        EventKind.SITE_CORRECTED,
        EventKind.SITE_CORRECTION_UNDONE,
    ]


async def test_of_two_who_correct_at_once_one_wins_and_the_other_is_told(db: Database) -> None:
    answers = await asyncio.gather(
        corrected(db, "reference"), corrected(db, "education", actor=SECOND_IT), return_exceptions=True
    )
    (made,) = [answer for answer in answers if isinstance(answer, MadeCorrection)]
    (refused,) = [answer for answer in answers if isinstance(answer, CorrectedMeanwhileError)]
    assert refused.present == made == await corrections.in_force(db, SITE)
    assert str(refused) == f"{SITE}: {made.made_by} corrected it meanwhile; nothing changed"
    refusal = (await audit.events_of(db, SITE))[-1]
    assert (refusal.kind, refusal.actor) == (
        EventKind.SITE_CORRECTION_REFUSED,
        SECOND_IT if made.made_by == IT else IT,
    )


async def test_what_was_undone_meanwhile_is_not_corrected_anew_unseen(db: Database) -> None:
    made = await corrected(db, "reference")
    await corrections.undo(db, SITE, why="They closed", actor=IT, at=LATER, seen=made.id)
    with pytest.raises(CorrectedMeanwhileError, match="its correction was undone meanwhile"):
        await corrected(db, "education", seen=made.id)


async def test_undoing_what_is_not_corrected_says_so(db: Database) -> None:
    with pytest.raises(InvalidRequestError, match=f"{SITE} is not corrected"):
        await corrections.undo(db, SITE, why="They closed", actor=IT, at=LATER, seen=None)


@pytest.mark.parametrize(
    ("site", "category", "why", "field", "message"),
    [
        ("com", "reference", "Why", "host", "com is not one site"),
        (SITE, "gambing", "Why", "category", "'gambing' is not a category (nearest: 'gambling')"),
        (SITE, "newly_seen", "Why", "category", "'newly_seen' is for rules; no site is listed as that"),
        (SITE, "security_risk", "Why", "category", "'security_risk' is not a category"),
        (SITE, "reference", " \n", "why", "Enter why"),
        (SITE, "reference", "x" * 501, "why", "Use 500 characters at most; this has 501"),
    ],
)
async def test_what_makes_no_sense_corrects_nothing(
    db: Database, site: str, category: str, why: str, field: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await corrections.correct(db, site, [category], why=why, actor=IT, at=MONDAY, seen=None)
    assert refused.value.field == field
    assert message in str(refused.value)
    assert await corrections.all_in_force(db) == []
