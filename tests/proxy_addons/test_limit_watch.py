"""Open visits and quotas, within a worker: whose use is counted, for which day, and what it costs."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pytest

from categories.taxonomy import taxonomy
from policy.decision import Cause, Lane
from policy.limiting import Use
from policy.town_time import zone_of
from policy.usage import next_midnight, usage_key
from policy.visit import Client
from proxy_addons.limit_watch import LimitWatch
from proxy_addons.snapshot_watch import SnapshotWatch
from proxy_addons.spool import Spool
from proxy_addons.usage_files import UsageFiles
from proxy_addons.visit_log import OpenVisit, VisitLog
from tests import people
from tests.proxied_town import CLERKS_DESK, TOWN
from tests.published_town import CATEGORIES, PublishedTown
from tests.towns import DOCUMENT as WITHOUT_WARNING

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)
DOCUMENT = TOWN.replace(
    "default: {action", "limits:\n  - {id: a-day, quota: 1GB/day, action: block}\ndefault: {action"
)


class Counting(NamedTuple):
    """What counts in a worker."""

    published: PublishedTown
    snapshots: SnapshotWatch
    log: VisitLog
    limits: LimitWatch


def counting_in(folder: Path, document: str) -> Counting:
    published = PublishedTown(folder / "state", document=document)
    snapshots = SnapshotWatch(published.state.root)
    log = VisitLog(Spool(published.state.spool), taxonomy())
    log.limits = limits = LimitWatch(log, lambda: snapshots.judge, snapshots.usage)
    return Counting(published, snapshots, log, limits)


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return counting_in(tmp_path, DOCUMENT)


async def test_event_loop_is_not_held_up_by_what_many_people_used(counting: Counting) -> None:
    other, now = UsageFiles(counting.published.state.spool), datetime.now(UTC)
    zone = zone_of(counting.snapshots.judge.policy)
    keys = [blake2b(b"%d" % number, digest_size=16).digest() for number in range(40_000)]
    other.look(now, zone)
    for key in keys:
        other.add(key, 20_000, now, zone)
    other.look(now, zone)
    # Of this thread alone, whatever else the machine does.
    began = time.thread_time()
    await counting.limits.look_at_others()
    assert time.thread_time() - began < 0.005
    assert counting.snapshots.usage.used(keys[-1]).size_bytes == 20_000


async def test_open_tunnel_counts_for_the_day_before_until_the_towns_midnight(counting: Counting) -> None:
    judge = counting.snapshots.judge
    zone = zone_of(judge.policy)
    (a_day,) = judge.policy.limits
    client = Client(CLERKS_DESK, person=people.CLERK)
    visit = counting.log.begin(judge.judge_host(client, "https", "library.example", 443), Lane.TUNNEL, print)
    midnight = next_midnight(datetime.now(UTC), zone)
    visit.bytes_down = 300_000
    await counting.limits.look(midnight + SECOND / 10)
    assert judge.used(a_day, client) == Use()
    visit.bytes_down += 50_000
    await counting.limits.look(midnight + SECOND)
    assert judge.used(a_day, client) == Use(50_000, timedelta(minutes=1))
    await counting.limits.look_at_others()
    day_before = UsageFiles(counting.published.state.spool)
    day_before.look(midnight - SECOND, zone)
    assert day_before.used(usage_key(a_day, client)) == Use(300_000, timedelta(minutes=1))


async def test_open_tunnel_counts_for_today_what_it_carried_while_the_clock_was_days_ahead(
    counting: Counting,
) -> None:
    judge, now = counting.snapshots.judge, datetime.now(UTC)
    (a_day,) = judge.policy.limits
    client = Client(CLERKS_DESK, person=people.CLERK)
    visit = counting.log.begin(judge.judge_host(client, "https", "library.example", 443), Lane.TUNNEL, print)
    for at in (now, now + timedelta(days=2), now + timedelta(days=2, minutes=1), now):
        visit.bytes_down += 100_000
        await counting.limits.look(at)
        await counting.limits.look_at_others()
    assert judge.used(a_day, client).size_bytes == 400_000


async def test_open_tunnel_counts_for_who_sits_at_the_device_from_when_it_changed_hands(
    counting: Counting,
) -> None:
    snapshots, log = counting.snapshots, counting.log
    (a_day,) = snapshots.judge.policy.limits
    clerk, head = (snapshots.judge.identities.client_of(who, NOW) for who in (people.CLERK, people.HEAD))
    clerk = replace(clerk, address=CLERKS_DESK)
    visit = log.begin(snapshots.judge.judge_host(clerk, "https", "library.example", 443), Lane.TUNNEL, print)
    visit.bytes_down = 300_000
    # Nobody has looked since when the device is another one's.
    counting.published.publish_policy(DOCUMENT.replace("person: clerk", f"person: {people.HEAD}"))
    assert await snapshots._reload_policy()
    log.judge_again(visit, snapshots.judge)
    visit.bytes_down += 50_000
    await counting.limits.look(datetime.now(UTC))
    used = [snapshots.usage.used(usage_key(a_day, client)).size_bytes for client in (clerk, head)]
    assert used == [300_000, 50_000]
    assert visit.judgement.visit.client == clerk, "who began it made the visit"
    # A quota that is used up is the one of who sits there now.
    visit.bytes_down += 10**9
    await counting.limits.look(datetime.now(UTC))
    log.close()
    stopped, whole = sorted(counting.published.spooled({}), key=lambda one: one.cause is not Cause.LIMIT)
    assert (stopped.person, stopped.rule, whole.person) == (people.HEAD, "a-day", people.CLERK)


class Film(NamedTuple):
    """Something of a category that only its path tells, in a visit that is looked into."""

    counting: Counting
    visit: OpenVisit
    clerk: Client

    def ask(self, path: str, carried: int) -> None:
        asked = self.counting.snapshots.judge.judge(self.clerk, "https", "news.example", 443, path)
        self.counting.limits.follow_request(self.visit, asked)
        self.visit.bytes_down += carried

    async def used_bytes(self) -> int:
        await self.counting.limits.look(datetime.now(UTC))
        videos = self.counting.snapshots.judge.policy.limits[0]
        return self.counting.snapshots.judge.used(videos, self.clerk).size_bytes


VIDEOS = "{id: videos, categories: [streaming], quota: 1MB/day, action: block}"
IN_ALL = "{id: in-all, quota: 1GB/day, action: block}"
OPENED = WITHOUT_WARNING.replace(
    "rules:", "rules:\n  - {id: programs, categories: [press], file_types: [executable], action: block}"
)


def with_limits(*limits: str) -> str:
    return OPENED.replace("default: {action", f"limits: [{', '.join(limits)}]\ndefault: {{action")


async def film(folder: Path, *limits: str) -> Film:
    counting = counting_in(folder, with_limits(*limits))
    counting.published.publish_categories(CATEGORIES, {"streaming": [("news.example", "/films")]})
    assert await counting.snapshots._reload_categories()
    judge = counting.snapshots.judge
    clerk = replace(judge.identities.client_of(people.CLERK, NOW), address=CLERKS_DESK)
    visit = counting.log.begin(judge.judge_host(clerk, "https", "news.example", 443), Lane.INSPECT, print)
    return Film(counting, visit, clerk)


async def test_page_whose_category_only_its_path_tells_uses_the_quota_of_it(tmp_path: Path) -> None:
    seen = await film(tmp_path, VIDEOS)
    for path, carried in (("/books", 1000), ("/films/1", 20_000), ("/books", 3000)):
        seen.ask(path, carried)
    assert await seen.used_bytes() == 20_000
    seen.ask("/films/1", 10**6)
    await seen.used_bytes()
    assert seen.visit.refusal == "closed: over the limit videos"


@pytest.mark.parametrize("others", [(), (IN_ALL,)], ids=["alone", "beside a quota of the whole site"])
async def test_film_that_goes_on_uses_the_quota_of_films_also_after_the_policy_has_changed(
    others: tuple[str, ...], tmp_path: Path
) -> None:
    seen = await film(tmp_path, VIDEOS, *others)
    seen.ask("/films/1", 20_000)
    larger = VIDEOS.replace("1MB", "2MB")
    seen.counting.published.publish_policy(with_limits(larger, *others))
    assert await seen.counting.snapshots._reload_policy()
    seen.counting.log.judge_again(seen.visit, seen.counting.snapshots.judge)
    seen.visit.bytes_down += 1_500_000
    assert await seen.used_bytes() == 1_520_000
    assert seen.visit.refusal is None
    seen.visit.bytes_down += 10**6
    await seen.used_bytes()
    assert seen.visit.refusal == "closed: over the limit videos"
