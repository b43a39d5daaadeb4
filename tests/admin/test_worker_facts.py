"""What workers say of themselves is read as what a stranger may have written."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from admin.worker_facts import newest_facts
from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.worker_facts import MAX_BYTES, MOST_HEAVY, WorkerFacts
from tests import towns
from tests.admin.web.test_heavy_page import DOWNLOAD

NOW = datetime(2026, 3, 6, 15, 0, tzinfo=UTC)
ENDS = datetime(2030, 1, 1, tzinfo=UTC)
GOOD = WorkerFacts(NOW, ENDS)


def test_newest_of_all_workers_counts_however_old(tmp_path: Path) -> None:
    put(tmp_path, 1, WorkerFacts(NOW - timedelta(days=9), ENDS - timedelta(days=1)).to_bytes())
    put(tmp_path, 2, WorkerFacts(NOW - timedelta(days=8), ENDS).to_bytes())

    found = newest_facts(tmp_path, NOW)
    assert found is not None and found.ca_ends_at == ENDS


def test_nothing_is_known_before_a_worker_has_said_it(tmp_path: Path) -> None:
    assert newest_facts(tmp_path, NOW) is None


def test_worker_may_know_fewer_facts_or_more(tmp_path: Path) -> None:
    put(tmp_path, 1, b'{"written_at": "2026-03-06T15:00:00Z", "is_of_tomorrow": {"a": [1]}}')

    assert newest_facts(tmp_path, NOW) == WorkerFacts(NOW)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"ca_ends_at": "2030-01-01T00:00:00Z"}',
        b'{"written_at": "2026-03-06T15:00:00"}',
        b'{"written_at": "2026-03-06T15:00:00Z", "ca_ends_at": "<b>soon</b>"}',
        b'{"written_at": "2026-03-06T15:00:00Z", "x": "' + b"x" * MAX_BYTES + b'"}',
        WorkerFacts(NOW + timedelta(minutes=6), ENDS).to_bytes(),
    ],
    ids=["empty", "list", "no text", "no time", "no zone", "no date", "long", "of a time to come"],
)
def test_what_is_no_workers_facts_is_passed_over(data: bytes, tmp_path: Path) -> None:
    put(tmp_path, 1, data)
    assert newest_facts(tmp_path, NOW) is None

    put(tmp_path, 2, GOOD.to_bytes())
    assert newest_facts(tmp_path, NOW) == GOOD


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(GOOD.to_bytes())
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "worker-1.facts").symlink_to(elsewhere)
    os.mkfifo(spool / "worker-2.facts")
    (spool / "worker-3.facts").mkdir()

    assert newest_facts(spool, NOW) is None


def put(spool: Path, worker: int, data: bytes) -> None:
    (spool / f"worker-{worker}.facts").write_bytes(data)


def test_names_as_long_as_the_policy_has_them_are_told(tmp_path: Path) -> None:
    name = "\U0001f5a5" * 500
    document = towns.DOCUMENT.replace("{name: FIN-PC-15,", f"{{name: {name},")
    (device,) = load_document(document, taxonomy()).policy.devices.values()
    heavy = replace(DOWNLOAD, device=device.name, host="h" * 200)
    facts = WorkerFacts(NOW, ENDS, heavy=(heavy,) * MOST_HEAVY)
    put(tmp_path, 1, facts.to_bytes())
    assert newest_facts(tmp_path, NOW) == facts
