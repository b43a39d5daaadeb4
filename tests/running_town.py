"""The real program, `towngate run`, as a process: what it prints, where it listens, how it ends."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

_START_SECONDS = 60.0
_COMMAND = str(Path(sys.executable).with_name("towngate"))


@dataclass(slots=True)
class RunningTown:
    """A running town: its addresses, the passwords it printed, and its process."""

    state: Path
    proxy: str
    admin: str
    metrics: str
    environment: dict[str, str]
    passwords: dict[str, str] = field(default_factory=dict)
    output: str = ""
    process: asyncio.subprocess.Process | None = None

    @property
    def town_ca(self) -> Path:
        """The town's certificate authority, as workstations trust it."""
        return self.state / "proxy" / "ca" / "town-ca.pem"

    async def command(self, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
        """Run `towngate WORDS --state ...`; return its exit code, output and errors."""
        process = await asyncio.create_subprocess_exec(
            *(_COMMAND, *words, "--state", str(self.state)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
        )
        output, errors = await process.communicate(stdin.encode() if stdin else None)
        return process.returncode or 0, output.decode(), errors.decode()


@asynccontextmanager
async def running_town(
    state: Path, *options: str, environment: dict[str, str] | None = None
) -> AsyncIterator[RunningTown]:
    """Run `towngate run` on free ports of loopback until the block ends; fail if it does not start."""
    proxy, admin, metrics = (f"127.0.0.1:{port}" for port in _free_ports(3))
    town = RunningTown(state, proxy, admin, metrics, {**os.environ, **(environment or {})})
    process = town.process = await asyncio.create_subprocess_exec(
        *(_COMMAND, "run", "--state", str(state), "--proxy", proxy, "--admin", admin),
        *("--metrics", metrics, *options),
        stdout=asyncio.subprocess.PIPE,
        env=town.environment,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for line in process.stdout:
                town.output += line.decode()
                if line == b"ready\n":
                    break
            else:
                raise AssertionError(f"towngate run ended before it was ready:\n{town.output}")
        town.passwords = dict(re.findall(r"^  ([a-z-]+) +(\S+)$", town.output, re.MULTILINE))
        yield town
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                await process.wait()


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
