"""What IT does to a town that runs: back it up, restore it elsewhere, hand its certificate out."""

import asyncio
import hashlib
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.running_town import free_ports, run_command, running_part, running_town

_TOWNGATE = (str(Path(sys.executable).with_name("towngate")),)


async def test_a_town_is_backed_up_while_it_runs_and_runs_on_from_its_backup(tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    async with running_town(tmp_path / "town", "--demo") as town:
        is_made = asyncio.Event()
        browsing = asyncio.create_task(_browse(town.proxy, is_made))
        code, output, errors = await town.command("backup", backup)
        is_made.set()
        await browsing
        assert code == 0, errors
        assert "The key of the town's CA is among them" in output
        code, _, errors = await town.command("restore", backup, "--replace")
        assert (code, errors) == (
            2,
            f"Error: {town.state}: the town runs; stop it first; nothing was restored\n",
        )
        (_, certificate, _) = await town.command("ca", "export")
        passwords = town.passwords
    async with running_part("proxy", tmp_path / "town", "--proxy", "127.0.0.1:0", "--metrics", "127.0.0.1:0"):
        code, _, errors = await town.command("restore", backup, "--replace")
        assert code == 2
        assert "a proxy runs; stop it first; nothing was restored" in errors
    other = tmp_path / "other"
    code, output, errors = await run_command(*_TOWNGATE, "restore", backup, "--state", str(other))
    assert code == 0, errors
    async with running_town(other, "--demo") as restored:
        assert restored.passwords == passwords
        assert (await restored.command("ca", "export"))[1] == certificate
        async with httpx.AsyncClient(proxy=f"http://{restored.proxy}") as client:
            assert "This site is blocked" in (await client.get("http://cardroom.example/")).text
        code, output, _ = await restored.command("audit", "verify")
        assert code == 0, output


@dataclass(frozen=True)
class HasRun:
    """A town that has run: its state folder, and what its proxy answered."""

    state: Path
    before_it_ran: tuple[int, str, str]
    to_the_admin_site: httpx.Response
    to_it_by_another_name: httpx.Response
    to_one_connection_more: bytes


@pytest.fixture(scope="module")
def has_run(tmp_path_factory: pytest.TempPathFactory) -> HasRun:
    """Return a town that ran with two connections for each address, and led a name to its admin site."""
    return asyncio.run(_ask(tmp_path_factory.mktemp("has-run")))


async def _ask(folder: Path) -> HasRun:
    state, hosts, admin = folder / "town", folder / "hosts", f"127.0.0.1:{free_ports(1)[0]}"
    hosts.write_text(f"gate.example:80 {admin}\n")
    before = await run_command(*_TOWNGATE, "ca", "export", "--state", str(state))
    options = ("--demo", "--admin", admin, "--hosts", str(hosts), "--workers", "1", "--connections", "2")
    async with running_town(state, *options) as town:
        async with httpx.AsyncClient(proxy=f"http://{town.proxy}", timeout=30) as client:
            to_the_admin_site = await client.get(f"http://{admin}/")
            to_it_by_another_name = await client.get("http://gate.example/")
        host, _, port = town.proxy.rpartition(":")
        several = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        reader, writer = several[-1]
        writer.write(b"GET http://news.example/ HTTP/1.1\r\nHost: news.example\r\n\r\n")
        answer = await reader.readuntil(b"\r\n")
        for _, writer in several:
            writer.close()
    return HasRun(state, before, to_the_admin_site, to_it_by_another_name, answer)


def test_nobody_is_led_to_the_admin_site_by_another_name(has_run: HasRun) -> None:
    # Where the name leads to is there, and in the town's own table of hosts.
    assert has_run.to_the_admin_site.status_code < 400
    assert has_run.to_it_by_another_name.status_code == 502


def test_address_that_has_as_many_connections_as_it_may_is_told_so(has_run: HasRun) -> None:
    assert has_run.to_one_connection_more == b"HTTP/1.1 429 Too Many Requests\r\n"


async def test_certificate_is_handed_out_as_text_and_as_bytes_and_never_the_key(
    tmp_path: Path, has_run: HasRun
) -> None:
    code, _, errors = has_run.before_it_ran
    assert code == 2
    assert "not there yet; the proxy makes it when it starts" in errors
    state = str(has_run.state)
    _, pem, said = await run_command(*_TOWNGATE, "ca", "export", "--state", state)
    assert "PRIVATE KEY" not in pem
    der = ssl.PEM_cert_to_DER_cert(pem)
    fingerprint = hashlib.sha256(der).hexdigest().upper()
    assert said.replace(":", "") == f"Fingerprint of the town's certificate, SHA-256 {fingerprint}\n"
    to_file = f"{_TOWNGATE[0]} ca export --format der --state {state} > {tmp_path / 'town-ca.crt'}"
    assert (await run_command("sh", "-c", to_file))[0] == 0
    assert (tmp_path / "town-ca.crt").read_bytes() == der
    (has_run.state / "proxy/ca/town-ca.pem").write_text("damaged")
    code, _, errors = await run_command(*_TOWNGATE, "ca", "export", "--state", state)
    assert code == 2
    assert "is no certificate" in errors


async def _browse(proxy: str, is_over: asyncio.Event) -> None:
    async with httpx.AsyncClient(proxy=f"http://{proxy}", timeout=30) as client:
        while not is_over.is_set():
            await client.get("http://cardroom.example/")
