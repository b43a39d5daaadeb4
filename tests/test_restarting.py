"""`towngate restart`, and workers that are replaced, under load: nobody who browses notices."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import admin
import proxy_addons
from admin.demo_web import DemoWeb
from admin.state_folder import StateFolder
from admin.worker_figures import folder_in_memory
from tests.proxied_town import eventually, served_web
from tests.proxy_client import ProxyClient, exchange
from tests.published_town import PublishedTown
from tests.running_town import WORKER, children_of, free_ports

TOWNGATE = str(Path(sys.executable).with_name("towngate"))
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running `towngate proxy` with one worker, and a folder whose modules its programs find first."""

    supervisor: subprocess.Popen[str]
    state: Path
    metrics: str
    patches: Path
    client: ProxyClient

    def restart(self) -> "subprocess.CompletedProcess[str]":
        command = [TOWNGATE, "restart", "--state", str(self.state)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def workers(self) -> list[int]:
        return children_of(self.supervisor.pid, WORKER)

    def nursery(self) -> int | None:
        # A worker has its command line.
        found = set(children_of(self.supervisor.pid, "proxy_addons.nursery")) - set(self.workers())
        return next(iter(found), None)

    def figure(self, name: str, label: str | None = None) -> float:
        with urllib.request.urlopen(f"http://{self.metrics}/metrics") as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return next(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and (label is None or label in sample.labels.values())
        )

    def check(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{self.metrics}{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Return a proxy whose one worker always holds more memory than it may, and the web behind it."""
    folder = tmp_path_factory.mktemp("restarting")
    patches = folder / "patches"
    patches.mkdir()
    state = PublishedTown(folder / "state").state
    port, metrics_port = free_ports(2)
    with served_web(folder) as web:
        command = [
            *(TOWNGATE, "proxy", "--state", str(state.root), "--workers", "1", "--worker-memory", "1"),
            *("--proxy", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics_port}"),
            *("--hosts", str(web.hosts_file(folder / "hosts"))),
        ]
        # Elsewhere than in the checkout, whose packages python -m would find before those of the patches.
        supervisor = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(patches)},
        )
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        yield Proxy(supervisor, state.root, f"127.0.0.1:{metrics_port}", patches, client_of(port, web))
        supervisor.terminate()
        assert supervisor.wait(PATIENCE_SECONDS) == 0


def client_of(port: int, web: DemoWeb) -> ProxyClient:
    return ProxyClient(port, (web.ca_certificate,))


def replaced_for_memory(proxy: Proxy) -> float:
    """Return how many workers were replaced because they held too much."""
    return proxy.figure("egress_worker_restarts_total", "memory")


def only_worker(proxy: Proxy) -> int:
    """Wait until the first worker has been replaced for its memory, and one is left; return its pid."""
    eventually(lambda: replaced_for_memory(proxy) and len(proxy.workers()) == 1, PATIENCE_SECONDS)
    return proxy.workers()[0]


def get_all_the_time(get: Callable[[], int], has_ended: threading.Event) -> int:
    """Get a page again and again; return how often."""
    count = 0
    while not has_ended.is_set():
        assert get() == 200
        count += 1
        has_ended.wait(0.02)
    return count


def kill_nursery(proxy: Proxy) -> None:
    """Kill the nursery, and wait until there is another."""
    killed = proxy.nursery()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: proxy.nursery() not in (None, killed), PATIENCE_SECONDS)


class Kept:
    """Gets pages over a connection that is kept for as long as the proxy says."""

    def __init__(self, client: ProxyClient) -> None:
        self._client = client
        self._connection = client.dial()

    def get(self) -> int:
        answer = exchange(self._connection, "GET", "http://library.example/", "library.example")
        if answer.headers["Connection"] == "close":
            self.close()
            self._connection = self._client.dial()
        return answer.status

    def close(self) -> None:
        self._connection.close()


def test_no_connection_fails_while_workers_are_replaced_and_a_tunnel_lives_through_it(proxy: Proxy) -> None:
    before, times = only_worker(proxy), replaced_for_memory(proxy)
    client, kept, has_ended = proxy.client, Kept(proxy.client), threading.Event()
    loads: list[Callable[[], int]] = [
        lambda: client.get("https://library.example/").status,
        lambda: client.get("https://news.example/").status,
        lambda: client.get("http://library.example/").status,
        kept.get,
    ]
    with closing(kept), client.tunnel("library.example") as tunnel, ThreadPoolExecutor(len(loads)) as pool:
        browsing = [pool.submit(get_all_the_time, load, has_ended) for load in loads]
        try:
            restarted = proxy.restart()
            assert (restarted.returncode, restarted.stderr) == (0, "")
            assert "proxy worker 1 was replaced" in restarted.stdout
            # For its memory whenever a supervisor looks at a worker for the first time.
            eventually(lambda: replaced_for_memory(proxy) > times, PATIENCE_SECONDS)
        finally:
            has_ended.set()
        assert min(browser.result() for browser in browsing) > 0
        assert before in proxy.workers()
        assert exchange(tunnel, "GET", "/", "library.example").status == 200
        assert proxy.figure("egress_supervised_workers", "draining") >= 1
    eventually(lambda: len(proxy.workers()) == 1, PATIENCE_SECONDS)
    assert proxy.figure("egress_worker_restarts_total", "died") == 0
    assert [proxy.check(path) for path in ("/-/healthy", "/-/ready")] == [200, 200]


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("click", "what is installed now does not start, so everything goes on as it was: OSError: broken"),
        (
            "uvloop",
            "what is installed now does not start, so everything goes on as it was: "
            "the nursery of workers ended at its start; the log says why",
        ),
    ],
)
def test_a_new_program_that_does_not_start_leaves_the_old_one_at_work(
    module: str, says: str, proxy: Proxy
) -> None:
    before = only_worker(proxy)
    nursery = proxy.nursery()
    broken = proxy.patches / f"{module}.py"
    broken.write_text("raise OSError('broken')\n")
    try:
        restarted = proxy.restart()
        assert restarted.returncode == 1
        assert says in restarted.stderr
        assert before in proxy.workers() and proxy.nursery() == nursery
        assert proxy.client.get("https://library.example/").status == 200
        # One that dies is replaced as before, by what was installed before.
        os.kill(before, signal.SIGKILL)
        assert proxy.client.get("https://library.example/").status == 200
    finally:
        broken.unlink()


def test_a_newer_program_is_put_to_work_without_a_failed_connection_and_the_one_before_again(
    proxy: Proxy,
) -> None:
    only_worker(proxy)
    for package in (admin, proxy_addons):
        (source,) = package.__path__
        shutil.copytree(source, proxy.patches / package.__name__)
    newer(proxy.patches / "proxy_addons" / "via.py", '"towngate-"', '"newer-"')
    newer(proxy.patches / "admin" / "supervisor_metrics.py", '"Workers by what', '"Newer: workers by what')
    has_ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        browsing = pool.submit(
            get_all_the_time, lambda: proxy.client.get("https://library.example/").status, has_ended
        )
        try:
            assert proxy.restart().returncode == 0
            # The worker before has been told to drain, and may take one more until it has heard it.
            eventually(lambda: who_serves(proxy) == ("newer", True), PATIENCE_SECONDS)
        finally:
            has_ended.set()
            for package in (admin, proxy_addons):
                shutil.rmtree(proxy.patches / package.__name__)
        assert browsing.result() > 0
    assert proxy.restart().returncode == 0
    eventually(lambda: who_serves(proxy) == ("towngate", False), PATIENCE_SECONDS)


def test_a_new_program_whose_workers_do_not_serve_leaves_the_old_ones_at_work(proxy: Proxy) -> None:
    before = only_worker(proxy)
    (source,) = proxy_addons.__path__
    copy = proxy.patches / proxy_addons.__name__
    shutil.copytree(source, copy)
    newer(copy / "worker.py", "    towngate = Towngate()\n", "    raise LookupError('broken')\n")
    try:
        restarted = proxy.restart()
    finally:
        shutil.rmtree(copy)
    assert restarted.returncode == 1
    assert "proxy worker 1 ended at its start; the log says why; the old one goes on" in restarted.stderr
    assert before in proxy.workers()
    assert proxy.client.get("https://library.example/").status == 200
    assert proxy.restart().returncode == 0
    assert proxy.client.get("https://library.example/").status == 200


def newer(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def who_serves(proxy: Proxy) -> tuple[str, bool]:
    """Return what the workers call themselves, and whether the supervisor is the newer one."""
    via = proxy.client.get("http://library.example/").headers["Via"]
    with urllib.request.urlopen(f"http://{proxy.metrics}/metrics") as answer:
        return via.split()[-1].partition("-")[0], b"Newer: workers" in answer.read()


def test_no_connection_fails_when_the_nursery_is_killed_and_workers_go_on_being_replaced(
    proxy: Proxy,
) -> None:
    before = only_worker(proxy)
    kept, has_ended = Kept(proxy.client), threading.Event()
    loads: list[Callable[[], int]] = [lambda: proxy.client.get("https://library.example/").status, kept.get]
    with closing(kept), ThreadPoolExecutor(len(loads)) as pool:
        browsing = [pool.submit(get_all_the_time, load, has_ended) for load in loads]
        try:
            for _ in range(3):
                kill_nursery(proxy)
            assert before in proxy.workers()
            assert proxy.restart().returncode == 0
        finally:
            has_ended.set()
        assert min(browser.result() for browser in browsing) > 0


def test_a_worker_that_is_killed_together_with_the_nursery_is_replaced_by_the_next_one(proxy: Proxy) -> None:
    before, nursery = only_worker(proxy), proxy.nursery()
    assert nursery is not None
    for pid in (nursery, before):
        os.kill(pid, signal.SIGKILL)
    # There is nobody else: who connects meanwhile waits.
    assert proxy.client.get("https://library.example/").status == 200
    assert before not in proxy.workers() and proxy.nursery() != nursery


def test_metrics_tell_that_no_nursery_can_be_started_and_that_one_is_there_again(proxy: Proxy) -> None:
    before, nursery = only_worker(proxy), proxy.nursery()
    assert nursery is not None
    broken = proxy.patches / "uvloop.py"
    broken.write_text("raise OSError('broken')\n")
    try:
        os.kill(nursery, signal.SIGKILL)
        eventually(lambda: proxy.figure("egress_nursery_ready") == 0, PATIENCE_SECONDS)
        assert before in proxy.workers()
        assert proxy.client.get("https://library.example/").status == 200
    finally:
        broken.unlink()
    eventually(lambda: proxy.figure("egress_nursery_ready") == 1, PATIENCE_SECONDS)


def test_what_workers_counted_that_ended_is_kept_and_not_in_files_of_their_own(proxy: Proxy) -> None:
    only_worker(proxy)
    before = proxy.figure("egress_lane_connections_total", "tunnelled")
    for _ in range(2):
        assert proxy.client.get("https://library.example/").status == 200
        assert proxy.restart().returncode == 0
        eventually(lambda: len(proxy.workers()) == 1, PATIENCE_SECONDS)
    assert proxy.figure("egress_lane_connections_total", "tunnelled") == before + 2
    (worker,) = proxy.workers()
    # What one counted that has ended is taken in a moment after.
    eventually(lambda: counting(proxy) == {str(worker), "ended"}, PATIENCE_SECONDS)


def counting(proxy: Proxy) -> set[str]:
    """Return whose files of figures there are, by their names."""
    files = folder_in_memory(StateFolder(proxy.state)).glob("*.db")
    return {path.stem.rpartition("_")[2] for path in files}


def test_who_restarts_where_nothing_runs_is_told_so_in_one_line(tmp_path: Path) -> None:
    command = [TOWNGATE, "restart", "--state", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no proxy runs with this state folder" in line
