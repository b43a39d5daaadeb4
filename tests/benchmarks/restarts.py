"""`make bench-restarts`: what people notice of workers that are replaced, and of killed ones.

1. `towngate restart` again and again under load: every connection that fails is counted
2. a worker is killed (SIGKILL) again and again under load: what the origin server saw is compared with the
   visit log; each visit is to a host of its own
"""

import argparse
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import trustme

from admin.state_folder import StateFolder
from policy.visit_record import VisitRecord
from tests.benchmarks.client import Target, WrongAnswerError, get_plain, tunnel_to
from tests.benchmarks.report import machine
from tests.published_town import PublishedTown
from tests.running_town import WORKER, children_of, free_ports

_SITES = "bench.example"
_NAMES = 60_000
_TUNNELLING, _PLAIN = 4, 2
_PAUSE_SECONDS = 0.01
_VICTIMS = 2
_START_SECONDS = 120.0
_ON_DISK_SECONDS = 1.0
_TOWNGATE = str(Path(sys.executable).with_name("towngate"))
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_END_OF_HEAD = b"\r\n\r\n"


class Origin:
    """An origin server, in threads of this process, that writes down which sites were asked for."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_certificate = folder / "origin-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_certificate))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(f"*.{_SITES}").configure_cert(self._tls)
        self.seen = Counter[str]()
        """How often each site was asked for."""
        self._https = self._listen(is_tls=True)
        self._http = self._listen(is_tls=False)

    def hosts_lines(self) -> str:
        """Return the proxy's resolver table."""
        https, http = self._https.getsockname()[1], self._http.getsockname()[1]
        return "".join(
            f"s{number}.{_SITES}:443 127.0.0.1:{https}\ns{number}.{_SITES}:80 127.0.0.1:{http}\n"
            for number in range(_NAMES)
        )

    def _listen(self, *, is_tls: bool) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)

        def accept() -> None:
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=self._serve, args=[connection, is_tls], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listening

    def _serve(self, connection: socket.socket, is_tls: bool) -> None:
        with suppress(OSError), connection:
            if is_tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            head = b""
            while _END_OF_HEAD not in head and (data := connection.recv(4096)):
                head += data
            fields = head.decode("latin-1").split("\r\n")
            site = next((f.partition(": ")[2] for f in fields if f.lower().startswith("host: ")), "")
            if site:
                self.seen[site] += 1
            connection.sendall(_ANSWER)
            while connection.recv(4096):
                pass


@dataclass(slots=True)
class Load:
    """Programs that browse until `has_ended`, each time another site.

    `begun_at` and `over_at` are when they asked and when they had all of it (time.time), `failures` what
    became of those that failed.
    """

    port: int
    tls: ssl.SSLContext
    numbers: Iterator[int]
    has_ended: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    begun_at: dict[str, float] = field(default_factory=dict)
    over_at: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def browsing(self) -> Iterator[None]:
        """Browse during the block, in tunnels and over plain HTTP, each on a new connection."""
        with ThreadPoolExecutor(_TUNNELLING + _PLAIN) as pool:
            ones = [self._through_tunnel] * _TUNNELLING + [self._plain] * _PLAIN
            browsing = [pool.submit(self._again_and_again, one) for one in ones]
            try:
                yield
            finally:
                self.has_ended.set()
            for one in browsing:
                one.result()

    def _again_and_again(self, one: Callable[[str], None]) -> None:
        while not self.has_ended.wait(_PAUSE_SECONDS):
            site = f"s{next(self.numbers)}.{_SITES}"
            self.begun_at[site] = time.time()
            try:
                one(site)
                self.over_at[site] = time.time()
            except (OSError, WrongAnswerError) as error:
                self.failures[site] = f"{type(error).__name__}: {error}"
            self.done += 1

    def _through_tunnel(self, site: str) -> None:
        with tunnel_to(self.port, Target(site, 443, site), self.tls) as tunnel:
            tunnel.sendall(f"GET / HTTP/1.1\r\nHost: {site}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"ok"):
                data = tunnel.recv(4096)
                if not data:
                    raise WrongAnswerError(f"cut off after {answer!r}")
                answer += data

    def _plain(self, site: str) -> None:
        get_plain(self.port, [Target(site, 80, site)], "/")


@dataclass(frozen=True, slots=True)
class Town:
    """A running `towngate proxy`."""

    supervisor: subprocess.Popen[str]
    state: StateFolder
    origin: Origin
    port: int
    metrics: int
    workers: int
    numbers: Iterator[int]

    def load(self) -> Load:
        """Return programs that trust the origin server."""
        tls = ssl.create_default_context(cafile=str(self.origin.ca_certificate))
        return Load(self.port, tls, self.numbers)

    def pids(self) -> list[int]:
        """Return its workers' pids."""
        return children_of(self.supervisor.pid, WORKER)

    def ready(self) -> int:
        """Return how many of its workers take connections."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as answer:
            _, _, told = answer.read().decode().partition('egress_supervised_workers{state="ready"} ')
        return int(float(told.partition("\n")[0]))


@contextmanager
def _running_town(folder: Path, workers: int) -> Iterator[Town]:
    origin = Origin(folder)
    state = PublishedTown(folder / "state").state
    (folder / "hosts").write_text(origin.hosts_lines())
    port, metrics = free_ports(2)
    command = [
        *(_TOWNGATE, "proxy", "--state", str(state.root), "--workers", str(workers)),
        *("--proxy", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}"),
        *("--hosts", str(folder / "hosts")),
    ]
    with (folder / "log").open("w") as log:
        supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert supervisor.stdout is not None
        try:
            assert supervisor.stdout.readline() == "ready\n", (folder / "log").read_text()
            yield Town(supervisor, state, origin, port, metrics, workers, count())
        finally:
            supervisor.terminate()
            supervisor.wait()


def _restart_under_load(town: Town, times: int) -> str:
    load, complaints = town.load(), 0
    with load.browsing():
        for number in range(times):
            command = [_TOWNGATE, "restart", "--state", str(town.state.root)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            complaints += done.returncode != 0
            _say(f"restart {number + 1} of {times}: {load.done} connections, {len(load.failures)} failed")
    for failure in list(load.failures.values())[:5]:
        print(failure)
    return (
        f"{times} restarts of {town.workers} workers ({complaints} complained): "
        f"{load.done:,} connections, {len(load.failures)} failed"
    )


def _kill_under_load(town: Town, times: int) -> str:
    load, killed_at = town.load(), []
    with load.browsing():
        for number in range(times):
            # One that has just been started is not worth a kill: the longest at work are.
            _wait_for(lambda: town.ready() >= min(_VICTIMS, town.workers))
            time.sleep(random.uniform(1.0, 2.0))
            pid = random.choice(town.pids()[:_VICTIMS])
            killed_at.append(time.time())
            os.kill(pid, signal.SIGKILL)
            _say(f"kill {number + 1} of {times}: {load.done} connections, {len(load.failures)} cut off")
            _wait_for(lambda pid=pid: pid not in town.pids())
    time.sleep(2.0)
    town.supervisor.terminate()
    town.supervisor.wait()
    logged = Counter(_hosts_in(town.state.spool))
    seen = town.origin.seen
    missing = [site for site in seen if not logged[site]]
    # What failed was going on when its worker was killed, or had not been told its end.
    ages = [
        seconds_over_at_kill(load.begun_at[site], load.over_at[site], killed_at)
        for site in missing
        if site in load.over_at
    ]
    late = [age for age in ages if age > _ON_DISK_SECONDS]
    twice = sum(number > 1 for number in logged.values())
    return (
        f"{times} kills of one of {town.workers} workers: "
        f"{load.done:,} connections, {len(load.failures)} cut off; "
        f"the origin server saw {len(seen):,} visits ({sum(n > 1 for n in seen.values())} twice); "
        f"the log lacks {len(missing)} and has {twice} twice; of those lacking, {len(ages)} were answered "
        f"({sum(age < 0 for age in ages)} of them under way at the kill), and {len(late)} had been over for "
        f"more than a second at the kill, the oldest for {max(ages, default=0):.2f} s"
    )


def seconds_over_at_kill(begun_at: float, over_at: float, killed_at: Sequence[float]) -> float:
    """Return for how long a visit had been over at the first kill after it began; infinite where none came.

    Below zero where the kill came while it was under way: a client still reads what its worker had sent when
    that one is gone, so the end that the client sees says nothing about the next kill.
    """
    return next((killed - over_at for killed in killed_at if killed > begun_at), float("inf"))


def _hosts_in(spool: Path) -> Iterator[str]:
    for segment in spool.glob("*.visits"):
        for line in segment.read_bytes().splitlines():
            yield VisitRecord.from_line(line).host


def _wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _START_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("workers do not come back")
        time.sleep(0.1)


def _say(text: str) -> None:
    print(f"\r{text}   ", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both parts and print what they found."""
    parser = argparse.ArgumentParser(prog="make bench-restarts ARGS=...", description=__doc__)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    print(f"{machine()}\n", flush=True)
    parts = ((_restart_under_load, options.restarts), (_kill_under_load, options.kills))
    for part, times in ((part, times) for part, times in parts if times):
        with (
            tempfile.TemporaryDirectory(prefix="towngate-restarts-") as folder,
            _running_town(Path(folder), options.workers) as town,
        ):
            print(part(town, times), flush=True)


if __name__ == "__main__":
    main()
