"""The notice's receipts: who accepted what, what was put off and until when, and what is on record."""

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from admin import audit, notices, outbox
from admin.audit import EventKind
from admin.clock import utc_now
from admin.database import Database
from admin.letters.wording import Town, words_of
from admin.notices import Change, KnownBy, NotToBePutOffError, OtherVersionError, Receipt
from admin.outbox import Channel, LetterKind
from admin.publisher import Publisher
from categories.taxonomy import taxonomy
from policy.snapshot import PolicySnapshot
from policy.town_policy import Notice
from tests.admin.small_town import MONDAY, TOWN
from tests.people import CLERK, HEAD
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

NOTICE = Notice("one", "Acceptable use", "Sites are recorded.\n\nPages are not.", "Records Law, section 3")
POLICY = replace(TOWN, notice=NOTICE)
NEXT_VERSION = replace(TOWN, notice=replace(NOTICE, version="two", text="Sites are recorded."))
SOON_REQUIRED = replace(TOWN, notice=replace(NOTICE, required_from=date(2026, 3, 4)))
TUESDAY_MIDNIGHT = datetime(2026, 3, 3, 5, 0, tzinfo=UTC)


async def signed(db: Database, person: str = CLERK, at: datetime = MONDAY) -> Receipt:
    return await notices.accept(db, POLICY, person, "one", KnownBy.OWN_DEVICE, at)


async def kinds(db: Database, version: str = "one") -> list[EventKind]:
    return [event.kind for event in await audit.events_of(db, f"notice {version}")]


async def test_who_accepted_has_a_receipt_and_a_copy_in_the_mail(db: Database) -> None:
    receipt = await signed(db)

    assert receipt == Receipt(CLERK, "one", MONDAY, KnownBy.OWN_DEVICE)
    assert await notices.receipt_of(db, CLERK, "one") == receipt
    assert await notices.live(db, POLICY) == {CLERK: None}
    (event,) = await audit.events_of(db, "notice one")
    assert (event.kind, event.actor) == (EventKind.NOTICE_ACCEPTED, CLERK)
    assert event.details == {"known_by": "own_device"}
    (letter,) = await outbox.due(db, Channel.MAIL, MONDAY)
    assert (letter.letter.kind, letter.letter.to) == (LetterKind.NOTICE_RECEIPT, CLERK)
    assert letter.letter.values["text"] == NOTICE.text
    words = await words_of(letter, db, Town(POLICY, MONDAY))
    assert words.paragraphs[1:] == ("Sites are recorded.", "Pages are not.")
    assert ("Law", "Records Law, section 3") in words.facts


async def test_accepting_twice_keeps_the_first_receipt_and_says_it_once(db: Database) -> None:
    first = await signed(db)
    again = await notices.accept(db, POLICY, CLERK, "one", KnownBy.SIGNED_IN, MONDAY + timedelta(hours=1))

    assert again == first
    assert await kinds(db) == [EventKind.NOTICE_ACCEPTED]
    assert len(await outbox.due(db, Channel.MAIL, MONDAY + timedelta(days=1))) == 1


@pytest.mark.parametrize("policy", [NEXT_VERSION, TOWN])
async def test_another_version_than_was_read_is_not_accepted_nor_put_off(
    db: Database, policy: object
) -> None:
    for move in (
        notices.accept(db, policy, CLERK, "one", KnownBy.SIGNED_IN, MONDAY),  # type: ignore[arg-type]
        notices.put_off(db, policy, CLERK, "one", MONDAY),  # type: ignore[arg-type]
    ):
        with pytest.raises(OtherVersionError):
            await move
    assert await notices.all_receipts(db) == []
    assert await kinds(db) == [EventKind.NOTICE_MOVE_REFUSED] * 2


async def test_new_version_is_asked_for_anew_and_an_old_one_that_comes_back_is_not(db: Database) -> None:
    await signed(db)
    assert await notices.live(db, NEXT_VERSION) == {}
    await notices.accept(db, NEXT_VERSION, CLERK, "two", KnownBy.SIGNED_IN, MONDAY + timedelta(days=1))
    assert await notices.live(db, NEXT_VERSION) == {CLERK: None}
    assert await notices.live(db, POLICY) == {CLERK: None}
    last = await notices.accepted_last(db, CLERK)
    assert last is not None and last[1].text == "Sites are recorded."
    assert [version.version for version in await notices.all_versions(db)] == ["one", "two"]


async def test_it_is_put_off_until_the_towns_midnight_and_again_the_next_day(db: Database) -> None:
    until = await notices.put_off(db, SOON_REQUIRED, CLERK, "one", MONDAY)
    assert until == TUESDAY_MIDNIGHT
    assert await notices.live(db, SOON_REQUIRED) == {CLERK: TUESDAY_MIDNIGHT}

    until = await notices.put_off(db, SOON_REQUIRED, CLERK, "one", MONDAY + timedelta(days=1))
    assert until == TUESDAY_MIDNIGHT + timedelta(days=1)
    assert await notices.live(db, SOON_REQUIRED) == {CLERK: until}
    assert await kinds(db) == [EventKind.NOTICE_PUT_OFF] * 2


@pytest.mark.parametrize(
    ("required_from", "at"),
    [
        (None, MONDAY),
        (date(2026, 3, 2), MONDAY),
        (date(2026, 3, 1), MONDAY),
        (date(2026, 3, 4), TUESDAY_MIDNIGHT + timedelta(days=1)),
    ],
)
async def test_what_is_required_cannot_be_put_off(
    db: Database, required_from: date | None, at: datetime
) -> None:
    policy = replace(TOWN, notice=replace(NOTICE, required_from=required_from))
    with pytest.raises(NotToBePutOffError):
        await notices.put_off(db, policy, CLERK, "one", at)
    assert await notices.live(db, policy) == {}
    assert await kinds(db) == [EventKind.NOTICE_MOVE_REFUSED]


async def test_day_that_is_brought_forward_ends_what_was_put_off(db: Database) -> None:
    await notices.put_off(db, SOON_REQUIRED, CLERK, "one", MONDAY)
    at_once = replace(TOWN, notice=replace(NOTICE, required_from=date(2026, 3, 2)))
    assert await notices.live(db, at_once) == {CLERK: datetime(2026, 3, 2, 5, tzinfo=UTC)}
    assert await notices.live(db, POLICY) == {}


async def test_who_put_it_off_and_then_accepts_has_accepted(db: Database) -> None:
    await notices.put_off(db, SOON_REQUIRED, CLERK, "one", MONDAY)
    await notices.accept(db, SOON_REQUIRED, CLERK, "one", KnownBy.SIGNED_IN, MONDAY)
    await signed(db, HEAD)
    assert await notices.live(db, SOON_REQUIRED) == {CLERK: None, HEAD: None}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE notice_receipt SET person = 'head'",
        "UPDATE notice_version SET text = 'other'",
        "DELETE FROM notice_version",
    ],
)
async def test_receipt_and_what_it_rests_on_are_never_changed(db: Database, change: str) -> None:
    await signed(db)
    with pytest.raises(sqlite3.IntegrityError):
        async with db.transaction() as t:
            await t.execute(change)


def test_changes_are_whole_paragraphs_in_the_order_of_reading() -> None:
    before = "One.\n\nTwo,\nin two lines.\n\nThree is\nwrapped."
    after = "Zero.\n\nOne.\n\nTwo.\n\nThree\nis wrapped."
    assert notices.changes(before, after) == [
        (Change.ADDED, "Zero."),
        (Change.REMOVED, "Two, in two lines."),
        (Change.ADDED, "Two."),
    ]
    assert notices.changes(before, before) == []


def test_paragraphs_are_parted_by_empty_lines_and_by_items_of_a_list() -> None:
    text = "You may\nnot:\n- game, nor\n  bet\n- smoke - ever\n1. one\n(a) two\n\nThat is\nall (see b)."
    assert notices.paragraphs(text) == [
        *("You may not:", "- game, nor bet", "- smoke - ever", "1. one", "(a) two"),
        "That is all (see b).",
    ]


async def test_acceptance_is_published_whoever_wrote_it(db: Database, tmp_path: Path) -> None:
    town = PublishedTown(tmp_path / "state")
    town.state.policy_document.write_text(
        DOCUMENT + "notice: {title: Acceptable use, text: Sites are recorded.}\n"
    )
    publisher = Publisher(town.state, db, town.admin_url, taxonomy(), utc_now)
    await publisher.start()
    notice = publisher.policy.notice
    assert notice is not None
    (version,) = await notices.all_versions(db)
    assert (version.version, version.text) == (notice.version, "Sites are recorded.")

    def receipts() -> object:
        return PolicySnapshot.from_bytes(town.state.policy_snapshot.read_bytes()).receipts

    assert receipts() == {}
    before = await db.fetch_one("SELECT change FROM publication")
    await notices.accept(db, publisher.policy, CLERK, notice.version, KnownBy.SIGNED_IN, MONDAY)
    after = await db.fetch_one("SELECT change FROM publication")
    assert before is not None and after is not None and after["change"] > before["change"]
    await publisher.publish_state()
    assert receipts() == {CLERK: None}
