"""`towngate run` and its parts as processes: how they start, fail to start, keep going, and end."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import trustme

from admin.state_folder import StateFolder
from admin.worker_figures import folder_in_memory
from tests.running_town import (
    PATIENCE_SECONDS,
    WORKER,
    RunningTown,
    children,
    free_ports,
    run_command,
    running_part,
    running_town,
)

pytestmark = pytest.mark.long

TOWNGATE = str(Path(sys.executable).with_name("towngate"))
README = Path(__file__).parents[1] / "README.md"
FIRST_START = ("--town-name", "Town of Test", "--timezone", "America/New_York", "--administrator", "jdoe")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningTown]:
    async with running_town(tmp_path_factory.mktemp("demo") / "var", "--demo") as town:
        yield town


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.needs("curl")
async def test_the_three_lines_to_try_in_the_readme_work_in_the_demo_town(demo_town: RunningTown) -> None:
    lines = re.findall(r"^    ((?:curl --proxy|\.venv/bin/towngate explain) .*)$", README.read_text(), re.M)
    answers = []
    for line in lines:
        here = line.replace("127.0.0.1:8080", demo_town.proxy).replace(" var/", f" {demo_town.state}/")
        words = shlex.split(here)
        if words[0] == ".venv/bin/towngate":
            words = [
                TOWNGATE,
                *words[1:],
                "--state",
                str(demo_town.state),
            ]
        answers.append(await run_command(*words))
    assert [code for code, _, _ in answers] == [0, 0, 0], answers
    allowed, blocked, explained = (output for _, output, _ in answers)
    assert "You are on library.example, over HTTPS." in allowed
    assert "This site is blocked" in blocked
    assert "not-town-business" in explained
    assert demo_town.output.count("curl --proxy") == 2, "the program itself says the same lines"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_worker_that_is_killed_is_replaced_and_the_other_serves_on(demo_town: RunningTown) -> None:
    workers = children(demo_town, WORKER)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    for _ in range(20):
        assert await _status(demo_town, "http://library.example/") == 200
    async with asyncio.timeout(PATIENCE_SECONDS):
        while workers[0] in (now := children(demo_town, WORKER)) or len(now) < 2:
            await asyncio.sleep(0.1)


@pytest.mark.asyncio(loop_scope="module")
async def test_with_admin_killed_browsing_blocking_and_metrics_go_on(demo_town: RunningTown) -> None:
    (admin,) = children(demo_town, "admin.command")
    os.kill(admin, signal.SIGSTOP)
    try:
        assert await _status(demo_town, "http://library.example/") == 200
        assert await _status(demo_town, "http://cardroom.example/") == 403
        code, metrics, _ = await run_command("curl", "-s", "-m", "5", f"http://{demo_town.metrics}/metrics")
        assert code == 0 and "egress_visits_total" in metrics
    finally:
        os.kill(admin, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _health(demo_town) != 200:
            await asyncio.sleep(0.1)


@pytest.mark.asyncio(loop_scope="module")
async def test_workers_that_answer_nothing_hold_up_no_scrape(demo_town: RunningTown) -> None:
    assert await _status(demo_town, "http://cardroom.example/") == 403
    workers = children(demo_town, WORKER)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        code, metrics, _ = await run_command("curl", "-s", "-m", "5", f"http://{demo_town.metrics}/metrics")
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert code == 0 and 'egress_visits_total{action="block"' in metrics


@pytest.mark.asyncio(loop_scope="module")
async def test_metrics_are_not_to_be_had_through_the_proxy_but_the_admin_site_is(
    demo_town: RunningTown,
) -> None:
    assert await _status(demo_town, f"http://{demo_town.metrics}/metrics") == 403
    assert await _status(demo_town, f"http://{demo_town.admin}/sign-in") == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_restart_keeps_the_demos_web_where_it_is_and_no_visit_fails_meanwhile(
    demo_town: RunningTown,
) -> None:
    resolver_table = demo_town.state / "demo-web" / "hosts"
    before = resolver_table.read_text()
    restarting = asyncio.create_task(demo_town.command("restart"))
    statuses = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not restarting.done():
            statuses.append(await _status(demo_town, "http://library.example/"))
    code, output, errors = await restarting
    assert code == 0, output + errors
    assert resolver_table.read_text() == before
    assert len(statuses) > 10 and set(statuses) == {200}


@pytest.mark.asyncio(loop_scope="module")
async def test_restart_puts_new_processes_in_the_place_of_all_below_the_same_supervisor(
    demo_town: RunningTown,
) -> None:
    before = set(children(demo_town, ""))
    code, output, errors = await demo_town.command("restart")
    assert (code, errors) == (0, "")
    assert output.count("was replaced") == 2 and "admin was restarted" in output
    async with asyncio.timeout(PATIENCE_SECONDS):
        while before & set(children(demo_town, "")):
            await asyncio.sleep(0.1)
    assert len(children(demo_town, "")) == 4
    assert await _health(demo_town) == 200
    assert await _status(demo_town, "http://library.example/") == 200


async def test_a_first_start_writes_a_policy_and_its_administrator_can_sign_in(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse battery\n")
    # Settings that are there stay: a town's first ones would fetch UT1 from the internet.
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "settings.yaml").write_text("lists: {}\n")
    options = (*FIRST_START, "--network", "10.1.0.0/16", "--password-file", str(password))
    async with running_town(tmp_path / "state", *options) as town:
        policy = tmp_path / "state" / "policy.yaml"
        assert "Town of Test" in policy.read_text() and "#" in policy.read_text()
        assert policy.with_name("settings.yaml").read_text() == "lists: {}\n"
        code, output, _ = await run_command(TOWNGATE, "policy", "check", str(policy))
        assert code == 0, output
        async with httpx.AsyncClient(base_url=f"http://{town.admin}", follow_redirects=True) as browser:
            form = (await browser.get("/sign-in")).text
            hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
            answer = await browser.post(
                "/sign-in",
                data={**hidden, "name": "jdoe", "password": "correct horse battery"},
                headers={"Origin": f"http://{town.admin}"},
            )
        assert answer.status_code == 200 and "Sign out" in answer.text


async def test_visits_made_while_admin_is_down_arrive_later_and_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running_town(state, "--demo"):
        pass
    proxy_port, metrics_port, admin_port = free_ports(3)
    addresses = ("--proxy", f"127.0.0.1:{proxy_port}", "--metrics", f"127.0.0.1:{metrics_port}")
    async with running_part("proxy", state, *addresses):
        for _ in range(3):
            await run_command(
                "curl", "-s", "-x", f"http://127.0.0.1:{proxy_port}", "http://cardroom.example/"
            )
    for _ in range(2):
        async with running_part("admin", state, "--admin", f"127.0.0.1:{admin_port}"):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(await _visited(state)) < 3:
                    await asyncio.sleep(0.1)
            # Time enough to take them in once more.
            await asyncio.sleep(1)
        assert await _visited(state) == ["cardroom.example"] * 3


async def _visited(state: Path) -> list[str]:
    """Return the sites of the visit log."""
    code, output, errors = await run_command(*(TOWNGATE, "visits", "--json", "--state", str(state)))
    assert code == 0, errors
    return [json.loads(line)["host"] for line in output.splitlines()]


async def test_sigterm_ends_everything_within_ten_seconds_and_answers_who_has_just_connected(
    tmp_path: Path,
) -> None:
    async with running_town(tmp_path / "state", "--demo") as town:
        pids = children(town, "")
        assert town.process is not None
        reader, writer = await asyncio.open_connection(*town.proxy.split(":"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _waiting_to_be_accepted(town.proxy):
                await asyncio.sleep(0.02)
        began = time.monotonic()
        town.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.02)
        writer.write(b"GET http://cardroom.example/ HTTP/1.1\r\nHost: cardroom.example\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 403 Forbidden\r\n"
        writer.close()
        assert await town.process.wait() == 0
        assert time.monotonic() - began < 10
        assert len(pids) == 4
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("option", ["--proxy", "--admin", "--metrics"])
async def test_a_port_in_use_is_one_line_and_exit_code_2(option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        free = [f"127.0.0.1:{port}" for port in free_ports(3)]
        addresses = dict(zip(("--proxy", "--admin", "--metrics"), free, strict=True)) | {option: address}
        code, _, errors = await _run(
            tmp_path, "--demo", *(word for pair in addresses.items() for word in pair)
        )
    assert code == 2
    (line,) = errors.splitlines()
    assert address in line and f"choose another address with {option}" in line


async def test_the_admin_site_is_not_served_in_the_clear_beyond_loopback(tmp_path: Path) -> None:
    proxy, metrics = (f"127.0.0.1:{port}" for port in free_ports(2))
    code, _, errors = await _run(
        *(tmp_path / "state", "--demo", "--proxy", proxy, "--metrics", metrics, "--admin", "0.0.0.0:0")
    )
    assert code == 2
    (line,) = errors.splitlines()
    assert "plain HTTP on loopback only" in line and "--tls-cert" in line


async def test_the_admin_site_is_served_under_the_certificate_it_is_given(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    async with running_town(tmp_path / "state", "--demo", *tls) as town:
        assert f"admin    https://{town.admin}" in town.output
        code, answer, _ = await run_command(
            *("curl", "-s", "-i", "--cacert", str(tmp_path / "ca.pem"), f"https://{town.admin}/sign-in")
        )
    assert code == 0 and "__Host-" in answer


async def test_a_certificate_that_cannot_be_used_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    (tmp_path / "key.pem").write_text("no key")
    ports = free_ports(3)
    addresses = [
        word
        for name, port in zip(("--proxy", "--admin", "--metrics"), ports, strict=True)
        for word in (name, f"127.0.0.1:{port}")
    ]
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    code, _, errors = await _run(tmp_path / "state", "--demo", *addresses, *tls)
    assert code == 2
    (line,) = errors.splitlines()
    assert "cert.pem" in line and "must be PEM" in line


async def test_a_state_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, errors = await _run(tmp_path / "file" / "state", "--demo")
    assert code == 2
    (line,) = errors.splitlines()
    assert "choose another with --state" in line


async def test_a_first_start_without_answers_or_terminal_says_which_options_it_needs(tmp_path: Path) -> None:
    code, _, errors = await _run(tmp_path / "state")
    assert code == 2
    assert "--town-name" in errors and "--demo" in errors
    assert not (tmp_path / "state" / "policy.yaml").exists()


async def test_a_ca_that_cannot_be_read_stops_the_start_with_what_to_do(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running_town(state, "--demo"):
        pass
    (state / "proxy" / "ca" / "mitmproxy-ca.pem").write_text("not a certificate")
    ports = free_ports(3)
    options = [
        word
        for name, port in zip(("--proxy", "--admin", "--metrics"), ports, strict=True)
        for word in (name, f"127.0.0.1:{port}")
    ]
    code, _, errors = await _run(state, "--demo", *options)
    assert code == 2
    (line,) = errors.splitlines()
    assert "mitmproxy-ca.pem: not a key" in line and "restore it from a backup" in line


async def test_a_first_password_that_is_too_short_leaves_nothing_behind(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("short\n")
    code, _, errors = await _run(
        *(tmp_path / "state", *FIRST_START, "--network", "10.1.0.0/16", "--password-file", str(password))
    )
    assert code == 2
    assert errors == "Error: a password has 8 to 256 characters\n"
    assert not (tmp_path / "state").exists()


async def test_the_demo_leaves_a_real_towns_state_folder_alone(tmp_path: Path) -> None:
    policy = tmp_path / "state" / "policy.yaml"
    policy.parent.mkdir()
    policy.write_text("town: {name: A real town}\n")
    code, _, errors = await _run(policy.parent, "--demo")
    assert code == 2
    (line,) = errors.splitlines()
    assert "a real town's state folder" in line and "--state" in line
    assert [path.name for path in policy.parent.iterdir()] == ["policy.yaml"]


async def test_a_proxy_with_nothing_published_says_so_in_one_line(tmp_path: Path) -> None:
    code, _, errors = await run_command(TOWNGATE, "proxy", "--state", str(tmp_path / "state"))
    assert code == 2
    (line,) = errors.splitlines()
    assert "no policy has been published here" in line
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "url", ["web.town.example:8443", "https://", "https://town.example/web?x", "https://a:b"]
)
async def test_an_admin_url_that_no_link_can_be_made_of_is_refused(url: str, tmp_path: Path) -> None:
    code, _, errors = await _run(tmp_path / "state", "--demo", "--admin-url", url)
    assert code == 2
    (line,) = errors.splitlines()
    assert url in line and "like https://webaccess.town.example" in line


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
async def test_nothing_outlives_the_supervisor(number: signal.Signals, tmp_path: Path) -> None:
    async with running_town(tmp_path / "state", "--demo") as town:
        pids = children(town, "")
        assert len(pids) == 4 and town.process is not None
        town.process.send_signal(number)
        await town.process.wait()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(_is_running(pid) for pid in pids):
                await asyncio.sleep(0.1)
    # Killed, it leaves the figures to the next one: there is none.
    shutil.rmtree(folder_in_memory(StateFolder(town.state)))


async def _run(state: Path, *options: str) -> tuple[int, str, str]:
    return await run_command(TOWNGATE, "run", "--state", str(state), *options)


@pytest.mark.asyncio(loop_scope="module")
async def test_admin_keeps_idle_connections_for_longer_than_clients_do(demo_town: RunningTown) -> None:
    host, _, port = demo_town.admin.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for pause_seconds in (6, 0):
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {demo_town.admin}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length))
        # The server's own way is five seconds, which is as long as programs keep one.
        await asyncio.sleep(pause_seconds)
    writer.close()


async def _status(town: RunningTown, url: str) -> int:
    _, output, _ = await run_command(
        *("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-x", f"http://{town.proxy}", url)
    )
    return int(output)


async def _health(town: RunningTown) -> int:
    _, output, _ = await run_command(
        *("curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", f"http://{town.admin}/healthz")
    )
    return int(output)


def _waiting_to_be_accepted(address: str) -> int:
    """Return how many connections nobody has accepted yet of those to who listens on loopback (proc(5))."""
    port = int(address.rpartition(":")[2])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues = line.split()[:5]
        if (local, state) == (f"0100007F:{port:04X}", "0A"):
            return int(queues.partition(":")[2], 16)
    raise AssertionError(f"nobody listens on {address}")


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
