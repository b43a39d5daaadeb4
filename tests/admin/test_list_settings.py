"""Which lists are fetched, and when: the section `lists` of settings.yaml."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from admin.first_start import demo_policy, first_settings, first_start, start_demo
from admin.list_settings import ListSettings
from admin.settings import read_settings
from admin.state_folder import StateFolder
from categories.default_sources import default_sources
from categories.sources import Source
from policy.problem import PolicyError

NEW_YORK = ZoneInfo("America/New_York")


def _lists(text: str) -> ListSettings:
    return read_settings(f"lists: {text}", Path("/state")).lists


def test_sources_are_read_with_where_they_are_and_what_is_in_them() -> None:
    lists = _lists(
        "{update: {at: '04:30'}, sources: {ut1: {location: 'https://lists.example/ut1.tar.gz'},"
        " ads: {location: lists/hosts.txt, category: advertising}}}"
    )
    assert lists.sources == (
        Source("ut1", "https://lists.example/ut1.tar.gz"),
        Source("ads", "/state/lists/hosts.txt", "advertising"),
    )
    assert (lists.at, lists.every) == (time(4, 30), None)


def test_what_the_gate_holds_lists_to_is_read() -> None:
    lists = _lists("{never_listed: [Town.Example], canaries: {gambling: [casino.example, bets.example]}}")
    assert lists.never_listed == {"town.example"}
    assert lists.canaries == {"gambling": {"bets.example", "casino.example"}}


async def test_a_town_begins_with_the_default_lists_every_night(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    await first_start(state, demo_policy(), {}, first_settings())
    lists = read_settings(state.settings_document.read_text(), state.root).lists
    assert lists.sources == tuple(each.source for each in default_sources() if each.is_on)
    assert lists.sources[0].location == "https://dsi.ut-capitole.fr/blacklists/download/blacklists.tar.gz"
    assert (lists.at, lists.every) == (time(3), None)


def test_a_default_list_that_is_not_used_is_one_sign_away(tmp_path: Path) -> None:
    off = [each for each in default_sources() if not each.is_on]
    text = first_settings()
    for each in off:
        assert f"    # not used: {each.off_because}\n    # {each.name}: {{location" in text
        text = text.replace(f"    # {each.name}: {{", f"    {each.name}: {{")
    sources = read_settings(text, tmp_path).lists.sources
    assert off
    assert sources == tuple(each.source for each in default_sources())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{sources: {starter: {location: x}}}", "'starter' is the list that ships with Towngate"),
        ("{sources: {ut1: {}}}", "'location' is missing"),
        ("{sources: {ads: {location: x, category: advertisin}}}", "(nearest: 'advertising')"),
        ("{sources: {'a.b': {location: x}}}", "'a.b' is not a name for a source"),
        ("{sources: {UT1: {location: x}}}", "'UT1' cannot be an id"),
        ("{update: {at: '25:00'}}", "'25:00' is not a time of the day"),
        ("{update: {every: 30m}}", "'30m' is not a number of hours from 1h to 168h"),
        ("{update: {every: 0h}}", "'0h' is not a number of hours"),
        ("{update: {at: '03:00', every: 24h}}", "'at' and 'every' are two ways to say it; write one"),
        ("{never_listed: ['town example']}", "'town example' is not a host name"),
        ("{canaries: {gamblin: [a.example]}}", "(nearest: 'gambling')"),
        ("{canaries: {gambling: a.example}}", "a list is needed here: [a.example]"),
        ("{updates: {at: '03:00'}}", "(nearest: 'update')"),
    ],
)
def test_what_is_wrong_is_said(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        _lists(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("last", "following"),
    [
        ("2026-03-02 02:59", "2026-03-02 03:00"),
        ("2026-03-02 03:00", "2026-03-03 03:00"),
        ("2026-03-02 14:00", "2026-03-03 03:00"),
        # The clock is put forward at 2 on the 8th of March: still at 3 by the town's clock.
        ("2026-03-07 03:00", "2026-03-08 03:00"),
        ("2026-10-31 03:00", "2026-11-01 03:00"),
    ],
)
def test_lists_are_fetched_at_the_towns_time(last: str, following: str) -> None:
    at, then = (datetime.fromisoformat(text).replace(tzinfo=NEW_YORK) for text in (last, following))
    assert ListSettings().next_after(at.astimezone(UTC), NEW_YORK) == then


def test_an_hour_that_comes_twice_fetches_once() -> None:
    settings = ListSettings(at=time(1, 30))
    first = settings.next_after(datetime(2026, 11, 1, 4, 0, tzinfo=UTC), NEW_YORK)
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert settings.next_after(first, NEW_YORK) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


def test_lists_are_fetched_so_often() -> None:
    last = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    assert ListSettings(every=timedelta(hours=6)).next_after(last, NEW_YORK) == last + timedelta(hours=6)


async def test_the_demo_asks_nobody_else_for_anything(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    await start_demo(state)
    assert not state.settings_document.exists()
