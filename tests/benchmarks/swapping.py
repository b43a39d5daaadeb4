"""Lists of full size swapped while two workers serve and two more processes look names up.

Half of the time nothing is swapped, so that both are measured in the same run.
"""

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from categories.entries import EntriesFile
from categories.publishing import go_back, publish, versions
from tests.categories.lists import AT
from tests.proxied_town import TOWN, served_web
from tests.proxy_client import ProxyClient
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker

_REQUESTS_A_SECOND = 50
_LOOKUPS_A_SECOND = 200
_SWAP_SECONDS = 2.0
_WARM_UP_SECONDS = 3.0
_AT_ONCE = 16
# What is asked, and how it must be answered: one that no list has, one that both have and the policy blocks.
_ASKED = (("http://library.example/", 200), ("http://pokerstars.com/", 403))


@dataclass(slots=True)
class Phase:
    """What was measured with or without swaps; times are in milliseconds."""

    title: str
    swaps: int = 0
    wrong: int = 0
    requests_ms: list[float] = field(default_factory=list)
    lookups_ms: list[float] = field(default_factory=list)


def measure_swaps(folder: Path, ut1: Path, other: Path, seconds: float) -> Sequence[Phase]:
    """Measure for so many seconds without and then with swaps between the entries of `ut1` and of both."""
    town = PublishedTown(folder / "state", document=TOWN)
    _publish(town.state.categories, [ut1])
    _publish(town.state.categories, [ut1, other])
    with ExitStack() as stack:
        web = stack.enter_context(served_web(folder / "web"))
        hosts = web.hosts_file(folder / "hosts")
        ports = [stack.enter_context(running_worker(town.state.root, hosts)).port for _ in range(2)]
        clients = [ProxyClient(port) for port in ports]
        # What a worker does for the first time takes longer, and is not what is measured.
        _load(clients, town.state.categories, Phase("warm-up"), min(seconds, _WARM_UP_SECONDS))
        calm, swapped = Phase("without a swap"), Phase(f"a swap every {_SWAP_SECONDS:.0f} s")
        _load(clients, town.state.categories, calm, seconds)
        ended = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            swapping = pool.submit(_swap, town.state.categories, swapped, ended)
            _load(clients, town.state.categories, swapped, seconds)
            ended.set()
            swapping.result()
    return calm, swapped


def _publish(folder: Path, entries: Sequence[Path]) -> None:
    with ExitStack() as stack:
        publish(folder, [stack.enter_context(EntriesFile(path)) for path in entries], AT).close()


def _swap(folder: Path, phase: Phase, ended: threading.Event) -> None:
    """Put the other of the two snapshots into force again and again, as a rollback does."""
    while not ended.wait(_SWAP_SECONDS):
        _, other, *_ = versions(folder)
        go_back(folder, other).close()
        phase.swaps += 1


def _load(clients: Sequence[ProxyClient], lists: Path, phase: Phase, seconds: float) -> None:
    """Ask the proxies and look names up, each at its rate, and note how long it took."""
    command = [sys.executable, "-m", "tests.benchmarks.category_steps", "follow", str(lists)]
    command += [str(seconds), str(_LOOKUPS_A_SECOND)]
    lookers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    began = time.perf_counter()

    def ask(number: int) -> None:
        due = began + number / _REQUESTS_A_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        # Each of both is asked of each worker.
        url, expected = _ASKED[number // 2 % 2]
        try:
            is_right = clients[number % 2].get(url).status == expected
        except OSError:
            is_right = False
        # From when it was due: what waits behind a stall is late, too.
        phase.requests_ms.append((time.perf_counter() - due) * 1e3)
        phase.wrong += not is_right

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for asked in [pool.submit(ask, number) for number in range(int(seconds * _REQUESTS_A_SECOND))]:
            asked.result()
    for looker in lookers:
        output, _ = looker.communicate()
        figures = json.loads(output)
        phase.lookups_ms += figures["ms"]
        phase.wrong += figures["wrong"]


def _quantile(values: Sequence[float], of: float) -> float:
    return sorted(values)[min(len(values) - 1, math.floor(of * len(values)))]


def as_markdown(phases: Sequence[Phase]) -> str:
    """Return a row a phase."""
    rows = ["| phase | swaps | requests | wrong | p50, ms | p99.9, ms | lookups | p50, ms | p99.9, ms |"]
    rows.append("|---|" + "---:|" * 8)
    for one in phases:
        cells = [
            *(f"{one.swaps}", f"{len(one.requests_ms):,}", f"{one.wrong}"),
            *(f"{_quantile(one.requests_ms, of):.1f}" for of in (0.5, 0.999)),
            f"{len(one.lookups_ms):,}",
            *(f"{_quantile(one.lookups_ms, of):.3f}" for of in (0.5, 0.999)),
        ]
        rows.append(f"| {one.title} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
