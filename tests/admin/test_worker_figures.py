"""What workers counted is told on when they have ended: once, and from no more files than before."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from admin import worker_figures
from admin.state_folder import StateFolder
from admin.worker_figures import WorkerFigures, folder_in_memory

_COUNTING = """
import sys
from prometheus_client import Counter, Gauge, Histogram
visits = Counter("visits", "Visits", ["department"])
visits.labels("finance").inc(3)
visits.labels(sys.argv[1]).inc()
Histogram("seconds", "Time", buckets=[1, 2]).observe(1.5)
Gauge("working", "Workers", multiprocess_mode="livesum").set(1)
print("counted", flush=True)
sys.stdin.read()
"""
# Above any that the kernel gives.
_ENDED = count(1 << 22)


class Worker:
    """A process that counts as a worker does, and goes on until it is ended."""

    def __init__(self, folder: Path, department: str = "parks") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COUNTING, department],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"counted\n"
        self.pid = self._process.pid

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    found = Worker(tmp_path)
    yield found
    found.end()


@pytest.fixture
def figures(tmp_path: Path) -> WorkerFigures:
    return WorkerFigures(tmp_path)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what stands for the memory of this machine; nobody has made it yet."""
    memory = tmp_path / "memory"
    monkeypatch.setattr(worker_figures, "_IN_MEMORY", memory)
    return memory


def told(figures: WorkerFigures) -> dict[str, float]:
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for metric in figures.collect()
        for sample in metric.samples
    }


def leave_files_of_one_that_ended(folder: Path, like: Worker) -> None:
    pid = next(_ENDED)
    for path in folder.glob(f"*_{like.pid}.db"):
        shutil.copy(path, folder / path.name.replace(str(like.pid), str(pid)))


def test_counters_go_on_where_workers_that_ended_left_them(figures: WorkerFigures, tmp_path: Path) -> None:
    for number in range(1, 4):
        worker = Worker(tmp_path, f"department {number}")
        assert told(figures)["working"] == 1
        worker.end()
        figures.take_in_ended()
        found = told(figures)
        assert found["visits_total finance"] == 3 * number
        assert found[f"visits_total department {number}"] == found["visits_total department 1"] == 1
        assert (found["seconds_bucket 1.0"], found["seconds_bucket 2.0"]) == (0, number)
        assert (found["seconds_count"], found["seconds_sum"]) == (number, 1.5 * number)
        assert "working" not in found
        assert {path.name for path in tmp_path.iterdir()} == {"counter_ended.db", "histogram_ended.db"}


def test_a_worker_that_goes_on_keeps_its_files(
    figures: WorkerFigures, worker: Worker, tmp_path: Path
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    leave_files_of_one_that_ended(tmp_path, worker)
    figures.take_in_ended()
    assert {path.name for path in tmp_path.iterdir()} == {
        *(*before, "counter_ended.db", "histogram_ended.db")
    }
    assert told(figures)["visits_total finance"] == 6


def test_no_scrape_meanwhile_sees_a_worker_twice_or_not_at_all(
    figures: WorkerFigures, worker: Worker, tmp_path: Path
) -> None:
    seen, has_ended, has_seen = [], threading.Event(), threading.Semaphore(0)

    def scrape() -> None:
        while not has_ended.is_set():
            seen.append(told(figures)["visits_total finance"])
            has_seen.release()

    scraping = threading.Thread(target=scrape)
    scraping.start()
    try:
        for _ in range(50):
            leave_files_of_one_that_ended(tmp_path, worker)
            figures.take_in_ended()
            has_seen.acquire(timeout=60)
    finally:
        has_ended.set()
        scraping.join()
    assert seen == sorted(seen)
    assert set(seen) <= {3.0 * number for number in range(1, 52)}
    assert told(figures)["visits_total finance"] == 3 * 51


class KilledError(BaseException):
    """What nothing catches, as nothing catches SIGKILL."""


@pytest.mark.parametrize(
    ("step", "times"), [("rename", 0), ("rename", 1), ("replace", 0), ("unlink", 0), ("unlink", 1)]
)
def test_what_was_being_added_up_when_all_was_killed_counts_once(
    step: str,
    times: int,
    figures: WorkerFigures,
    worker: Worker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave_files_of_one_that_ended(tmp_path, worker)
    figures.take_in_ended()
    for _ in range(2):
        leave_files_of_one_that_ended(tmp_path, worker)
        # Those of its gauges are removed before.
        for path in tmp_path.glob("gauge_*"):
            path.unlink()
    done, left = getattr(Path, step), iter(range(times))

    def until_killed(*args: object) -> object:
        if next(left, None) is None:
            raise KilledError
        return done(*args)

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(Path, step, until_killed)
        figures.take_in_ended()
    after = WorkerFigures(tmp_path)
    after.take_in_ended()
    assert (told(after)["visits_total finance"], told(after)["seconds_count"]) == (12, 4)
    worker.end()
    after.forget_ended()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_added_up_stays_as_it_is_and_is_counted(
    figures: WorkerFigures, worker: Worker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave_files_of_one_that_ended(tmp_path, worker)
    # As on a full disk: what is to be written cannot be.
    (tmp_path / "counter_ended.partial").mkdir()
    figures.take_in_ended()
    assert "figures of ended workers not added up: kind=counter" in caplog.text
    assert told(figures)["visits_total finance"] == 6
    assert told(figures)["seconds_count"] == 2
    (tmp_path / "counter_ended.partial").rmdir()
    leave_files_of_one_that_ended(tmp_path, worker)
    figures.take_in_ended()
    assert told(figures)["visits_total finance"] == 9
    assert len(list(tmp_path.glob("counter_*"))) == 2


def test_a_file_that_a_worker_was_just_making_when_it_was_killed_holds_up_none(
    figures: WorkerFigures, worker: Worker, tmp_path: Path
) -> None:
    (tmp_path / f"counter_{next(_ENDED)}.db").touch()
    leave_files_of_one_that_ended(tmp_path, worker)
    figures.take_in_ended()
    assert told(figures)["visits_total finance"] == 6
    assert len(list(tmp_path.glob("counter_*"))) == 2


def test_figures_are_in_memory_where_nobody_else_looks(memory: Path, tmp_path: Path, worker: Worker) -> None:
    state = StateFolder(tmp_path / "state")
    memory.mkdir()
    folder = folder_in_memory(state)
    assert folder.parent == memory and stat.S_IMODE(folder.stat().st_mode) == 0o700
    # The next program in this one's place finds the same.
    assert folder_in_memory(state) == folder != folder_in_memory(StateFolder(tmp_path / "other"))
    figures = WorkerFigures(folder)
    leave_files_of_one_that_ended(tmp_path, worker)
    for path in tmp_path.glob("*.db"):
        path.rename(folder / path.name)
    figures.take_in_ended()
    figures.forget_ended()
    assert {path.name.rpartition("_")[2] for path in folder.iterdir()} == {f"{worker.pid}.db"}
    worker.end()
    (folder / "nursery").mkdir()
    figures.forget_ended()
    assert not folder.exists()


def open_to_others(folder: Path, _: pytest.MonkeyPatch) -> None:
    folder.chmod(0o755)


def of_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    folder.rename(folder.with_name(folder.name.replace(f"-{os.geteuid()}-", f"-{other}-")))
    monkeypatch.setattr(os, "geteuid", lambda: other)


def a_link(folder: Path, _: pytest.MonkeyPatch) -> None:
    folder.symlink_to(folder.rename(folder.with_name("private")))


@pytest.mark.parametrize("left", [open_to_others, of_somebody_else, a_link])
def test_figures_are_on_disk_where_a_folder_in_memory_is_not_ours_alone(
    left: Callable[[Path, pytest.MonkeyPatch], None],
    memory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = StateFolder(tmp_path / "state")
    assert folder_in_memory(state) == state.metrics, "there is no such memory"
    memory.mkdir()
    left(folder_in_memory(state), monkeypatch)
    assert folder_in_memory(state) == state.metrics
    assert "figures are on disk" in caplog.text and "error=it is not ours alone" in caplog.text


def test_figures_are_on_disk_where_memory_is_nearly_full_unless_workers_write_there_already(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = StateFolder(tmp_path / "state")
    memory.mkdir()
    folder = folder_in_memory(state)
    monkeypatch.setattr(worker_figures, "_ROOM_BYTES", 1 << 62)
    assert folder_in_memory(state) == state.metrics
    assert "error=it has no room" in caplog.text
    # A newer program in the place of the one before counts on.
    (folder / "counter_4711.db").touch()
    assert folder_in_memory(state) == folder


def test_what_a_run_that_was_killed_left_counts_no_more(
    figures: WorkerFigures, worker: Worker, tmp_path: Path
) -> None:
    leave_files_of_one_that_ended(tmp_path, worker)
    figures.take_in_ended()
    for name in ("counter_4711.added", "counter_ended.partial"):
        shutil.copy(tmp_path / "counter_ended.db", tmp_path / name)
    worker.end()
    after = WorkerFigures(tmp_path)
    after.forget_all()
    assert told(after) == {}
    next_one = Worker(tmp_path)
    next_one.end()
    after.take_in_ended()
    assert told(after)["visits_total finance"] == 3
