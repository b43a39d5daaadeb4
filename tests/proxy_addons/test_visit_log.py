"""Long visits while they go on: counted as they flow, written so that none is lost with its worker."""

from datetime import timedelta
from pathlib import Path

import pytest

from categories.taxonomy import taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Client, Visit
from policy.visit_record import VisitRecord
from proxy_addons import egress_metrics
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


def test_long_visit_is_written_after_a_minute_then_every_five_and_at_its_end(
    log: VisitLog, tmp_path: Path
) -> None:
    visit = begun(log)
    for minutes in (0.5, 1, 2, 5.9, 6, 10):
        visit.count_down(b"1234")
        log.tell_of_open(visit.started_at + timedelta(minutes=minutes))
    log.end(visit)
    log.close()
    assert [(record.is_running, record.bytes_down) for record in written(tmp_path)] == [
        (True, 8),
        (True, 20),
        (False, 24),
    ]
    assert len({record.code for record in written(tmp_path)}) == 1


def test_bytes_are_counted_while_they_flow_and_each_once(log: VisitLog) -> None:
    down = egress_metrics.BYTES.labels("down")
    before = down._value.get()
    visit = begun(log)
    visit.count_down(b"123")
    log.tell_of_open(visit.started_at)
    log.flush()
    assert down._value.get() - before == 3
    visit.count_down(b"4567")
    log.end(visit)
    log.flush()
    assert down._value.get() - before == 7
    log.close()


def test_long_visit_to_the_admin_site_is_neither_written_nor_counted(log: VisitLog, tmp_path: Path) -> None:
    visit = begun(log, Cause.ADMIN_SITE)
    log.tell_of_open(visit.started_at + timedelta(hours=1))
    log.close()
    assert written(tmp_path) == []
