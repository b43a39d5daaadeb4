"""What was decided about a host is remembered, and never for longer than it holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.decision import Verdict
from policy.visit import Client
from proxy_addons import judge as judge_module
from proxy_addons.judge import Judge
from proxy_addons.snapshot_watch import SnapshotWatch
from tests.people import CLERK_AT_WORK, SOMEONE_IN_PARKS, STRANGER
from tests.proxied_town import TOWN, exemption
from tests.published_town import CATEGORIES, PublishedTown

MORNING = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday, at ten by the clock on the town's wall; lunch is at 17 UTC."""


class Clock(datetime):
    """The time of day, moved by a test."""

    at = MORNING

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.at


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    Clock.at = MORNING
    monkeypatch.setattr(judge_module, "datetime", Clock)
    return Clock


def judge_of(town: PublishedTown) -> Judge:
    return SnapshotWatch(town.state.root).judge


def verdict(judge: Judge, host: str, client: Client = CLERK_AT_WORK) -> Verdict:
    return judge.judge_host(client, "https", host, 443).decision.verdict


def test_exemption_ends_for_a_remembered_host_at_the_instant_it_expires(
    tmp_path: Path, clock: type[Clock]
) -> None:
    town = PublishedTown(tmp_path)
    granted = exemption("cardroom.example", person="clerk")
    town.publish_policy(exemptions=[granted])
    judge = judge_of(town)
    clock.at = granted.granted_at
    assert verdict(judge, "cardroom.example") is Verdict.ALLOW
    clock.at = granted.expires_at - timedelta(microseconds=1)
    assert verdict(judge, "cardroom.example") is Verdict.ALLOW
    clock.at = granted.expires_at
    assert verdict(judge, "cardroom.example") is Verdict.BLOCK


def test_clock_that_is_put_back_brings_the_old_answer_back(tmp_path: Path, clock: type[Clock]) -> None:
    town = PublishedTown(tmp_path)
    granted = exemption("cardroom.example", person="clerk")
    town.publish_policy(exemptions=[granted])
    judge = judge_of(town)
    clock.at = granted.expires_at
    assert verdict(judge, "cardroom.example") is Verdict.BLOCK
    clock.at = granted.granted_at
    assert verdict(judge, "cardroom.example") is Verdict.ALLOW


def test_schedule_opens_and_closes_a_remembered_host(tmp_path: Path, clock: type[Clock]) -> None:
    judge = judge_of(PublishedTown(tmp_path))
    seen = []
    for hour in (16, 17, 18):
        clock.at = MORNING.replace(hour=hour)
        seen.append(verdict(judge, "shop.example"))
    assert seen[1] is Verdict.ALLOW
    assert seen[0] is seen[2] is not Verdict.ALLOW


def test_what_is_remembered_is_the_clients_and_the_ports_own(tmp_path: Path) -> None:
    town = PublishedTown(tmp_path)
    granted = exemption("cardroom.example", person="clerk")
    town.publish_policy(exemptions=[granted])
    Clock.at = granted.granted_at
    judge = judge_of(town)
    assert verdict(judge, "cardroom.example") is Verdict.ALLOW
    assert verdict(judge, "cardroom.example", SOMEONE_IN_PARKS) is Verdict.BLOCK
    assert verdict(judge, "cardroom.example", STRANGER) is Verdict.BLOCK
    assert not judge.judge_host(CLERK_AT_WORK, "https", "cardroom.example", 2222).decision.is_allowed


def test_what_shows_a_site_opens_as_soon_as_someone_has_continued_there(tmp_path: Path) -> None:
    town = PublishedTown(tmp_path, document=TOWN)
    town.publish_categories({**CATEGORIES, "streaming": ["video.example"]})
    judge = judge_of(town)
    shown_by = "video-example.translate.goog"
    assert verdict(judge, "video.example") is Verdict.WARN
    assert verdict(judge, shown_by) is Verdict.BLOCK
    judge._continuations.add(CLERK_AT_WORK, "video.example", Clock.at)
    assert verdict(judge, "video.example") is Verdict.ALLOW
    assert verdict(judge, shown_by) is Verdict.ALLOW


def test_remembered_judgement_is_the_same_but_for_its_time(tmp_path: Path, clock: type[Clock]) -> None:
    judge = judge_of(PublishedTown(tmp_path))
    for host in ("library.example", "cardroom.example", "phish.example", "video.example", "192.0.2.9"):
        clock.at = MORNING
        first = judge.judge_host(CLERK_AT_WORK, "https", host, 443)
        clock.at = MORNING + timedelta(seconds=1)
        again = judge.judge_host(CLERK_AT_WORK, "https", host, 443)
        assert again == first.made_at(clock.at)
        assert again.visit.at == clock.at
