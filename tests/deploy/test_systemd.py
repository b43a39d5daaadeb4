"""The units: sound, hardened, and at work on a machine that systemd has booted."""

import json
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from tests.deploy.systemd_machine import ROOT, STATE, TOWNGATE, Machine, booted_machine
from tests.towns import DOCUMENT

UNITS = ROOT / "deploy" / "systemd"
README = ROOT / "deploy" / "README.md"
SERVICES = ("towngate-proxy", "towngate-admin")
MOST_EXPOSED = 2.0
PASSWORD = "correct horse battery"
ADMIN_URL = "http://127.0.0.1:8000"
# A page is shown to each, or it ends: a 403 is what it must be.
BROWSE_ALL_THE_TIME = """
while ! test -e /tmp/enough; do
    curl --silent --show-error --max-time 60 --output /dev/null --proxy http://127.0.0.1:8080 \\
        http://cardroom.example/ || exit 1
done
"""
DROP_INS = "/etc/systemd/system/towngate-admin.service.d"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Return a machine on which the commands of the README have been typed, from users to services."""
    with booted_machine(tmp_path_factory.mktemp("machine")) as booted:
        booted.must("mkdir", "/tmp/first")
        booted.must("tee", "/tmp/first/policy.yaml", stdin=DOCUMENT)
        for title in ("2. Users and the state folder", "3. The policy", "4. The services"):
            booted.must("sh", "-eu", "-c", f"cd /opt/checkout\n{commands_of(title)[0]}")
        booted.wait_for("towngate-admin", "ready")
        booted.wait_for("towngate-proxy", "ready")
        yield booted


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("service", SERVICES)
def test_unit_is_sound(service: str, tmp_path: Path) -> None:
    unit = tmp_path / f"{service}.service"
    # It is checked that the program is there, which it is only on a gate.
    unit.write_text((UNITS / unit.name).read_text().replace(TOWNGATE, sys.executable))
    # The other unit is named in this one.
    for other in SERVICES:
        (tmp_path / f"{other}.service").touch()
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("service", SERVICES)
def test_unit_is_exposed_to_little(service: str) -> None:
    done = subprocess.run(
        [
            *("systemd-analyze", "security", "--no-pager", "--offline=true"),
            *(f"--threshold={MOST_EXPOSED * 10:.0f}", UNITS / f"{service}.service"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout


def test_pages_are_shown_over_http_and_https(machine: Machine) -> None:
    for url in ("http://cardroom.example/", "https://cardroom.example/"):
        assert "This site is blocked" in browse(machine, url)
    assert "Traceback" not in machine.journal("towngate-proxy")


def test_reload_replaces_the_workers_and_keeps_the_service_and_its_connections(machine: Machine) -> None:
    def main_pid() -> str:
        return machine.must("systemctl", "show", "towngate-proxy", "--property=MainPID", "--value").strip()

    def workers() -> set[str]:
        return set(machine.must("pgrep", "--parent", main_pid(), "^proxy worker").split())

    pid, before = main_pid(), workers()
    with ThreadPoolExecutor(1) as pool:
        browsing = pool.submit(machine.run, "sh", "-c", BROWSE_ALL_THE_TIME)
        try:
            machine.must("systemctl", "reload", "towngate-proxy")
            assert main_pid() == pid
            eventually(lambda: len(workers()) == len(before) and not workers() & before)
            # Started anew it has the same socket: who connects meanwhile waits.
            machine.must("systemctl", "restart", "towngate-proxy")
        finally:
            machine.must("touch", "/tmp/enough")
        assert browsing.result() == (0, "")
    assert main_pid() != pid
    status = machine.must("systemctl", "show", "towngate-proxy", "--property=StatusText", "--value")
    assert status == "2 of 2 workers ready, 0 draining\n"
    assert "figures are on disk" not in machine.journal("towngate-proxy")


def test_who_connects_while_the_supervisor_is_killed_waits_for_the_next_one(machine: Machine) -> None:
    def main_pid() -> str:
        return machine.must("systemctl", "show", "towngate-proxy", "--property=MainPID", "--value").strip()

    before = main_pid()
    machine.must("kill", "-9", before)
    eventually(lambda: main_pid() != before)
    # systemd keeps the socket: nobody serves yet, and nobody is refused.
    assert "This site is blocked" in browse(machine, "http://cardroom.example/")
    eventually(lambda: main_pid() not in ("0", before))


def left_in_spool(machine: Machine) -> set[str]:
    """Return which kinds of files there are; a worker's facts stay, visits go to admin."""
    return {Path(name).suffix for name in machine.must("ls", STATE / "proxy" / "spool").split()}


def test_visits_reach_the_database_and_what_is_taken_in_is_deleted(machine: Machine) -> None:
    browse(machine, "http://cardroom.example/?taken-in")
    eventually(lambda: "cardroom.example" in [visit["host"] for visit in visits(machine)])
    machine.must("systemctl", "restart", "towngate-proxy")
    eventually(lambda: left_in_spool(machine) == {".facts"})
    eventually(lambda: "This site is blocked" in browse(machine, "http://cardroom.example/"))


def test_a_policy_that_root_publishes_is_in_force_at_once(machine: Machine) -> None:
    publish(machine, DOCUMENT.replace("Prohibited Uses 5 and 18", "Prohibited Uses 99"))
    try:
        eventually(lambda: "Prohibited Uses 99" in browse(machine, "http://cardroom.example/"))
    finally:
        publish(machine, DOCUMENT)


def test_lists_of_the_settings_are_fetched_by_the_service_and_by_hand(machine: Machine) -> None:
    install, by_hand = commands_of("5. The lists")
    machine.must("tee", "/srv/list.txt", stdin="newly-listed.example\n")
    settings = "lists: {sources: {ours: {location: /srv/list.txt, category: gambling}}}\n"
    machine.must("tee", "/tmp/first/settings.yaml", stdin=settings)
    machine.must("sh", "-eu", "-c", install)
    eventually(lambda: "This site is blocked" in browse(machine, "http://newly-listed.example/"))
    machine.wait_for("towngate-admin", "lists updated: refused=0")
    # What admin writes the proxy's listener shows.
    eventually(lambda: 'towngate_source_entries{source="ours"} 1.0' in scraped(machine))
    machine.must("tee", "/srv/list.txt", stdin="newly-listed.example\nlisted-later.example\n")
    machine.must("sh", "-eu", "-c", by_hand)
    eventually(lambda: "This site is blocked" in browse(machine, "http://listed-later.example/"))


def test_an_update_of_the_lists_may_give_way(machine: Machine) -> None:
    niceness = machine.must(
        *("systemd-run", "--quiet", "--pipe", "--wait", "--property=User=towngate-admin"),
        *(f"--property={line}" for line in system_call_filters("towngate-admin")),
        *("nice", "-n", "19", "nice"),
    )
    assert niceness == "19\n"


def test_a_backup_by_root_has_the_key_of_the_ca_and_comes_back_with_everyones_rights(
    machine: Machine,
) -> None:
    back_up, restore = commands_of("7. Backups")
    output = machine.must("sh", "-eu", "-c", back_up)
    assert "The key of the town's CA is among them" in output
    day = machine.must("date", "+%F").strip()
    output = machine.must(*(TOWNGATE, "backup", "/tmp/by-admin", "--state", STATE), user="towngate-admin")
    assert "Without the key of the town's CA" in output
    before = rights(machine)
    output = machine.must("sh", "-eu", "-c", restore.replace("2026-03-02", day))
    assert "events of the audit log are whole" in output
    eventually(lambda: "This site is blocked" in browse(machine, "http://cardroom.example/"))
    eventually(lambda: machine.run("curl", "--silent", f"{ADMIN_URL}/healthz")[1] == "ok")
    after = rights(machine)
    # The lists before those in force are left out.
    gone = {path for path in before.keys() - after.keys() if not path.startswith("published/categories/")}
    assert not gone
    assert {path: after[path] for path in before if path in after} == {
        path: facts for path, facts in before.items() if path in after
    }


def test_the_proxy_goes_on_while_admin_is_down(machine: Machine) -> None:
    machine.must("systemctl", "stop", "towngate-admin")
    try:
        assert "This site is blocked" in browse(machine, "http://cardroom.example/")
        metrics = machine.must("curl", "--silent", "http://127.0.0.1:9464/metrics")
        assert "egress_visits_total" in metrics
    finally:
        machine.must("systemctl", "start", "towngate-admin")


def test_somebody_can_sign_in(machine: Machine) -> None:
    eventually(lambda: machine.run("curl", "--silent", f"{ADMIN_URL}/healthz")[0] == 0)
    set_password = commands_of("4. The services")[1].replace("jdoe", "it --stdin")
    machine.must("sh", "-eu", "-c", set_password, stdin=f"{PASSWORD}\n")
    jar = ("--silent", "--cookie", "/tmp/jar", "--cookie-jar", "/tmp/jar")
    form = machine.must("curl", *jar, f"{ADMIN_URL}/sign-in")
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    fields |= {"name": "it", "password": PASSWORD}
    sent = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
    answer = machine.must(
        *("curl", *jar, "--include", "--header", "Origin: https://towngate.town.example:8443"),
        *(*sent, f"{ADMIN_URL}/sign-in"),
    )
    assert "HTTP/1.1 303" in answer, answer


def scraped(machine: Machine) -> str:
    """Return what Prometheus would be told."""
    return machine.must("curl", "--silent", "http://127.0.0.1:9464/metrics")


def system_call_filters(service: str) -> list[str]:
    """Return the lines of a unit that say which system calls it may make."""
    return re.findall(r"^SystemCall\w+=.*$", (UNITS / f"{service}.service").read_text(), re.MULTILINE)


def rights(machine: Machine) -> dict[str, str]:
    """Return owner, group and mode of what a town keeps, by its path."""
    listed = machine.must(
        *(
            "find",
            STATE,
            "-path",
            "*/replaced-*",
            "-prune",
            "-o",
            "-name",
            "*.visits",
            "-o",
            "-name",
            "*.db*",
        ),
        *("-o", "-path", "*/metrics/*", "-o", "-printf", "%P %u %g %m\n"),
    )
    return {path: facts for path, _, facts in (line.partition(" ") for line in listed.splitlines())}


PROXY, ADMIN, OTHER = "towngate-proxy", "towngate-admin", "nobody"


@pytest.mark.parametrize(
    ("user", "right", "path", "is_given"),
    [
        (PROXY, "-r", "published/policy.snapshot", True),
        (PROXY, "-r", "published/ask-token.key", True),
        (PROXY, "-r", "published/categories/current.json", True),
        (PROXY, "-r", "published/admin.prom", True),
        (PROXY, "-w", "published", False),
        (PROXY, "-w", "published/policy.snapshot", False),
        (PROXY, "-x", "admin", False),
        (PROXY, "-r", "admin/towngate.db", False),
        (PROXY, "-r", "proxy/ca/mitmproxy-ca.pem", True),
        (PROXY, "-w", "policy.yaml", False),
        (PROXY, "-w", ".", False),
        (ADMIN, "-r", "policy.yaml", True),
        (ADMIN, "-w", "policy.yaml", False),
        (ADMIN, "-w", ".", False),
        (ADMIN, "-r", "proxy", False),
        (ADMIN, "-w", "proxy", False),
        (ADMIN, "-x", "proxy/ca", False),
        (ADMIN, "-r", "proxy/ca/mitmproxy-ca.pem", False),
        (ADMIN, "-x", "proxy/metrics", False),
        (ADMIN, "-w", "proxy/spool", True),
        (ADMIN, "-w", "published", True),
        (OTHER, "-x", ".", False),
        (OTHER, "-r", "policy.yaml", False),
    ],
)
def test_each_user_may_do_what_it_must_and_no_more(
    user: str, right: str, path: str, is_given: bool, machine: Machine
) -> None:
    there, _ = machine.run("test", "-e", STATE / path)
    assert there == 0, f"{path} is not there"
    code, _ = machine.run("test", right, STATE / path, user=user)
    assert (code == 0) is is_given


def test_a_part_started_as_the_others_user_says_so_in_one_line(machine: Machine) -> None:
    code, output = machine.run(
        *(TOWNGATE, "admin", "--state", STATE, "--admin", "127.0.0.1:8001"), user=PROXY
    )
    assert code == 2
    assert f"{STATE}/admin: cannot be written to; check its owner and rights" in output
    assert "Traceback" not in output
    code, output = machine.run(
        *(TOWNGATE, "proxy", "--state", STATE, "--proxy", "127.0.0.1:8081", "--metrics", "127.0.0.1:9465"),
        user=ADMIN,
    )
    assert code == 2
    assert f"{STATE}/proxy: cannot be written to; check its owner and rights" in output


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_no_privilege_and_none_to_gain(service: str, machine: Machine) -> None:
    pid = machine.must("systemctl", "show", service, "--property=MainPID", "--value").strip()
    status = machine.must("cat", f"/proc/{pid}/status")
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {found[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert found["NoNewPrivs"] == "1"
    assert found["Seccomp"] == "2"


def test_admin_serves_https_with_a_key_that_only_root_can_read(machine: Machine) -> None:
    certificate = trustme.CA().issue_cert("towngate.town.example")
    machine.must("mkdir", "-p", "/etc/towngate", DROP_INS)
    for name, pem in (
        ("admin-certificate.pem", certificate.cert_chain_pems[0]),
        ("admin-key.pem", certificate.private_key_pem),
    ):
        machine.must("tee", f"/etc/towngate/{name}", stdin=pem.bytes().decode())
    machine.must("chmod", "600", "/etc/towngate/admin-key.pem")
    machine.must("cp", "/opt/checkout/deploy/systemd/towngate-admin-tls.conf", f"{DROP_INS}/tls.conf")
    listen_at(machine, "0.0.0.0:8443")
    try:
        secure = ("curl", "--silent", "--insecure", "https://127.0.0.1:8443/healthz")
        eventually(lambda: machine.run(*secure)[0] == 0)
    finally:
        machine.must("rm", f"{DROP_INS}/tls.conf")
        listen_at(machine, "127.0.0.1:8000")


def listen_at(machine: Machine, address: str) -> None:
    """Set where the admin site listens, and restart it."""
    setting = f"s/^TOWNGATE_ADMIN=.*/TOWNGATE_ADMIN={address}/"
    machine.must("sed", "--in-place", setting, "/etc/default/towngate")
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", "towngate-admin")


def commands_of(title: str) -> list[str]:
    """Return what the README says to type in a section: each indented block."""
    section = README.read_text().split(f"## {title}")[1].split("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"\n\n((?: {4}\S.*\n)+)", section)]


def publish(machine: Machine, document: str) -> None:
    """Put a policy in force, as the README says."""
    machine.must("tee", "/tmp/first/policy.yaml", stdin=document)
    machine.must("sh", "-eu", "-c", commands_of("3. The policy")[0])


def browse(machine: Machine, url: str) -> str:
    """Return the page that a workstation gets; empty when it gets none."""
    _, page = machine.run(
        *("curl", "--silent", "--insecure", "--max-time", "20", "--proxy", "http://127.0.0.1:8080", url)
    )
    return page


def visits(machine: Machine) -> list[dict[str, str]]:
    """Return the visits in the database."""
    lines = machine.must(TOWNGATE, "visits", "--json", "--state", STATE, user=ADMIN).splitlines()
    return [json.loads(line) for line in lines]


def eventually(holds: Callable[[], object], within_seconds: float = 60.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    until = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < until, f"still not so after {within_seconds} seconds"
        time.sleep(0.2)
