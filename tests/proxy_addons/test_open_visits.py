"""Open visits: found by who makes them, from where and to which site, and judged again in short turns."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from categories.taxonomy import taxonomy
from policy.decision import Lane
from policy.state import DeviceOff
from policy.touched import EVERY_VISIT, Touched
from policy.visit import Client
from proxy_addons import in_turns
from proxy_addons.judge import Judge
from proxy_addons.judging_again import JudgingAgain
from proxy_addons.snapshot_watch import SnapshotWatch
from proxy_addons.spool import Spool
from proxy_addons.visit_log import OpenVisit, VisitLog
from tests.people import CLERK_AT_WORK
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

IN_PARKS = Client("10.10.40.7", department="parks")


class Town:
    """A published town, and the log of the visits that go on in it."""

    def __init__(self, root: Path) -> None:
        self.published = PublishedTown(root)
        self.log = VisitLog(Spool(self.published.state.spool), taxonomy())
        self.judge = self.new_judge()
        self.closed: list[str] = []

    def new_judge(self) -> Judge:
        return SnapshotWatch(self.published.state.root).judge

    def visit(self, client: Client, host: str) -> OpenVisit:
        judgement = self.judge.judge_host(client, "https", host, 443)
        return self.log.begin(judgement, Lane.TUNNEL, lambda: self.closed.append(host))

    def hosts_touched(self, touched: Touched) -> set[str]:
        return {visit.judgement.visit.host for visit in self.log.open.touched(touched) if visit is not None}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    town.visit(CLERK_AT_WORK, "library.example")
    town.visit(CLERK_AT_WORK, "www.news.example")
    town.visit(IN_PARKS, "news.example")
    town.visit(IN_PARKS, "news-example.translate.goog")
    yield town
    assert len(town.log) == len(list(town.log))


def test_visits_are_found_by_person_address_and_site(town: Town) -> None:
    assert town.hosts_touched(Touched(people=frozenset({"clerk"}))) == {"library.example", "www.news.example"}
    assert town.hosts_touched(Touched(addresses=frozenset({IN_PARKS.address}))) == {
        *("news.example", "news-example.translate.goog")
    }
    assert town.hosts_touched(Touched(sites=frozenset({"news.example"}))) == {
        *("news.example", "www.news.example", "news-example.translate.goog")
    }
    assert town.hosts_touched(Touched(people=frozenset({"head"}), sites=frozenset({"s.example"}))) == set()
    assert len(town.hosts_touched(EVERY_VISIT)) == 4


def test_visit_that_has_ended_is_not_found(town: Town) -> None:
    for visit in town.log:
        town.log.end(visit)
    everything = Touched(frozenset({"clerk"}), frozenset({IN_PARKS.address}), frozenset({"example"}))
    assert town.hosts_touched(everything) == town.hosts_touched(EVERY_VISIT) == set()


def test_visit_is_found_by_whoever_sits_at_its_device_now(town: Town) -> None:
    of_head = DOCUMENT.replace("{name: FIN-PC-15, person: clerk}", "{name: FIN-PC-15, person: head}")
    town.published.publish_policy(of_head)
    judge = town.new_judge()
    for visit in town.log:
        town.log.judge_again(visit, judge)
    assert town.hosts_touched(Touched(people=frozenset({"head"}))) == {"library.example", "www.news.example"}
    assert town.hosts_touched(Touched(people=frozenset({"clerk"}))) == set()
    assert town.closed == []


class CountingJudge:
    """A judge that knows which hosts it was asked about again."""

    def __init__(self, judge: Judge, seconds: float = 0.0) -> None:
        self.asked: list[str] = []
        self.snapshot = judge.snapshot
        self._judge = judge
        self._seconds = seconds

    def judge_again(self, judgement: object) -> object:
        until = time.perf_counter() + self._seconds
        while time.perf_counter() < until:
            pass
        self.asked.append(judgement.visit.host)  # type: ignore[attr-defined]
        return self._judge.judge_again(judgement)  # type: ignore[arg-type]


async def judged_again(town: Town, judge: object, touched: Touched, until: object) -> None:
    again = JudgingAgain(town.log, lambda: judge)  # type: ignore[arg-type, return-value]
    following = asyncio.create_task(again.follow())
    again.change(touched)
    async with asyncio.timeout(30):
        while not until():  # type: ignore[operator]
            await asyncio.sleep(0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_only_what_a_change_is_about_is_judged_again(town: Town) -> None:
    judge = CountingJudge(town.judge)
    touched = Touched(people=frozenset({"clerk"}))
    await judged_again(town, judge, touched, lambda: len(judge.asked) == 2)
    assert set(judge.asked) == {"library.example", "www.news.example"}


async def test_device_taken_off_loses_its_tunnels_and_no_others(town: Town) -> None:
    off = DeviceOff(IN_PARKS.address, "stolen", town.judge.snapshot.published_at)
    snapshot = replace(town.judge.snapshot, devices_off=(off,))
    judge = Judge(
        snapshot, town.judge.categories, b"k" * 32, SnapshotWatch(town.published.state.root).continuations
    )
    touched = Touched(addresses=frozenset({IN_PARKS.address}))
    await judged_again(town, judge, touched, lambda: len(town.closed) == 2)
    assert set(town.closed) == {"news.example", "news-example.translate.goog"}


async def test_judging_many_again_gives_the_loop_a_turn_after_each_slice(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each takes longer than a slice, so that there is a turn after each.
    monkeypatch.setattr(in_turns, "_TURN_SECONDS", 0.0)
    judge = CountingJudge(town.judge, seconds=0.001)
    seen: list[int] = []

    def all_are_judged() -> bool:
        seen.append(len(judge.asked))
        return len(judge.asked) == 4

    await judged_again(town, judge, EVERY_VISIT, all_are_judged)
    assert {1, 2, 3, 4} <= set(seen)


async def test_change_while_visits_are_judged_again_is_judged_after_them(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_turns, "_TURN_SECONDS", 60.0)
    judge = CountingJudge(town.judge)
    again = JudgingAgain(town.log, lambda: judge)  # type: ignore[arg-type, return-value]
    again.change(Touched(people=frozenset({"clerk"})))
    again.change(Touched(addresses=frozenset({IN_PARKS.address})))
    following = asyncio.create_task(again.follow())
    await asyncio.sleep(0)
    assert len(judge.asked) == 4
    again.change(EVERY_VISIT)
    async with asyncio.timeout(30):
        while len(judge.asked) < 8:
            await asyncio.sleep(0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
