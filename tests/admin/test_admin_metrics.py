"""What Prometheus is told of admin's side, and that one scrape has it."""

import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from admin import outbox
from admin.access_requests import approve, deny
from admin.admin_metrics import AdminMetrics
from admin.correspondence import Correspondence
from admin.database import Database
from admin.ingest import Ingest
from admin.list_settings import ListSettings
from admin.list_updates import ListUpdates
from admin.metrics_listener import MetricsListener
from admin.outbox import Letter, LetterKind
from admin.settings_file import SettingsFile
from admin.site_lists import SiteLists
from admin.state_folder import StateFolder
from categories.source_checks import SourceCheck
from categories.sources import KeptSources, Source
from categories.updating import update
from tests.admin.small_town import MONDAY, TOWN, listed, submitted, visit_record
from tests.people import HEAD, IT

type Figures = dict[tuple[str, str], float]


class _Town:
    """What writes the figures, of a town without traffic, and the listener that shows them."""

    def __init__(self, state: StateFolder, db: Database) -> None:
        self.state = state
        self.db = db
        self.at: datetime = MONDAY
        self.ingest = Ingest(db, state.spool, self.now)
        lists = ListUpdates(state, ListSettings, lambda: ZoneInfo("America/New_York"), self.now)
        site_lists = SiteLists(state.categories, db)
        self.settings = SettingsFile(state)
        correspondence = Correspondence(
            db, self.settings, lambda: TOWN, "https://gate.example", self.now, reset_key=bytes(32)
        )
        self.metrics = AdminMetrics(state, db, lists, site_lists, self.ingest, correspondence, self.now)
        self.listener = MetricsListener(
            state.metrics, state.admin_metrics, CollectorRegistry(), is_healthy=bool, is_ready=bool
        )
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            self.listener.serve(listening)

    def now(self) -> datetime:
        return self.at

    async def scraped(self) -> str:
        """Write the figures and scrape them."""
        await self.metrics.write()
        return self.shown()

    def shown(self) -> str:
        """Scrape what is there."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.text


def figures(text: str) -> Figures:
    """Return every sample by its name and its labels' values."""
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
async def town(tmp_path: Path, db: Database) -> AsyncIterator[_Town]:
    state = StateFolder(tmp_path / "state")
    state.create()
    town = _Town(state, db)
    yield town
    town.listener.stop()


async def test_lists_are_told_with_their_age_and_refusal(town: _Town) -> None:
    path = town.state.root / "games.txt"
    path.write_text("a.example\nb.example\n")
    kept = town.state.category_sources
    update([Source("games", str(path))], kept, town.state.categories, MONDAY)
    refused = SourceCheck("https://lists.example/", None, MONDAY).failed(MONDAY, "the server answered 503")
    KeptSources(kept).note("never", refused)
    shown = figures(await town.scraped())
    assert shown["towngate_source_good_timestamp_seconds", "games"] == MONDAY.timestamp()
    assert shown["towngate_source_entries", "games"] == 2
    assert shown["towngate_source_refused", "games"] == 0
    assert shown["towngate_source_refused", "never"] == 1
    assert ("towngate_source_good_timestamp_seconds", "never") not in shown
    # It never ages: no alert about it.
    assert shown["towngate_source_entries", "starter"] > 1000
    assert ("towngate_source_good_timestamp_seconds", "starter") not in shown


async def test_a_worker_that_is_just_making_its_files_keeps_no_figures_back(town: _Town) -> None:
    # As it is for an instant when a worker starts: prometheus_client makes it, and then makes it large.
    (town.state.metrics / "counter_4711.db").touch()
    assert ("towngate_access_requests", "submitted") in figures(await town.scraped())


async def test_requests_are_told_by_where_they_stand(town: _Town) -> None:
    for host in ("one.example", "two.example", "three.example", "four.example"):
        await submitted(town.db, host=host)
    await deny(town.db, TOWN, 1, actor=HEAD, at=MONDAY, reason="Not needed for work")
    await approve(town.db, TOWN, listed, 2, actor=HEAD, at=MONDAY)
    await approve(town.db, TOWN, listed, 3, actor=HEAD, at=MONDAY, expires_at=MONDAY + timedelta(hours=1))
    town.at = MONDAY + timedelta(hours=2)
    shown = figures(await town.scraped())
    assert {
        state: shown["towngate_access_requests", state]
        for state in ("submitted", "awaits_opening", "approved", "denied", "withdrawn", "stopped", "ended")
    } == {
        "submitted": 1,
        "awaits_opening": 0,
        "approved": 1,
        "denied": 1,
        "withdrawn": 0,
        "stopped": 0,
        "ended": 1,
    }
    assert shown["towngate_oldest_waiting_request_age_seconds", ""] == 7200


async def test_letters_that_wait_or_failed_are_told(town: _Town) -> None:
    async with town.db.transaction() as t:
        await outbox.put(t, Letter(LetterKind.REQUEST_ALLOWED, to=IT, about="REQ-1"), MONDAY)
    town.at = MONDAY + timedelta(minutes=10)
    shown = figures(await town.scraped())
    # In a town without a mail server nothing is stuck.
    assert shown["towngate_oldest_waiting_letter_age_seconds", "mail"] == 0
    town.state.settings_document.write_text("mail: {server: 'smtp://127.0.0.1', from: gate@town.example}\n")
    await town.settings.reload()
    shown = figures(await town.scraped())
    assert shown["towngate_letters", "mail waiting"] == 1
    assert shown["towngate_letters", "mail failed"] == 0
    assert shown["towngate_letters", "webhook waiting"] == 0
    assert shown["towngate_oldest_waiting_letter_age_seconds", "mail"] == 600


async def test_a_quiet_town_has_every_figure(town: _Town) -> None:
    await town.ingest.take_in()
    shown = figures(await town.scraped())
    assert shown["towngate_oldest_waiting_request_age_seconds", ""] == 0
    assert shown["towngate_spool_waiting_bytes", ""] == 0
    assert shown["towngate_visits_caught_up_timestamp_seconds", ""] == MONDAY.timestamp()
    assert shown["towngate_admin_written_timestamp_seconds", ""] == MONDAY.timestamp()


async def test_size_of_the_visit_log_is_told_and_a_damaged_month_keeps_nothing_else_back(town: _Town) -> None:
    (town.state.spool / "1.visits").write_bytes(visit_record(host="a.example", started_at=MONDAY).to_line())
    await town.ingest.take_in()
    folder = town.db.visits.folder
    (month,) = folder.glob("*.db")
    assert figures(await town.scraped())["towngate_visit_log_bytes", ""] >= month.stat().st_size > 0
    (folder / f"{MONDAY.replace(day=1) - timedelta(days=1):%Y-%m}.db").write_bytes(b"no database" * 1000)
    shown = figures(await town.scraped())
    assert ("towngate_visit_log_bytes", "") not in shown
    assert shown["towngate_access_requests", "submitted"] == 0


async def test_figures_stay_while_admin_is_down(town: _Town) -> None:
    before = figures(await town.scraped())
    town.at += timedelta(days=1)
    assert figures(town.shown()) == before


@pytest.mark.parametrize(
    "written",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("towngate_x{ no metrics\n"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.chmod(0),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_text("# TYPE egress_exemptions gauge\negress_exemptions 9\n"),
    ],
    ids=["missing", "garbled", "no text", "unreadable", "a folder", "the workers' names"],
)
async def test_what_admin_wrote_never_spoils_what_the_workers_tell(
    town: _Town, written: Callable[[Path], object]
) -> None:
    await town.metrics.write()
    written(town.state.admin_metrics)
    assert ("egress_exemptions", "") not in figures(town.shown())


@pytest.mark.needs("promtool")
async def test_promtool_finds_nothing_to_say(town: _Town) -> None:
    await town.ingest.take_in()
    path = town.state.root / "games.txt"
    path.write_text("a.example\n")
    update([Source("games", str(path))], town.state.category_sources, town.state.categories, MONDAY)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=await town.scraped(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
