"""One step of the categories' benchmark, in a process of its own: what it took, as JSON.

python -m tests.benchmarks.category_steps STEP ARGUMENTS...
"""

import gc
import json
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from categories.entries import EntriesFile
from categories.entry_key import host_key
from categories.publishing import CurrentSnapshot, publish
from categories.reading import read_edition
from categories.snapshot import CategorySnapshot, verify
from categories.sources import Source
from categories.taxonomy import taxonomy
from policy.correction import Correction, Corrections
from policy.deciding import decide
from policy.document import load_document
from policy.state import State
from policy.visit import Client, Visit
from proxy_addons.snapshot_watch import POLL_SECONDS
from tests.towns import DOCUMENT

_AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
_CORRECTIONS = 1_000

type Figures = dict[str, float]


def compile_list(archive: str, folder: str) -> Figures:
    """Read a list and publish a snapshot of it, as an update does."""
    path, published = Path(folder, "ut1.entries"), Path(folder, "published")
    published.mkdir()
    edition = read_edition(Source("ut1", archive), path, taxonomy(), _AT)
    entries = EntriesFile(path)
    snapshot = publish(published, [entries], _AT)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "entries": edition.source.count,
        "names": len(snapshot),
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": _peak_mb(),
        "disk_mb": sum(file.stat().st_size for file in snapshot.folder.iterdir()) / 1e6,
        "kept_mb": path.stat().st_size / 1e6,
    }


def open_snapshot(folder: str) -> Figures:
    """Open a snapshot as a worker does at its start, then take another into use beside it."""
    path = Path(folder)
    verify(path)
    gc.collect()
    before = _own_mb()
    started = time.perf_counter()
    first = CategorySnapshot.open(path)
    opened = time.perf_counter() - started
    own = _own_mb() - before
    started = time.perf_counter()
    verify(path)
    verified = time.perf_counter() - started
    second = CategorySnapshot.open(path)
    swapping = _own_mb() - before - own
    assert first.version == second.version
    return {
        "open_ms": opened * 1e3,
        "own_mb": own,
        "verify_ms": verified * 1e3,
        "swap_own_mb": swapping,
    }


def look_up(folder: str, hosts: str, visits: str) -> Figures:
    """Look every host of the file `hosts` up, and decide every visit (host and path) of `visits`."""
    snapshot = CategorySnapshot.open(Path(folder))
    names = Path(hosts).read_text().splitlines()
    asked = [line.split("\t") for line in Path(visits).read_text().splitlines()]
    corrections = Corrections(Correction(f"site{n}.example", ("press",)) for n in range(_CORRECTIONS))
    policy, state = load_document(DOCUMENT, taxonomy()).policy, State()
    visit = Visit(Client("10.10.20.15", "clerk", None, "finance"), "http", "a.example", 80, "/", _AT)

    def matches(host: str, path: str) -> object:
        return corrections.apply(host, snapshot.lookup(host, path))

    def verdict(host: str, path: str) -> object:
        found = corrections.apply(host, snapshot.lookup(host, path))
        return decide(structs.replace(visit, host=host, path=path, matches=found), policy, state)

    return {
        "hosts": len(names),
        "listed": sum(bool(snapshot.lookup(name)) for name in names),
        "trie_us": _median_us(snapshot._names.trie.prefixes, ((host_key(name),) for name in names)),
        "lookup_us": _median_us(snapshot.lookup, ((name,) for name in names)),
        "full_lookup_us": _median_us(matches, asked),
        "decide_us": _median_us(verdict, asked),
        "lookups_a_second": _per_second(snapshot, names),
    }


def follow(folder: str, seconds: str, rate: str) -> dict[str, object]:
    """Look a name up so many times a second in the snapshot in use, which is followed as a worker does.

    Return how many milliseconds each took from when it was due, and how many were wrong.
    """
    current = CurrentSnapshot(Path(folder))
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if current.changed():
                current.load()

    watching = threading.Thread(target=watch)
    watching.start()
    began, taken, wrong = time.perf_counter(), list[float](), 0
    for number in range(int(float(seconds) * float(rate))):
        due = began + number / float(rate)
        time.sleep(max(0.0, due - time.perf_counter()))
        wrong += not current.snapshot.lookup("www.pokerstars.com")
        taken.append((time.perf_counter() - due) * 1e3)
    ended.set()
    watching.join()
    return {"ms": taken, "wrong": wrong + (current.last_error is not None)}


def _median_us(act: Callable[..., object], arguments: Iterable[Sequence[str]]) -> float:
    """Return the median time of one call, with what asking the clock takes taken off."""
    taken, clock = [], time.perf_counter_ns
    for each in arguments:
        started = clock()
        act(*each)
        taken.append(clock() - started)
    asking = []
    for _ in range(10_000):
        started = clock()
        asking.append(clock() - started)
    return (statistics.median(taken) - statistics.median(asking)) / 1e3


def _per_second(snapshot: CategorySnapshot, names: Sequence[str]) -> float:
    started = time.perf_counter()
    for name in names:
        snapshot.lookup(name)
    return len(names) / (time.perf_counter() - started)


def _peak_mb() -> float:
    """Return the most memory that this program held; what rusage says counts its parent's, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024 / 1e6


def _own_mb() -> float:
    """Return the memory that this process shares with no other and that is not a file's."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("Anonymous:"))
    return int(kilobytes) * 1024 / 1e6


_STEPS: dict[str, Callable[..., object]] = {
    "compile": compile_list,
    "open": open_snapshot,
    "look-up": look_up,
    "follow": follow,
}

if __name__ == "__main__":
    print(json.dumps(_STEPS[sys.argv[1]](*sys.argv[2:])))
