"""`towngate categories correct`: in force at once, undone as easily, and looked up as the proxy does."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import corrections
from admin.admin_process import admin_process
from admin.command import cli
from admin.database import Database
from admin.state_folder import StateFolder
from policy.correction import Correction
from policy.snapshot import PolicySnapshot
from tests.at_once import assert_soon
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

type Towngate = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Return a state folder with a database, as a town has it that ran once."""
    state = PublishedTown(tmp_path / "state").state

    async def make_database() -> None:
        async with Database.open(state.database):
            pass

    asyncio.run(make_database())
    return state


@pytest.fixture
def towngate(state: StateFolder) -> Towngate:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["categories", *arguments, "--state", str(state.root)])

    return call


def _live(state: StateFolder) -> tuple[Correction, ...]:
    async def read() -> tuple[Correction, ...]:
        async with Database.open(state.database) as db:
            return await corrections.live(db)

    return asyncio.run(read())


def test_site_is_listed_as_what_the_town_says(towngate: Towngate, state: StateFolder) -> None:
    result = towngate("correct", "www.cardroom.example", "reference", "education", "--because", "A museum")
    assert result.output == "cardroom.example is listed as Reference, Education now.\n"
    assert _live(state) == (Correction("cardroom.example", ("reference", "education")),)


def test_a_script_gets_one_object(towngate: Towngate) -> None:
    result = towngate("correct", "www.cardroom.example", "reference", "--because", "A museum", "--json")
    expected = {"site": "cardroom.example", "categories": ["reference"], "is_in_force": True}
    assert json.loads(result.output) == expected
    result = towngate("correct", "cardroom.example", "--undo", "--because", "They closed", "--json")
    assert json.loads(result.output) == {**expected, "is_in_force": False}


def test_site_is_listed_as_nothing_and_what_the_lists_say_again(
    towngate: Towngate, state: StateFolder
) -> None:
    result = towngate("correct", "cardroom.example", "--nothing", "--because", "A museum")
    assert result.output == "cardroom.example is listed as nothing now.\n"
    assert _live(state) == (Correction("cardroom.example", ()),)
    result = towngate("correct", "cardroom.example", "--undo", "--because", "They closed")
    assert result.output == "cardroom.example is what the lists say again.\n"
    assert _live(state) == ()


async def test_correction_is_in_force_within_a_second_and_looked_up(
    towngate: Towngate, state: StateFolder
) -> None:
    state.policy_document.write_text(DOCUMENT)

    def in_force() -> bool:
        return bool(PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes()).corrections)

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.02)

    async with admin_process(state, "http://127.0.0.1:9"):
        before = await asyncio.to_thread(towngate, "lookup", "play.cardroom.example")
        assert before.output == "play.cardroom.example: Gambling (gambling), by cardroom.example in test\n"

        async def seconds_until_in_force() -> float:
            if in_force():
                await asyncio.to_thread(
                    towngate, "correct", "cardroom.example", "--undo", "--because", "They closed"
                )
                await until(lambda: not in_force())
            await asyncio.to_thread(
                towngate, "correct", "cardroom.example", "reference", "--because", "A museum"
            )
            corrected_at = time.monotonic()
            await until(in_force)
            return time.monotonic() - corrected_at

        await assert_soon(seconds_until_in_force)
    after = towngate("lookup", "--json", "play.cardroom.example")
    assert json.loads(after.output)["categories"] == [
        {"id": "reference", "entry": "cardroom.example", "source": "town"}
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cardroom.example"], "give categories, or --nothing, or --undo"),
        (["cardroom.example", "games", "--nothing"], "give categories, or --nothing, or --undo"),
        (["cardroom.example", "gambing"], "'gambing' is not a category (nearest: 'gambling')"),
        (["card room", "games"], "'card room' is not a host name"),
        (["com", "games"], "com is not one site; nothing was corrected"),
        (["cardroom.example", "--undo"], "cardroom.example is not corrected"),
    ],
)
def test_what_makes_no_sense_is_an_error(towngate: Towngate, arguments: list[str], message: str) -> None:
    result = towngate("correct", *arguments, "--because", "Why")
    assert result.exit_code == 2
    assert message in result.output


def test_a_reason_is_needed(towngate: Towngate) -> None:
    result = towngate("correct", "cardroom.example", "games")
    assert result.exit_code == 2
    assert "--because" in result.output


def test_without_a_database_it_says_what_to_start(tmp_path: Path) -> None:
    words = ["categories", "correct", "a.example", "games", "--because", "Why", "--state", str(tmp_path)]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "there is no database yet" in result.output
