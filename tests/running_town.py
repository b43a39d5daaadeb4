"""The real program, `towngate`, as processes: what it prints, where it listens, how it ends."""

import asyncio
import os
import random
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot
from policy.snapshot import PolicySnapshot

_START_SECONDS = 90.0
_END_SECONDS = 60.0
"""How long it takes is tested for itself; on a busy machine it is longer."""
PATIENCE_SECONDS = 60.0
_PORTS = (15_000, 32_000)
_COMMAND = str(Path(sys.executable).with_name("towngate"))


@dataclass(slots=True)
class RunningTown:
    """A running town: its addresses, the passwords it printed, and its process."""

    state: Path
    proxy: str
    admin: str
    metrics: str
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    output: str = ""
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def town_ca(self) -> Path:
        """The town's certificate authority, as workstations trust it."""
        return self.state / "proxy" / "ca" / "town-ca.pem"

    async def command(self, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
        """Run `towngate WORDS --state ...`; return its exit code, output and errors."""
        return await run_command(
            *(_COMMAND, *words, "--state", str(self.state)), stdin=stdin, environment=self.environment
        )

    async def in_force(self) -> None:
        """Wait until every worker decides with the policy and the lists that are published now."""
        state = StateFolder(self.state)
        policy = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())
        published = {
            "policy": policy.published_at.timestamp(),
            "categories": CurrentSnapshot(state.categories).snapshot.built_at.timestamp(),
        }
        async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(trust_env=False) as prometheus:
            while True:
                told = await prometheus.get(f"http://{self.metrics}/metrics", timeout=PATIENCE_SECONDS)
                # Of each kind the one of the worker that is furthest behind.
                oldest = {
                    sample.labels["kind"]: sample.value
                    for family in text_string_to_metric_families(told.text)
                    for sample in family.samples
                    if sample.name == "egress_snapshot_published_timestamp_seconds"
                }
                if all(oldest.get(kind, 0.0) >= at for kind, at in published.items()):
                    return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_town(
    state: Path, *options: str, environment: dict[str, str] | None = None
) -> AsyncIterator[RunningTown]:
    """Run `towngate run` on free ports of loopback until the block ends; fail if it does not start."""
    proxy, admin, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
    town = RunningTown(state, proxy, admin, metrics, {**os.environ, **(environment or {})})
    words = ("run", "--proxy", proxy, "--admin", admin, "--metrics", metrics, *options)
    async with _running(words, state, town.environment) as (process, output):
        town.process, town.output = process, output
        town.passwords = dict(re.findall(r"^  ([a-z-]+) +(\S+)$", output, re.MULTILINE))
        yield town


@asynccontextmanager
async def running_part(
    part: str, state: Path, *options: str, environment: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `towngate PART` ("proxy" or "admin") until the block ends; fail if it does not start."""
    async with _running((part, *options), state, {**os.environ, **(environment or {})}) as (process, _):
        yield process


async def run_command(
    *words: str, stdin: str | None = None, environment: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a command; return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    output, errors = await process.communicate(stdin.encode() if stdin else None)
    return process.returncode or 0, output.decode(), errors.decode()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nothing listens on.

    By chance, and below those that the system gives to whoever connects: until they are used, neither
    a connection nor another run of tests is likely to take one.
    """
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randrange(*_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.add(port)
    return list(ports)


WORKER = "proxy worker"


def children(town: RunningTown, name: str) -> list[int]:
    """Return the pids of the town's processes whose name begins so, or whose command has it."""
    assert town.process is not None
    return children_of(town.process.pid, name)


def children_of(supervisor: int, name: str) -> list[int]:
    """Return the pids of a supervisor's processes whose name begins so, or whose command has it."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = re.search(r"^PPid:\t(\d+)$", (folder / "status").read_text(), re.MULTILINE)
                command = (folder / "cmdline").read_bytes().decode()
                own_name = (folder / "comm").read_text()
            except OSError:
                continue
            is_named = own_name.startswith(name) or name in command
            if parent and int(parent[1]) == supervisor and is_named:
                found.append(int(folder.name))
    return sorted(found)


@asynccontextmanager
async def _running(
    words: tuple[str, ...], state: Path, environment: dict[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        *(_COMMAND, *words, "--state", str(state)), stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        yield process, await _output_until_ready(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()


async def _output_until_ready(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    output = ""
    async with asyncio.timeout(_START_SECONDS):
        async for line in process.stdout:
            output += line.decode()
            if line == b"ready\n":
                return output
    raise AssertionError(f"towngate ended before it was ready:\n{output}")
