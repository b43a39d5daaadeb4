"""Which policy and categories a worker decides with: the last good ones."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from prometheus_client import REGISTRY

from policy.state import Exemption
from policy.touched import EVERY_VISIT, Touched
from policy.visit import Client
from proxy_addons import snapshot_watch
from proxy_addons.judge import Judge
from proxy_addons.snapshot_watch import NotPublishedError, SnapshotWatch
from tests.people import CLERK_AT_WORK
from tests.proxied_town import PATIENCE_SECONDS, ProxiedTown, eventually, exemption
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

OTHER_CATEGORIES = {"gambling": ["library.example"]}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def make_of_another_version(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(
        re.sub(rb"\Atowngate-policy-[0-9]+", b"towngate-policy-0", data).replace(b'"format":2', b'"format":9')
    )


def remove(path: Path) -> None:
    path.unlink()


class Watched:
    """A watch that follows a published town; `judges` are those it announced,
    with what each change was about."""

    def __init__(self, published: PublishedTown) -> None:
        self.published = published
        self.watch = SnapshotWatch(published.state.root)
        self.judges: list[Judge] = []
        self.touched: list[Touched] = []

    def announced(self, touched: Touched) -> None:
        self.judges.append(self.watch.judge)
        self.touched.append(touched)

    def verdict(self, host: str, client: Client = CLERK_AT_WORK) -> str:
        return self.watch.judge.judge(client, "https", host, 443, None).decision.verdict.value

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                await asyncio.sleep(0.02)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(PublishedTown(tmp_path / "state"))
    following = asyncio.create_task(watched.watch.follow(watched.announced))
    yield watched
    assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def refused(kind: str) -> float:
    return REGISTRY.get_sample_value("egress_snapshot_refused_total", {"kind": kind}) or 0.0


@pytest.mark.parametrize("damage", [cut, flip, empty, make_of_another_version, remove])
async def test_damaged_policy_is_refused_once_and_the_one_in_force_stays(
    damage: Callable[[Path], None], watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    judge, before = watched.watch.judge, refused("policy")

    damage(watched.published.state.policy_snapshot)
    await watched.until(lambda: refused("policy") > before)
    await asyncio.sleep(0.5)

    assert watched.watch.judge is judge
    assert watched.judges == []
    assert refused("policy") == before + 1
    assert caplog.text.count("snapshot refused, the one in force stays: kind=policy") == 1
    watched.published.publish_policy()
    await watched.until(lambda: watched.watch.judge is not judge)
    # The same policy once more is about no visit.
    assert watched.judges == []


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("snapshot.json", cut),
        ("snapshot.json", flip),
        ("snapshot.json", make_of_another_version),
        ("names.trie", cut),
        ("names.trie", flip),
        ("names.trie", remove),
        ("names.meanings", flip),
        ("urls.trie", empty),
    ],
)
async def test_damaged_categories_are_refused_once_and_those_in_force_stay(
    file: str,
    damage: Callable[[Path], None],
    watched: Watched,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    judge, before = watched.watch.judge, refused("categories")

    publish_damaged(watched.published, tmp_path / "scratch", file, damage)
    await watched.until(lambda: refused("categories") > before)
    await asyncio.sleep(0.5)

    assert watched.watch.judge is judge
    assert (watched.verdict("cardroom.example"), watched.verdict("library.example")) == ("block", "allow")
    assert refused("categories") == before + 1
    assert caplog.text.count("snapshot refused, the one in force stays: kind=categories") == 1
    watched.published.publish_categories(OTHER_CATEGORIES)
    await watched.until(lambda: watched.verdict("library.example") == "block")


@pytest.mark.parametrize("damage", [cut, empty, remove])
async def test_pointer_to_the_categories_that_cannot_be_read_is_refused(
    damage: Callable[[Path], None], watched: Watched
) -> None:
    judge, before = watched.watch.judge, refused("categories")

    damage(watched.published.state.categories / "current.json")
    await watched.until(lambda: refused("categories") > before)

    assert watched.watch.judge is judge
    assert watched.verdict("cardroom.example") == "block"


def publish_damaged(town: PublishedTown, scratch: Path, file: str, damage: Callable[[Path], None]) -> None:
    """Publish categories one file of which was damaged on its way."""
    other = PublishedTown(scratch)
    version = other.publish_categories(OTHER_CATEGORIES)
    damage(other.state.categories / version / file)
    shutil.copytree(other.state.categories / version, town.state.categories / version)
    (other.state.categories / "current.json").rename(town.state.categories / "current.json")


async def test_change_is_announced_with_what_it_is_about(watched: Watched) -> None:
    watched.published.publish_policy(exemptions=[exemption("cardroom.example", person="clerk")])
    await watched.until(lambda: watched.touched == [Touched(people=frozenset({"clerk"}))])
    # It ends with a policy that is about everyone.
    watched.published.publish_policy(NEW_SITES)
    await watched.until(lambda: watched.touched[1:] == [EVERY_VISIT])


class Clock(datetime):
    """What the watch takes for the date and time."""

    shows = datetime(2026, 3, 2, 18, 30, tzinfo=UTC)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.shows  # type: ignore[return-value]  # what it shows is as good


EVENING = (
    DOCUMENT.replace("timezone: America/New_York", "timezone: UTC")
    .replace("schedules:\n", 'schedules:\n  evening: {days: mon-fri, from: "18:00", to: "22:00"}\n')
    .replace(
        "rules:\n", "rules:\n  - {id: evening, when: evening, categories: [gambling], action: allow}\n", 1
    )
)


async def test_clock_that_is_put_back_has_every_visit_judged_again_and_the_edges_come_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_watch, "datetime", Clock)
    watched = Watched(PublishedTown(tmp_path / "state", document=EVENING))
    following = asyncio.create_task(watched.watch.follow(watched.announced))
    await asyncio.sleep(0)
    monkeypatch.setattr(Clock, "shows", datetime(2026, 3, 2, 17, 30, tzinfo=UTC))
    await watched.until(lambda: watched.touched == [EVERY_VISIT])
    monkeypatch.setattr(Clock, "shows", datetime(2026, 3, 2, 18, 1, tzinfo=UTC))
    await watched.until(lambda: watched.touched == [EVERY_VISIT] * 2)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_exemption_that_ends_by_itself_is_announced_as_about_its_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about_clerk = Touched(people=frozenset({"clerk"}))
    ends_at = Clock.shows + timedelta(minutes=15)
    granted = Exemption("EX-1", "cardroom.example", Clock.shows, ends_at, person="clerk")
    monkeypatch.setattr(snapshot_watch, "datetime", Clock)
    watched = Watched(PublishedTown(tmp_path / "state"))
    following = asyncio.create_task(watched.watch.follow(watched.announced))
    watched.published.publish_policy(exemptions=[granted])
    await watched.until(lambda: watched.touched == [about_clerk])
    monkeypatch.setattr(Clock, "shows", ends_at)
    await watched.until(lambda: watched.touched == [about_clerk, about_clerk])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize("missing", ["policy.snapshot", "ask-token.key", "categories"])
def test_watch_does_not_begin_before_everything_is_published(missing: str, tmp_path: Path) -> None:
    town = PublishedTown(tmp_path)
    gone = town.state.published / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    with pytest.raises(NotPublishedError, match="start `towngate admin` with this state folder first"):
        SnapshotWatch(tmp_path)


NEW_SITES = DOCUMENT.replace(
    "rules:\n", "rules:\n  - {id: new-sites, categories: [newly_seen], action: block}\n", 1
)
LONG_AGO = datetime.now(UTC) - timedelta(days=90)


async def test_first_visits_are_followed_where_a_rule_names_newly_seen(watched: Watched) -> None:
    watched.published.publish_policy(NEW_SITES)
    await watched.until(lambda: bool(watched.judges))
    # Before anything is known of first visits nothing is newly seen.
    assert watched.verdict("library.example") == "allow"

    watched.published.publish_first_visits({"other.example": LONG_AGO})
    await watched.until(lambda: watched.verdict("library.example") == "block")
    assert watched.verdict("www.other.example") == "allow"
    assert watched.judges[-1] is watched.watch.judge

    watched.published.publish_first_visits({"other.example": LONG_AGO, "library.example": LONG_AGO})
    await watched.until(lambda: watched.verdict("library.example") == "allow")


async def test_first_visits_that_no_rule_asks_for_have_no_connection_judged_again(watched: Watched) -> None:
    judge = watched.watch.judge
    watched.published.publish_first_visits({"other.example": LONG_AGO})
    await watched.until(lambda: watched.watch.judge is not judge)
    await asyncio.sleep(0.5)
    assert watched.judges == []


@pytest.mark.parametrize("damage", [cut, flip, empty, remove])
async def test_damaged_first_visits_are_refused_once_and_those_in_force_stay(
    damage: Callable[[Path], None], watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.published.publish_first_visits({"other.example": LONG_AGO})
    watched.published.publish_policy(NEW_SITES)
    await watched.until(lambda: watched.verdict("library.example") == "block")
    before = refused("first_visits")

    damage(watched.published.state.first_visits)
    await watched.until(lambda: refused("first_visits") > before)
    await asyncio.sleep(0.5)

    assert (watched.verdict("library.example"), watched.verdict("other.example")) == ("block", "allow")
    assert refused("first_visits") == before + 1
    assert caplog.text.count("snapshot refused, the one in force stays: kind=first_visits") == 1


def test_worker_starts_beside_damaged_first_visits(tmp_path: Path) -> None:
    town = PublishedTown(tmp_path, document=NEW_SITES)
    town.state.first_visits.write_bytes(b"nothing")
    before = refused("first_visits")
    judge = SnapshotWatch(tmp_path).judge
    assert judge.judge(CLERK_AT_WORK, "https", "library.example", 443, None).decision.is_allowed
    assert refused("first_visits") == before + 1


def test_refused_snapshot_in_a_worker_changes_nothing_for_those_who_browse(town: ProxiedTown) -> None:
    before = town.metric("egress_snapshot_refused_total", kind="policy")

    cut(town.published.state.policy_snapshot)
    eventually(lambda: town.metric("egress_snapshot_refused_total", kind="policy") == before + 1)

    assert town.client.get("https://library.example/").status == 200
    assert town.client.get("https://cardroom.example/").status == 403
    town.publish_policy()
