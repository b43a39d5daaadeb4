"""Long visits while they go on: counted as they flow, written so that none is lost with its worker."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from categories.taxonomy import taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Client, Visit
from policy.visit_record import VisitRecord
from proxy_addons import egress_metrics, in_turns
from proxy_addons.judge import Judgement
from proxy_addons.spool import Spool
from proxy_addons.visit_log import OpenVisit, VisitLog
from tests.admin.small_town import MONDAY

CLIENT = Client("10.10.20.15", "clerk", "FIN-PC-15", "finance")


@pytest.fixture
def log(tmp_path: Path) -> VisitLog:
    return VisitLog(Spool(tmp_path), taxonomy())


def begun(log: VisitLog, cause: Cause = Cause.DEFAULT) -> OpenVisit:
    visit = Visit(CLIENT, "https", "long.example", 443, None, MONDAY)
    judgement = Judgement(visit, Decision(Verdict.ALLOW, cause), 1, "policy", "lists")
    return log.begin(judgement, Lane.TUNNEL, lambda: None)


def written(folder: Path) -> list[VisitRecord]:
    lines = [line for path in sorted(folder.glob("*.visits")) for line in path.read_bytes().splitlines()]
    return [VisitRecord.from_line(line) for line in lines]


async def test_long_visit_is_written_after_a_minute_then_every_five_and_at_its_end(
    log: VisitLog, tmp_path: Path
) -> None:
    visit = begun(log)
    for minutes in (0.5, 1, 2, 5.9, 6, 10):
        visit.count_down(b"1234")
        await log.tell_of_open(visit.started_at + timedelta(minutes=minutes))
    log.end(visit)
    log.close()
    assert [(record.is_running, record.bytes_down) for record in written(tmp_path)] == [
        (True, 8),
        (True, 20),
        (False, 24),
    ]
    assert len({record.code for record in written(tmp_path)}) == 1


async def test_bytes_are_counted_while_they_flow_and_each_once(log: VisitLog) -> None:
    down = egress_metrics.BYTES.labels("down", "tunnel")
    before = down._value.get()
    visit = begun(log)
    visit.count_down(b"123")
    await log.tell_of_open(visit.started_at)
    log.flush()
    assert down._value.get() - before == 3
    visit.count_down(b"4567")
    log.end(visit)
    log.flush()
    assert down._value.get() - before == 7
    log.close()


async def test_long_visit_to_the_admin_site_is_neither_written_nor_counted(
    log: VisitLog, tmp_path: Path
) -> None:
    visit = begun(log, Cause.ADMIN_SITE)
    await log.tell_of_open(visit.started_at + timedelta(hours=1))
    log.close()
    assert written(tmp_path) == []


async def test_telling_of_many_leaves_turns_to_others(log: VisitLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turns, "_TURN_SECONDS", 0.0)
    visits = [begun(log) for _ in range(30)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    going_on = asyncio.create_task(others())
    await asyncio.sleep(0)
    await log.tell_of_open(visits[0].started_at + timedelta(minutes=1))
    going_on.cancel()
    assert turns >= len(visits)
    log.close()


async def test_visit_that_ends_while_it_is_told_of_others_is_not_said_to_go_on(
    log: VisitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_turns, "_TURN_SECONDS", 0.0)
    visits = [begun(log) for _ in range(30)]

    async def end_them() -> None:
        await asyncio.sleep(0)
        for visit in visits:
            log.end(visit)

    ending = asyncio.create_task(end_them())
    await asyncio.sleep(0)
    await log.tell_of_open(visits[0].started_at + timedelta(minutes=2))
    await ending
    log.close()
    ended = set[str]()
    for record in written(tmp_path):
        assert not (record.is_running and record.code in ended)
        if not record.is_running:
            ended.add(record.code)
    assert len(ended) == len(visits)


async def test_visit_that_carries_much_is_told_of_with_its_speed_until_it_does_not(log: VisitLog) -> None:
    heavy, fast, light = (begun(log) for _ in range(3))
    at = heavy.started_at
    await log.tell_of_open(at)
    heavy.bytes_down, fast.bytes_up, light.bytes_down = 100_000_000, 5_000_000, 4_999_999
    await log.tell_of_open(at + timedelta(seconds=5))
    assert [(one.code, one.bytes_down, one.bytes_up, one.bytes_per_second) for one in log.heavy.visits] == [
        (heavy.code, 100_000_000, 0, 20_000_000),
        (fast.code, 0, 5_000_000, 1_000_000),
    ]
    assert log.heavy.visits[0].person == CLIENT.person
    light.bytes_down += 10_000_000
    log.end(light)
    heavy.bytes_down += 5
    await log.tell_of_open(at + timedelta(seconds=10))
    # What was large goes on, if only a little; what stands still slows nobody down.
    assert [(one.code, one.bytes_per_second) for one in log.heavy.visits] == [(heavy.code, 1)]
    assert log.heavy.bytes_per_second == 2_000_001
    await log.tell_of_open(at + timedelta(seconds=15))
    assert log.heavy.visits == ()
