"""`make bench-workers`: what a second worker costs and gives, and what people notice of changes.

1. `towngate proxy` with one worker and with two, asked for the same tunnels in turn: CPU seconds of all its
   processes, and their memory (PSS: what is shared is counted once)
2. lists are swapped and policies published under load: what fails or gets through unfiltered is counted, and
   Prometheus's scrapes meanwhile are timed
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from categories.entries import EntriesFile
from categories.publishing import go_back, publish, versions
from tests.benchmarks.client import Target, WrongAnswerError, at_once, every, get_plain, get_through_tunnel
from tests.benchmarks.loads import trusting
from tests.benchmarks.measuring import Measurement, measure, proportional_bytes
from tests.benchmarks.origin import Origin, running_origin
from tests.benchmarks.proxies import HTTPS, OPENED, write_hosts
from tests.benchmarks.report import machine
from tests.benchmarks.town import BLOCKED, POLICY, publish_town
from tests.published_town import PublishedTown
from tests.running_town import free_ports

_TOWNGATE = str(Path(sys.executable).with_name("towngate"))
_MIB = 1 << 20
_TUNNELLING, _BLOCKED = 4, 2
_PAUSE_SECONDS = 0.01
_SCRAPED_EVERY_SECONDS = 0.5
BLOCKED_SITE = Target(BLOCKED, 80, BLOCKED)
"""What must not be had, whatever changes."""


@dataclass(frozen=True, slots=True)
class RunningTown:
    """A running `towngate proxy`."""

    pid: int
    port: int
    metrics: int
    origin: Origin
    town: PublishedTown
    entries: Sequence[Path]
    about: str

    def tunnels(self, count: int) -> Sequence[float]:
        """Open so many tunnels, a full TLS handshake and one GET each; return how long each took."""
        targets, tls = every(HTTPS, count), trusting(self.origin.ca_certificate)
        return at_once(
            count, lambda number: get_through_tunnel(self.port, targets[number], tls, "/bytes/1024")
        )


@contextmanager
def _running(folder: Path, origin: Origin, workers: int) -> Iterator[RunningTown]:
    folder.mkdir()
    admin_url = f"http://127.0.0.1:{origin.http_port}"
    town, entries, about = publish_town(folder, admin_url, OPENED, origin.ca_certificate)
    hosts = write_hosts(folder, origin)
    port, metrics = free_ports(2)
    command = [
        *(_TOWNGATE, "proxy", "--state", str(town.state.root), "--workers", str(workers)),
        *("--proxy", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}", "--hosts", str(hosts)),
    ]
    with (folder / "log").open("w") as log:
        supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert supervisor.stdout is not None
        try:
            assert supervisor.stdout.readline() == "ready\n", (folder / "log").read_text()
            yield RunningTown(supervisor.pid, port, metrics, origin, town, entries, about)
        finally:
            supervisor.terminate()
            supervisor.wait()


def compare_workers(folder: Path, origin: Origin, rounds: int, amount: int) -> str:
    """Run part 1; return what was found."""
    with ExitStack() as stack:
        towns = [stack.enter_context(_running(folder / str(n), origin, n)) for n in (1, 2)]
        for town in towns:
            town.tunnels(amount)
        done: list[list[Measurement]] = [[], []]
        for number in range(rounds):
            for town, measured in zip(towns, done, strict=True):
                measured.append(measure(town.pid, lambda town=town: town.tunnels(amount)))
            _say(f"round {number + 1} of {rounds}")
        held = [proportional_bytes(town.pid) for town in towns]
    each = [[one.cpu_seconds / amount * 1000 for one in measured] for measured in done]
    ratio = statistics.median(one / two for one, two in zip(*each, strict=True))
    return (
        f"{towns[0].about}; {rounds} rounds of {amount:,} tunnels, 16 at once\n"
        f"CPU seconds per 1,000 tunnels: {_spread(each[0])} with one worker, {_spread(each[1])} with two; "
        f"connections per CPU second with two: {ratio:.2f} of one's\n"
        f"memory of all processes, what is shared counted once: {held[0] / _MIB:.1f} MiB with one worker, "
        f"{held[1] / _MIB:.1f} with two: {(held[1] - held[0]) / 1e6:.1f} MB for the second"
    )


@dataclass(slots=True)
class Noticed:
    """What clients got under load, and how long each scrape took."""

    tunnels: int = 0
    blocked: int = 0
    scrapes: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unfiltered: list[str] = field(default_factory=list)


def change_under_load(folder: Path, origin: Origin, policies: int, swaps: int) -> str:
    """Run part 2; return what was found."""
    noticed = Noticed()
    with _running(folder / "changing", origin, 2) as running:
        with ExitStack() as stack:
            ours = [stack.enter_context(EntriesFile(path)) for path in running.entries[:1]]
            publish(running.town.state.categories, ours, datetime.now(UTC)).close()
        has_ended = threading.Event()
        began = time.monotonic()
        with ThreadPoolExecutor(_TUNNELLING + _BLOCKED + 1) as pool:
            loads = [pool.submit(_tunnel_on, running, noticed, has_ended) for _ in range(_TUNNELLING)]
            loads += [pool.submit(_ask_for_blocked, running, noticed, has_ended) for _ in range(_BLOCKED)]
            loads.append(pool.submit(_scrape, running, noticed, has_ended))
            try:
                _change(running.town, policies, swaps)
            finally:
                has_ended.set()
            for load in loads:
                load.result()
        seconds = time.monotonic() - began
    for line in (*noticed.failed[:3], *noticed.unfiltered[:3]):
        print(line)
    return (
        f"{policies} policies and {swaps} swaps of lists in {seconds:.0f} s, two workers: "
        f"{noticed.tunnels:,} tunnels and {noticed.blocked:,} visits to a blocked site; "
        f"{len(noticed.failed)} failed, {len(noticed.unfiltered)} unfiltered\n"
        f"{len(noticed.scrapes)} scrapes meanwhile: the longest {max(noticed.scrapes):.2f} s, "
        f"the middle one {statistics.median(noticed.scrapes):.2f} s"
    )


def _change(town: PublishedTown, policies: int, swaps: int) -> None:
    """Publish policies that differ by a phone number, and swap lists in between, evenly."""
    every_other = max(1, policies // max(swaps, 1))
    for number in range(policies):
        town.publish_policy(POLICY.replace("555-0100", f"555-{number:04}"))
        if swaps and number % every_other == 0:
            _, other, *_ = versions(town.state.categories)
            go_back(town.state.categories, other).close()
        _say(f"policy {number + 1} of {policies}")
        # A worker looks twice a second.
        time.sleep(0.6)


def _tunnel_on(running: RunningTown, noticed: Noticed, has_ended: threading.Event) -> None:
    tls = trusting(running.origin.ca_certificate)
    for target in itertools.cycle(HTTPS):
        if has_ended.wait(_PAUSE_SECONDS):
            return
        try:
            get_through_tunnel(running.port, target, tls, "/bytes/1024")
        except (OSError, WrongAnswerError) as error:
            noticed.failed.append(f"{target}: {type(error).__name__}: {error}")
        noticed.tunnels += 1


def _ask_for_blocked(running: RunningTown, noticed: Noticed, has_ended: threading.Event) -> None:
    while not has_ended.wait(_PAUSE_SECONDS):
        try:
            get_plain(running.port, [BLOCKED_SITE], "/bytes/1024", status=403)
        except WrongAnswerError as error:
            noticed.unfiltered.append(str(error))
        except OSError as error:
            noticed.failed.append(f"{BLOCKED}: {type(error).__name__}: {error}")
        noticed.blocked += 1


def _scrape(running: RunningTown, noticed: Noticed, has_ended: threading.Event) -> None:
    """Scrape as Prometheus would, only more often; an answer that is none ends the run."""
    while True:
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{running.metrics}/metrics") as answer:
            assert b"egress_supervised_workers" in answer.read()
        noticed.scrapes.append(time.monotonic() - began)
        if has_ended.wait(_SCRAPED_EVERY_SECONDS):
            return


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _say(text: str) -> None:
    print(f"\r{text}   ", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both parts and print what they found."""
    parser = argparse.ArgumentParser(prog="make bench-workers ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of tunnels, with one worker and with two")
    parser.add_argument("--tunnels", type=int, default=2000, help="a round")
    parser.add_argument("--policies", type=int, default=100, help="published under load")
    parser.add_argument("--swaps", type=int, default=10, help="of lists, meanwhile")
    options = parser.parse_args(arguments)
    print(f"{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="towngate-workers-") as name:
        folder = Path(name)
        with running_origin(folder) as origin:
            if options.rounds:
                print(compare_workers(folder, origin, options.rounds, options.tunnels), flush=True)
            if options.policies:
                print(change_under_load(folder, origin, options.policies, options.swaps), flush=True)


if __name__ == "__main__":
    main()
