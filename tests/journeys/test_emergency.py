"""An emergency in a real town: limited within a second, told to everyone, and over when IT says so."""

import asyncio
import json
import os
import signal
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from admin.demo_web import demo_web
from tests.at_once import assert_soon
from tests.client_hellos import client_hello
from tests.odd_origin import OddOrigin
from tests.proxy_client import Answer, ProxyClient
from tests.running_town import (
    PATIENCE_SECONDS,
    WORKER,
    RunningTown,
    children,
    free_ports,
    running_part,
    running_town,
)

pytestmark = pytest.mark.long

WORM = "A worm goes round."
ENDLESS = "drip.example"
NAMES = ("library.example", "cardroom.example", "dispatch.example")


@pytest.fixture
def odd_origin() -> Iterator[OddOrigin]:
    """Return servers of which one never stops talking."""
    with closing(OddOrigin()) as origin:
        yield origin


class Workstation:
    """The clerk's computer, in a town where commands can be run."""

    def __init__(self, town: RunningTown, web_ca: Path) -> None:
        self.town = town
        self.client = ProxyClient(int(town.proxy.rpartition(":")[2]), (town.town_ca, web_ca))

    async def get(self, url: str) -> Answer:
        return await asyncio.to_thread(self.client.get, url)

    async def status(self, url: str) -> int:
        return (await self.get(url)).status

    async def answered(self, url: str, status: int) -> bool:
        """Say whether the workers, each of which has what is published, answer with this status."""
        await self.town.in_force()
        # One that hears of a measure closes what it is dialling.
        with suppress(ConnectionError, ssl.SSLEOFError):
            return [await self.status(url) for _ in range(4)] == [status] * 4
        return False

    async def command(self, *words: str) -> dict[str, Any]:
        """Run a command that prints JSON, and return it."""
        code, output, errors = await self.town.command(*words, "--json")
        assert code == 0, output + errors
        answer: dict[str, Any] = json.loads(output)
        return answer

    async def assert_tunnels_close_at_once(self, on: tuple[str, ...], off: tuple[str, ...]) -> None:
        """Begin and end a measure until a tunnel was closed within a second of its being recorded.

        The measure stays in force.
        """
        is_on = False

        async def seconds_until_closed() -> float:
            nonlocal is_on
            if is_on:
                await self.command(*off)
            await until(lambda: self._is_open(ENDLESS))
            tunnel = await asyncio.to_thread(self._open_tunnel)
            closed = asyncio.create_task(asyncio.to_thread(_read_to_end, tunnel))
            began = await self.command(*on)
            is_on = True
            assert (began["changed"], began["published"]) == (True, True)
            async with asyncio.timeout(30):
                closed_at = await closed
            began_at = datetime.fromisoformat(began["in_force"][0]["began_at"])
            return (closed_at - began_at).total_seconds()

        await assert_soon(seconds_until_closed)

    async def _is_open(self, host: str) -> bool:
        await self.town.in_force()
        tunnel = await asyncio.to_thread(self.client.connect, host)
        with tunnel:
            tunnel.sendall(client_hello(host))
            # What it says is no TLS; a page under the town's CA would be.
            return (await asyncio.to_thread(tunnel.recv, 1))[:1] not in (b"", b"\x16")

    def _open_tunnel(self) -> Any:
        tunnel = self.client.connect(ENDLESS)
        tunnel.sendall(client_hello(ENDLESS))
        assert tunnel.recv(1 << 16)
        return tunnel


def _read_to_end(tunnel: Any) -> datetime:
    with suppress(OSError), tunnel:
        while tunnel.recv(1 << 16):
            pass
    return datetime.now(UTC)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():
            await asyncio.sleep(0.05)


async def test_lockdown_device_off_and_filter_off_from_their_first_second_to_their_end(
    tmp_path: Path, odd_origin: OddOrigin
) -> None:
    async with demo_web(tmp_path / "web", NAMES) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        hosts.write_text(hosts.read_text() + odd_origin.hosts_lines())
        async with running_town(tmp_path / "state", "--demo", "--hosts", str(hosts)) as town:
            clerk = Workstation(town, web.ca_certificate)
            await _play_device_off(clerk)
            await _play_lockdown(clerk)
            await _play_filter_off(clerk)
            code, output, _ = await town.command("audit", "verify")
            assert code == 0, output


async def _play_device_off(clerk: Workstation) -> None:
    off = ("device", "off", "FIN-PC-15", "--because", "It sends mail by itself.")
    back = ("device", "on", "127.0.0.1")
    await clerk.assert_tunnels_close_at_once(off, back)
    await until(lambda: clerk.answered("https://dispatch.example/", 403))
    page = await clerk.get("https://dispatch.example/")
    assert page.status == 403, "essential sites neither"
    assert "This device is off the web" in page.text and "It sends mail by itself." in page.text
    assert await clerk.status(f"http://{clerk.town.admin}/sign-in") == 200
    await clerk.command(*back)
    await until(lambda: clerk.answered("https://library.example/", 200))


async def _play_lockdown(clerk: Workstation) -> None:
    on = ("lockdown", "on", "--department", "finance", "--because", WORM, "--next-news", "11:00")
    off = ("lockdown", "off", "--department", "finance")
    await clerk.assert_tunnels_close_at_once(on, off)
    await until(lambda: clerk.answered("https://library.example/", 403))
    await _assert_limited(clerk)
    told = (await clerk.get(f"http://{clerk.town.admin}/sign-in")).text
    assert "The web is limited for Finance" in told and WORM in told

    # Every process is killed: it is in the database and in the published snapshot.
    for pid in (*children(clerk.town, WORKER), *children(clerk.town, "admin.command")):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: _admin_answers(clerk.town))
    await _assert_limited(clerk)

    # New lists and a new policy change nothing about it.
    listed = clerk.town.state / "games.txt"
    listed.write_text("newgames.example\n")
    await clerk.command("categories", "update", "--source", f"own:games={listed}")
    document = (clerk.town.state / "policy.yaml").read_text()
    changed = clerk.town.state / "changed.yaml"
    changed.write_text(document.replace("Town of Exampleton", "Town of Newname"))
    code, output, _ = await clerk.town.command("policy", "publish", str(changed))
    assert code == 0 and "In force" in output, output
    await clerk.town.in_force()
    assert "Town of Newname" in (await clerk.get("https://library.example/")).text
    await _assert_limited(clerk)

    # Over: the same site opens, in every worker.
    assert (await clerk.command(*off))["in_force"] == []
    await until(lambda: clerk.answered("https://library.example/", 200))


async def _play_filter_off(clerk: Workstation) -> None:
    await clerk.command("filter", "off", "--for", "10m", "--because", "The lists are bad.")
    await until(lambda: clerk.answered("https://cardroom.example/", 200))
    assert "The filter is off" in (await clerk.get(f"http://{clerk.town.admin}/sign-in")).text
    await clerk.command("filter", "on")
    await until(lambda: clerk.answered("https://cardroom.example/", 403))
    assert "The filter is off" not in (await clerk.get(f"http://{clerk.town.admin}/sign-in")).text


async def test_lockdown_is_in_force_within_a_second_while_admin_does_not_run(
    tmp_path: Path, odd_origin: OddOrigin
) -> None:
    state = tmp_path / "state"
    async with running_town(state, "--demo") as town:
        pass
    async with demo_web(tmp_path / "web", NAMES) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        hosts.write_text(hosts.read_text() + odd_origin.hosts_lines())
        port, metrics = free_ports(2)
        addresses = ("--proxy", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}")
        async with running_part("proxy", state, *addresses, "--hosts", str(hosts)):
            gate = replace(town, proxy=f"127.0.0.1:{port}", metrics=f"127.0.0.1:{metrics}")
            clerk = Workstation(gate, web.ca_certificate)
            await clerk.assert_tunnels_close_at_once(
                ("lockdown", "on", "--because", WORM), ("lockdown", "off")
            )
            await _assert_limited(clerk)
    # Admin starts, and it is still so.
    async with running_part("admin", state, "--admin", f"127.0.0.1:{port}"):
        (measure,) = (await clerk.command("lockdown"))["in_force"]
        assert measure["because"] == WORM
        ended = await clerk.command("lockdown", "off")
        assert (ended["changed"], ended["published"]) == (True, True)


async def _assert_limited(clerk: Workstation) -> None:
    await until(lambda: clerk.answered("https://library.example/", 403))
    page = await clerk.get("https://library.example/")
    assert page.status == 403
    assert "The web is limited right now" in page.text and WORM in page.text
    assert "These still work: dispatch.example, town.example." in page.text
    assert await clerk.status("https://dispatch.example/") == 200


async def _admin_answers(town: RunningTown) -> bool:
    host, _, port = town.admin.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return len(children(town, WORKER)) == 2 and len(children(town, "admin.command")) == 1
