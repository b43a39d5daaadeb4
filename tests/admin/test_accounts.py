import asyncio
from datetime import datetime, timedelta
from typing import Any

import argon2
import pytest
from argon2 import PasswordHasher

from admin import accounts, audit, sessions
from admin.accounts import PasswordError, SignInError, TooManyTriesError
from admin.audit import EventKind
from admin.database import Database
from admin.sessions import Level
from tests.admin.small_town import MONDAY
from tests.people import CLERK, HEAD

RIGHT = "correct horse battery"
WRONG = "wrong horse battery"
REAL_HASHER = accounts._HASHER


@pytest.fixture
async def with_clerk(db: Database) -> Database:
    await accounts.set_password(db, CLERK, RIGHT, "admin", actor="test", now=MONDAY)
    return db


async def kinds(db: Database, subject: str) -> list[EventKind]:
    return [event.kind for event in await audit.events_of(db, subject)]


async def test_right_password_opens_a_session_and_a_wrong_one_does_not(with_clerk: Database) -> None:
    opened = await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
    assert opened.token is not None
    assert await sessions.session_of(with_clerk, opened.token, MONDAY) == opened.session
    assert (opened.session.level, opened.session.person) == (Level.SIGNED_IN, CLERK)
    with pytest.raises(SignInError, match="name or password"):
        await accounts.sign_in(with_clerk, CLERK, WRONG, MONDAY)
    assert await kinds(with_clerk, CLERK) == [
        EventKind.PASSWORD_SET,
        EventKind.SIGNED_IN,
        EventKind.SIGN_IN_REFUSED,
    ]


async def test_a_name_nobody_has_is_refused_in_the_same_words_and_for_the_same_work(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_HASHER", REAL_HASHER)
    await accounts.set_password(db, CLERK, RIGHT, "admin", actor="test", now=MONDAY)
    work = []
    verify = PasswordHasher.verify

    def noting(hasher: PasswordHasher, hashed: str, password: str) -> bool:
        work.append(argon2.extract_parameters(hashed))
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", noting)
    words = []
    for name in (CLERK, "nobody"):
        with pytest.raises(SignInError) as refused:
            await accounts.sign_in(db, name, WRONG, MONDAY)
        words.append(str(refused.value))
    assert words[0] == words[1]
    assert len(work) == 2 and work[0] == work[1]
    assert await kinds(db, "nobody") == []


async def test_what_was_typed_as_a_name_is_not_kept(with_clerk: Database) -> None:
    with pytest.raises(SignInError):
        await accounts.sign_in(with_clerk, "my secret password", "x", MONDAY)
    for file in with_clerk.path.parent.iterdir():
        assert b"my secret password" not in file.read_bytes()


async def test_a_person_the_policy_no_longer_names_does_not_sign_in(with_clerk: Database) -> None:
    with pytest.raises(SignInError):
        await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY, is_known=False)


async def test_a_proxy_password_does_not_open_the_admin_site(with_clerk: Database) -> None:
    await accounts.set_password(with_clerk, HEAD, RIGHT, "proxy", actor="test", now=MONDAY)
    with pytest.raises(SignInError):
        await accounts.sign_in(with_clerk, HEAD, RIGHT, MONDAY)
    assert list(await accounts.proxy_passwords(with_clerk)) == [HEAD]


async def test_five_wrong_tries_close_the_name_for_fifteen_minutes(with_clerk: Database) -> None:
    for minute in range(5):
        with pytest.raises(SignInError):
            await accounts.sign_in(with_clerk, CLERK, WRONG, MONDAY + timedelta(minutes=minute))
    with pytest.raises(TooManyTriesError) as refused:
        await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY + timedelta(minutes=5))
    assert refused.value.until == MONDAY + timedelta(minutes=15)
    opened = await accounts.sign_in(with_clerk, CLERK, RIGHT, refused.value.until)
    assert opened.session.person == CLERK


async def test_tries_under_another_name_do_not_close_this_one(with_clerk: Database) -> None:
    for _ in range(6):
        with pytest.raises(SignInError):
            await accounts.sign_in(with_clerk, "nobody", WRONG, MONDAY)
    assert (await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)).token


async def test_a_right_password_forgets_the_wrong_tries(with_clerk: Database) -> None:
    for password in [WRONG] * 4 + [RIGHT] + [WRONG] * 4:
        if password == WRONG:
            with pytest.raises(SignInError):
                await accounts.sign_in(with_clerk, CLERK, password, MONDAY)
        else:
            await accounts.sign_in(with_clerk, CLERK, password, MONDAY)
    assert (await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)).token


async def test_tries_side_by_side_count_like_tries_in_turn(with_clerk: Database) -> None:
    answers = await asyncio.gather(
        *(accounts.sign_in(with_clerk, CLERK, f"{WRONG}{n}", MONDAY) for n in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, TooManyTriesError) for answer in answers) == 12 - accounts.MAX_TRIES


async def test_a_new_password_signs_out_everywhere_and_opens_a_closed_name(with_clerk: Database) -> None:
    opened = await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
    for _ in range(5):
        with pytest.raises(SignInError):
            await accounts.sign_in(with_clerk, CLERK, WRONG, MONDAY)
    await accounts.set_password(with_clerk, CLERK, "another password", "admin", actor="it", now=MONDAY)
    assert opened.token is not None
    assert await sessions.session_of(with_clerk, opened.token, MONDAY) is None
    with pytest.raises(SignInError):
        await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
    assert (await accounts.sign_in(with_clerk, CLERK, "another password", MONDAY)).token


async def test_what_signs_everyone_out_is_not_outrun_by_a_password_that_is_being_checked(
    with_clerk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_thread = accounts._in_thread

    async def meanwhile(*called: Any) -> Any:
        monkeypatch.setattr(accounts, "_in_thread", in_thread)
        await accounts.set_password(with_clerk, CLERK, "another password", "admin", actor="it", now=MONDAY)
        return await in_thread(*called)

    monkeypatch.setattr(accounts, "_in_thread", meanwhile)
    with pytest.raises(SignInError):
        await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
    assert await with_clerk.fetch_all("SELECT * FROM session") == []


@pytest.mark.parametrize("password", ["", "1234567", "x" * 257])
async def test_too_short_or_long_a_password_changes_nothing(with_clerk: Database, password: str) -> None:
    with pytest.raises(PasswordError, match="8 to 256"):
        await accounts.set_password(with_clerk, CLERK, password, "admin", actor="it", now=MONDAY)
    assert (await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)).token


async def test_neither_password_nor_token_is_in_the_database(with_clerk: Database) -> None:
    opened = await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
    assert opened.token is not None
    for file in with_clerk.path.parent.iterdir():
        assert RIGHT.encode() not in file.read_bytes()
        assert opened.token.encode() not in file.read_bytes()


async def test_signing_out_ends_the_session_and_is_recorded(with_clerk: Database) -> None:
    opened = await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
    await accounts.sign_out(with_clerk, opened.session, MONDAY)
    assert opened.token is not None
    assert await sessions.session_of(with_clerk, opened.token, MONDAY) is None
    assert (await kinds(with_clerk, CLERK))[-1] is EventKind.SIGNED_OUT


async def test_wrong_tries_of_an_address_that_tries_everybodys_name_are_answered_late_and_a_right_one_is_not(
    db: Database,
) -> None:
    waited = list[float]()

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async def signs_in(name: str, password: str, address: str | None, at: datetime = MONDAY) -> bool:
        try:
            await accounts.sign_in(db, name, password, at, address=address, wait=wait)
        except TooManyTriesError:
            raise
        except SignInError:
            return False
        return True

    await accounts.set_password(db, CLERK, RIGHT, "admin", actor=HEAD, now=MONDAY)
    for _ in range(60):
        assert await signs_in(CLERK, RIGHT, "10.10.20.15")
    for number in range(accounts.MAX_TRIES_FROM_ADDRESS):
        assert not await signs_in(f"name-{number}", "spring2026", "10.10.20.15")
    assert waited == []
    assert not await signs_in("one-more", "spring2026", "10.10.20.15")
    assert waited == [accounts.LATE_SECONDS]
    assert await signs_in(CLERK, RIGHT, "10.10.20.15")
    assert not await signs_in("another-one", "spring2026", "10.10.20.15")
    assert waited == [accounts.LATE_SECONDS] * 2
    for address in ("10.10.20.16", None):
        assert not await signs_in(f"name-{address}", "spring2026", address)
    assert not await signs_in("later", "spring2026", "10.10.20.15", MONDAY + accounts.TRIES_WITHIN)
    assert waited == [accounts.LATE_SECONDS] * 2


async def test_tries_are_not_counted_where_everybody_may_have_the_address(db: Database) -> None:
    for number in range(3):
        with pytest.raises(SignInError):
            await accounts.sign_in(db, f"name-{number}", WRONG, MONDAY, address=None)
    rows = await db.fetch_all("SELECT name, count(*) AS tries FROM sign_in_try GROUP BY name")
    assert [row["tries"] for row in rows] == [1, 1, 1]


async def test_a_name_is_closed_after_five_wrong_tries_from_an_address_answered_late_too(
    with_clerk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MAX_TRIES_FROM_ADDRESS", 1)
    monkeypatch.setattr(accounts, "LATE_SECONDS", 0)
    for _ in range(5):
        with pytest.raises(SignInError, match="not right"):
            await accounts.sign_in(with_clerk, CLERK, WRONG, MONDAY, address="10.10.20.15")
    with pytest.raises(TooManyTriesError):
        await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY, address="10.10.20.15")


async def test_tries_of_before_a_clock_was_set_back_lock_nobody_out(with_clerk: Database) -> None:
    tomorrow = MONDAY + timedelta(days=1)
    for _ in range(accounts.MAX_TRIES):
        with pytest.raises(SignInError):
            await accounts.sign_in(with_clerk, CLERK, WRONG, tomorrow)
    with pytest.raises(TooManyTriesError):
        await accounts.sign_in(with_clerk, CLERK, RIGHT, tomorrow - timedelta(seconds=1))
    await accounts.sign_in(with_clerk, CLERK, RIGHT, MONDAY)
