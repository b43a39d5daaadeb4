from datetime import timedelta
from pathlib import Path

import pytest

from admin import outbox
from admin.database import Database
from admin.outbox import HELP_DESK, Channel, Depth, Letter, LetterKind, PutLetter
from tests.admin.small_town import MONDAY
from tests.people import CLERK, HEAD

LATER = MONDAY + timedelta(minutes=5)
TO_DECIDE = Letter(LetterKind.REQUEST_TO_DECIDE, HEAD, "REQ-1", {"step": "0"}, again="step 0")
ALLOWED = Letter(LetterKind.REQUEST_ALLOWED, CLERK, "REQ-1")


async def put(db: Database, *letters: Letter) -> None:
    async with db.transaction() as t:
        for letter in letters:
            await outbox.put(t, letter, MONDAY)


async def due(db: Database, channel: Channel = Channel.MAIL) -> list[PutLetter]:
    return await outbox.due(db, channel, LATER)


async def test_a_letter_is_put_once_however_often_it_is_put(db: Database) -> None:
    await put(db, TO_DECIDE, ALLOWED)
    before = await due(db)
    await put(db, TO_DECIDE, ALLOWED)
    assert [letter.letter for letter in before] == [TO_DECIDE, ALLOWED]
    assert await due(db) == before


async def test_the_next_step_of_a_request_is_another_letter(db: Database) -> None:
    await put(db, TO_DECIDE, Letter(TO_DECIDE.kind, HEAD, "REQ-1", {"step": "1"}, again="step 1"))
    assert [letter.letter.values["step"] for letter in await due(db)] == ["0", "1"]


async def test_a_letter_is_put_with_what_it_tells_of_or_not_at_all(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as t:
            await outbox.put(t, ALLOWED, MONDAY)
            raise ZeroDivisionError
    assert await due(db) == []


async def test_a_letter_that_lacks_what_its_kind_tells_is_refused_where_it_is_put(db: Database) -> None:
    with pytest.raises(ValueError, match=r"accident_answered without answer"):
        await put(db, Letter(LetterKind.ACCIDENT_ANSWERED, CLERK, "SITE-1", {"host": "cardroom.example"}))


async def test_the_help_desk_gets_it_by_mail_and_by_webhook(db: Database) -> None:
    await put(db, Letter(LetterKind.TICKET, HELP_DESK, "REQ-1"))
    (mail,) = await due(db)
    (hook,) = await due(db, Channel.WEBHOOK)
    assert mail.letter == hook.letter
    assert mail.message_id != hook.message_id


async def test_what_is_for_later_is_not_due_before_nor_behind_and_survives_a_restart(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "towngate.db") as db, db.transaction() as t:
        await outbox.put(t, ALLOWED, LATER)
    async with Database.open(tmp_path / "towngate.db") as db:
        early = LATER - timedelta(seconds=1)
        assert await outbox.due(db, Channel.MAIL, early) == []
        assert await outbox.depth(db, Channel.MAIL, early) == Depth(0, 0, None, None)
        (letter,) = await outbox.due(db, Channel.MAIL, LATER)
        assert (letter.letter, letter.put_at) == (ALLOWED, LATER)
        assert await outbox.depth(db, Channel.MAIL, LATER) == Depth(1, 0, LATER, None)


async def test_what_was_put_off_waits_for_its_time_and_what_is_done_never_comes_again(db: Database) -> None:
    await put(db, TO_DECIDE, ALLOWED, Letter(LetterKind.REQUEST_STOPPED, CLERK, "REQ-1"))
    first, second, third = await due(db)
    async with db.transaction() as t:
        await outbox.mark_sent(t, first, LATER)
        await outbox.put_off(t, second, LATER + timedelta(seconds=1), "451 try again")
        await outbox.mark_failed(t, third, LATER, "550 no such mailbox")
        await outbox.put_off(t, first, LATER, "after it was sent")
    assert await due(db) == []
    assert await outbox.depth(db, Channel.MAIL, LATER) == Depth(1, 1, MONDAY, LATER)
    (again,) = await outbox.due(db, Channel.MAIL, LATER + timedelta(seconds=1))
    assert (again.id, again.message_id, again.tries) == (second.id, second.message_id, 1)


async def test_a_thread_is_what_was_sent_to_the_same_about_the_same_before(db: Database) -> None:
    stopped = Letter(LetterKind.REQUEST_STOPPED, CLERK, "REQ-1")
    elsewhere = Letter(LetterKind.REQUEST_ALLOWED, CLERK, "REQ-2")
    await put(db, ALLOWED, TO_DECIDE, elsewhere, stopped)
    allowed, to_decide, other, last = await due(db)
    assert await outbox.earlier_in_thread(db, last) == []
    async with db.transaction() as t:
        for letter in (allowed, to_decide, other):
            await outbox.mark_sent(t, letter, LATER)
    assert await outbox.earlier_in_thread(db, last) == [allowed.message_id]
