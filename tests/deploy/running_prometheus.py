"""Debian's Prometheus with deploy's configuration, watching a town that the test runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.running_town import free_ports

_CONFIGURATION = Path(__file__).parents[2] / "deploy" / "prometheus" / "prometheus.yml"
_INTERVAL = "1s"
_START_SECONDS = 60.0
_PATIENCE_SECONDS = 60.0


class RunningPrometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression as of now: `metric` and `value`. Fails when it is none."""
        answer = await self.get("query", query=expression)
        assert answer["resultType"] == "vector", expression
        series: list[dict[str, Any]] = answer["result"]
        return series

    async def get(self, what: str, **parameters: str) -> Any:
        """Return the data of an API call; fail when Prometheus refuses it."""
        response = await self._client.get(f"/api/v1/{what}", params=parameters)
        answer = response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def wait_for(self, expression: str) -> None:
        """Wait until an expression returns data."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await self.query(expression):
                await asyncio.sleep(0.2)


@asynccontextmanager
async def running_prometheus(folder: Path, target: str) -> AsyncIterator[RunningPrometheus]:
    """Run Prometheus on a free port, scraping `target` (HOST:PORT) every second."""
    configuration = yaml.safe_load(_CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL}
    configuration["rule_files"] = [
        str(_CONFIGURATION.with_name(name)) for name in configuration["rule_files"]
    ]
    (job,) = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [target]}]
    del configuration["alerting"]  # no Alertmanager runs here
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    (port,) = free_ports(1)
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await _ready(client, process, folder / "prometheus.log")
            yield RunningPrometheus(client)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _ready(client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            assert process.returncode is None, log.read_text()
            try:
                if (await client.get("/-/ready")).is_success:
                    return
            except httpx.ConnectError:
                pass
            await asyncio.sleep(0.1)
