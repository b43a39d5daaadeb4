"""Lists that keep themselves up to date: when, in a process of their own, and what people are told."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from admin.list_settings import ListSettings
from admin.list_updates import Freshness, ListUpdates, SourceStanding
from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot, has_current
from categories.source_checks import SourceCheck
from categories.sources import KeptSources, Source
from categories.updating import update
from tests.categories.list_server import answer, edition, serving

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
AT_THREE = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
"""At 3 in the town, the night after."""


class _Town:
    """A town's lists, with a clock and settings that tests change."""

    def __init__(self, root: Path) -> None:
        self.state = StateFolder(root)
        self.state.create()
        self.kept = KeptSources(self.state.category_sources)
        self.settings = ListSettings()
        self.at = NOON
        self.updates = ListUpdates(self.state, lambda: self.settings, lambda: NEW_YORK, lambda: self.at)

    def configure(self, *sources: Source) -> None:
        """Write settings.yaml with these sources, which both admin and the command read."""
        self.settings = ListSettings(sources)
        listed = "".join(f"    {s.name}: {{location: '{s.location}'}}\n" for s in sources)
        self.state.settings_document.write_text(f"lists:\n  sources:\n{listed}")

    def tried(self, name: str, at: datetime, failures: int = 0) -> None:
        """Note a try as an update does; with failures the last good one was a day before."""
        self.kept.folder.mkdir(exist_ok=True)
        good_at = at - timedelta(days=1) if failures else at
        refused = "it looks like a web page, not a list" if failures else None
        check = SourceCheck("https://lists.example/", None, at, good_at, refused, failures)
        self.kept.note(name, check)

    def standing(self, name: str) -> SourceStanding:
        return next(one for one in self.all_standing() if one.name == name)

    def all_standing(self) -> tuple[SourceStanding, ...]:
        published = has_current(self.state.categories)
        return self.updates.standing(CurrentSnapshot(self.state.categories).snapshot if published else None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the lists up to date until the end of the block."""
        task = asyncio.create_task(self.updates.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_tried(self, name: str, *, again_after: datetime | None = None) -> SourceCheck:
        """Wait for the next try of a source; return what came of it."""
        async with asyncio.timeout(60):
            while True:
                check = self.kept.check(name)
                if check is not None and check.tried_at != again_after and not self.updates.is_running():
                    return check
                await asyncio.sleep(0.05)


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Town:
    monkeypatch.setattr("admin.list_updates._LOOK_SECONDS", 0.05)
    return _Town(tmp_path / "state")


def test_nothing_is_due_without_a_list(town: _Town) -> None:
    assert town.updates.due_at() is None
    town.tried("starter", NOON)
    assert town.updates.due_at() is None


def test_list_that_was_never_tried_is_due_at_once(town: _Town) -> None:
    town.tried("ut1", NOON)
    town.settings = ListSettings((Source("ut1", "https://lists.example/"), Source("more", "/srv/more")))
    due_at = town.updates.due_at()
    assert due_at is not None
    assert due_at < NOON


def test_list_is_due_at_the_next_time_of_the_settings(town: _Town) -> None:
    town.tried("ut1", NOON)
    assert town.updates.due_at() == AT_THREE
    town.settings = ListSettings(every=timedelta(hours=6))
    assert town.updates.due_at() == NOON + timedelta(hours=6)


@pytest.mark.parametrize(
    ("failures", "minutes"), [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 240), (99, 240)]
)
def test_refused_list_is_tried_again_after_growing_pauses(town: _Town, failures: int, minutes: int) -> None:
    town.tried("ut1", NOON, failures)
    assert town.updates.due_at() == NOON + timedelta(minutes=minutes)


def test_refused_list_does_not_wait_past_its_next_time(town: _Town) -> None:
    town.tried("ut1", AT_THREE - timedelta(minutes=5), 9)
    assert town.updates.due_at() == AT_THREE


async def test_list_is_fetched_by_itself_when_it_is_due(town: _Town) -> None:
    with serving({"/list": edition(b"a.example\n", etag='"one"')}) as server:
        town.configure(Source("gambling", server.url("/list")))
        async with town.running():
            first = await town.until_tried("gambling")
            assert CurrentSnapshot(town.state.categories).snapshot.lookup("a.example")
            town.at = first.tried_at
            server.answers = {"/list": edition(b"b.example\n", etag='"two"')}
            # Not due yet: nothing is asked.
            await asyncio.sleep(0.3)
            assert len(server.conditions) == 1
            town.at += timedelta(days=1)
            await town.until_tried("gambling", again_after=first.tried_at)
        assert server.conditions == [(None, None), ('"one"', None)]
    assert CurrentSnapshot(town.state.categories).snapshot.lookup("b.example")
    assert town.updates.failure is None


async def test_refused_list_leaves_the_last_good_one_in_force_and_is_tried_again(
    town: _Town, caplog: pytest.LogCaptureFixture
) -> None:
    with serving({"/list": answer(b"a.example\n")}) as server:
        town.configure(Source("gambling", server.url("/list")))
        async with town.running():
            first = await town.until_tried("gambling")
            server.answers = {"/list": answer(b"<html>Sign in")}
            town.at = first.tried_at + timedelta(days=1)
            refused = await town.until_tried("gambling", again_after=first.tried_at)
            async with asyncio.timeout(60):
                while "list=gambling" not in caplog.text:
                    await asyncio.sleep(0.05)
    (warned,) = [record for record in caplog.records if "list=gambling" in record.getMessage()]
    assert warned.levelname == "WARNING" and "it looks like a web page, not a list" in warned.getMessage()
    assert (refused.good_at, refused.failures) == (first.good_at, 1)
    assert CurrentSnapshot(town.state.categories).snapshot.lookup("a.example")
    town.at = refused.tried_at
    standing = town.standing("gambling")
    assert standing.freshness is Freshness.REFUSED
    assert standing.refused == "it looks like a web page, not a list"
    assert town.updates.due_at() == refused.tried_at + timedelta(minutes=15)


async def test_update_by_hand_is_waited_for(town: _Town) -> None:
    town.kept.folder.mkdir()
    with serving({"/list": answer(b"a.example\n")}) as server:
        town.configure(Source("gambling", server.url("/list")))
        with town.kept.alone() as are_alone:
            assert are_alone
            async with town.running():
                await asyncio.sleep(0.3)
        assert not server.conditions
        assert town.updates.failure is None
        async with town.running():
            await town.until_tried("gambling")


async def test_update_that_cannot_be_made_is_said_and_tried_later(town: _Town) -> None:
    town.configure(Source("gambling", "/nowhere"))
    town.state.category_sources.write_text("in the way")
    async with town.running():
        async with asyncio.timeout(60):
            while town.updates.failure is None:
                await asyncio.sleep(0.05)
    assert "File exists; what was published before stays in force" in town.updates.failure
    assert town.updates.due_at() == NOON + timedelta(minutes=15)


async def test_update_ends_with_admin(town: _Town) -> None:
    is_over = threading.Event()

    def never_ends(handler: BaseHTTPRequestHandler) -> None:
        is_over.wait(60)

    with serving({"/list": never_ends}) as server:
        town.configure(Source("gambling", server.url("/list")))
        async with town.running():
            async with asyncio.timeout(60):
                while not server.conditions:
                    await asyncio.sleep(0.05)
            assert town.updates.is_running()
        assert not town.updates.is_running()
        is_over.set()


async def test_update_that_hangs_is_ended_and_the_lists_before_stay(
    town: _Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        # A header that never ends, a byte at a time: no limit of fetching sees it.
        handler.send_response(200)
        while True:
            handler.wfile.write(b"X")
            time.sleep(0.1)

    monkeypatch.setattr("admin.list_updates._LONGEST_UPDATE_SECONDS", 3.0)
    with serving({"/list": drips}) as server:
        town.configure(Source("gambling", server.url("/list")))
        async with town.running():
            async with asyncio.timeout(60):
                while town.updates.failure is None:
                    await asyncio.sleep(0.05)
    assert town.updates.failure.startswith("the update took too long and was ended")
    assert not town.updates.is_running()


def test_standing_says_what_is_in_force_and_how_old_it_is(town: _Town, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("a.example\nb.example\n")
    town.settings = ListSettings((Source("never", "https://lists.example/"),))
    update([Source("games", str(listed))], town.state.category_sources, town.state.categories, NOON)
    for after, freshness in (
        (timedelta(days=3) - timedelta(seconds=1), Freshness.FRESH),
        (timedelta(days=3), Freshness.OLD),
    ):
        town.at = NOON + after
        assert town.standing("games").freshness is freshness
    assert town.standing("games").old_since == NOON + timedelta(days=3)
    games, starter = town.standing("games"), town.standing("starter")
    assert (games.entries, games.categories, games.good_at) == (2, (("games", 2),), NOON)
    assert (starter.freshness, starter.is_shipped) == (Freshness.FRESH, True)
    assert [one.name for one in town.all_standing()] == ["never", "games", "starter"]
    assert town.standing("never").good_at is None
