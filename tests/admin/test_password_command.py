import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import accounts, closed_people
from admin.clock import utc_now
from admin.command import cli
from admin.database import Database
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot
from tests.people import CLERK
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

PASSWORD = "correct horse battery"


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Return a state folder with a published policy and an empty database; nothing runs."""
    state = PublishedTown(tmp_path / "state").state

    async def make_database() -> None:
        async with Database.open(state.database):
            pass

    asyncio.run(make_database())
    return state


def set_password(state: StateFolder, *args: str, answers: str = f"{PASSWORD}\n") -> Result:
    return CliRunner().invoke(cli, ["password", "set", "--state", str(state.root), *args], input=answers)


def signs_in(state: StateFolder, password: str) -> bool:
    async def attempt() -> bool:
        async with Database.open(state.database) as db:
            try:
                await accounts.sign_in(db, CLERK, password, utc_now())
            except accounts.SignInError:
                return False
            return True

    return asyncio.run(attempt())


def test_the_password_of_the_admin_site_is_set_from_standard_input(state: StateFolder) -> None:
    result = set_password(state, CLERK, "--stdin")
    assert (result.exit_code, result.output) == (0, "The password of clerk for the admin site is set.\n")
    assert signs_in(state, PASSWORD)
    assert not signs_in(state, "another password")


def test_a_prompt_asks_twice_and_shows_nothing(state: StateFolder) -> None:
    result = set_password(state, CLERK, answers=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    assert signs_in(state, PASSWORD)


def test_the_proxy_password_is_another_one(state: StateFolder) -> None:
    result = set_password(state, CLERK, "--proxy", "--stdin")
    assert (result.exit_code, result.output) == (0, "The password of clerk for the proxy is set.\n")
    assert not signs_in(state, PASSWORD)

    async def people() -> list[str]:
        async with Database.open(state.database) as db:
            return list(await accounts.proxy_passwords(db))

    assert asyncio.run(people()) == [CLERK]


def test_a_person_who_is_about_to_come_in_by_the_document_may_have_one(state: StateFolder) -> None:
    state.policy_document.write_text(DOCUMENT.replace("people:\n", "people:\n  newcomer: {name: Newcomer}\n"))
    assert set_password(state, "newcomer", "--stdin").exit_code == 0


@pytest.mark.parametrize(
    ("args", "answers", "message"),
    [
        (["clark", "--stdin"], "x\n", "'clark' is not a person of the policy (nearest: 'clerk')"),
        ([CLERK, "--stdin"], "short\n", "a password has 8 to 256 characters; this one has 5"),
        ([CLERK, "--stdin"], "", "this one has 0"),
    ],
)
def test_what_cannot_be_done_is_said(state: StateFolder, args: list[str], answers: str, message: str) -> None:
    result = set_password(state, *args, answers=answers)
    assert result.exit_code == 2
    assert message in result.output


def test_without_a_town_it_says_what_to_do(tmp_path: Path) -> None:
    result = set_password(StateFolder(tmp_path), CLERK, "--stdin")
    assert result.exit_code == 2
    assert "no policy says who there is" in result.output


def test_without_a_database_it_says_what_to_do(state: StateFolder) -> None:
    state.database.unlink()
    result = set_password(state, CLERK, "--stdin")
    assert result.exit_code == 2
    assert "there is no database yet" in result.output


def test_who_is_closed_gets_no_password(state: StateFolder) -> None:
    policy = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes()).policy

    async def close() -> None:
        async with Database.open(state.database) as db:
            await closed_people.close(db, policy, CLERK, why="Retired.", actor="it", at=utc_now())

    asyncio.run(close())
    result = set_password(state, CLERK, "--stdin")
    assert result.exit_code != 0
    assert "clerk is closed and has no password; 'towngate people reopen clerk' first" in result.output
    assert not signs_in(state, PASSWORD)
