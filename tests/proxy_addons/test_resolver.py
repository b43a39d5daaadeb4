"""From a name to a connection: which address is dialled, which is refused, and what people are told."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from proxy_addons.judge import Judge
from proxy_addons.resolver import HostsFileError, Resolver, read_hosts_file
from proxy_addons.snapshot_watch import SnapshotWatch
from tests.odd_origin import OddOrigin
from tests.proxied_town import PATIENCE_SECONDS
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

PUBLIC_ADDRESS = "192.88.99.1"
CLIENT = "10.10.20.15"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return SnapshotWatch(PublishedTown(tmp_path_factory.mktemp("town")).state.root).judge


def resolver(
    judge: Judge,
    hosts: dict[tuple[str, int], tuple[str, int]] | None = None,
    dial_seconds: float = PATIENCE_SECONDS,
) -> Resolver:
    return Resolver(lambda: judge, hosts or {}, dial_seconds=dial_seconds)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("10.1.2.3", "10.1.2.3"),
        ("169.254.169.254", "169.254.169.254"),
        ("100.64.0.1", "100.64.0.1"),
        ("fe80::1", "fe80::1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("64:ff9b::7f00:1", "64:ff9b::7f00:1"),
        ("0.0.0.0", "0.0.0.0"),
        ("224.0.0.1", "224.0.0.1"),
    ],
)
async def test_name_that_leads_to_a_private_address_is_refused(host: str, address: str, judge: Judge) -> None:
    with pytest.raises(OSError, match="private address") as refused:
        await resolver(judge).open_connection(host, 80, client=CLIENT)

    assert str(refused.value) in (f"it leads to a private address ({a})" for a in (address, "::1"))


async def test_one_private_address_among_public_ones_refuses_the_name(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(PUBLIC_ADDRESS, "10.0.0.1"))

    with pytest.raises(OSError, match=r"private address \(10\.0\.0\.1\)"):
        await resolver(judge).open_connection("rebinding.example", 80, client=CLIENT)


async def test_internal_network_of_the_policy_may_be_dialled(tmp_path: Path, odd_origin: OddOrigin) -> None:
    town = PublishedTown(tmp_path, document=DOCUMENT + "internal_networks: [127.0.0.0/8]\n")
    port = int(odd_origin.hosts_lines().split()[1].rpartition(":")[2])

    _, writer = await resolver(SnapshotWatch(town.state.root).judge).open_connection(
        "localhost", port, client=CLIENT
    )

    writer.close()


async def test_admin_site_may_be_dialled_wherever_it_is(tmp_path: Path, odd_origin: OddOrigin) -> None:
    port = int(odd_origin.hosts_lines().split()[1].rpartition(":")[2])
    town = PublishedTown(tmp_path, f"http://127.0.0.1:{port}")
    judge = SnapshotWatch(town.state.root).judge

    _, writer = await resolver(judge).open_connection("127.0.0.1", port, client=CLIENT)

    writer.close()
    with pytest.raises(OSError, match="private address"):
        await resolver(judge).open_connection("127.0.0.1", port + 1, client=CLIENT)


async def test_unknown_name_has_a_text(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers())

    with pytest.raises(OSError, match=r"^the name was not found$"):
        await resolver(judge).open_connection("nowhere.invalid", 80, client=CLIENT)


async def test_refused_connection_has_a_text(judge: Judge, hosts_file: Path) -> None:
    hosts = read_hosts_file(hosts_file)

    with pytest.raises(OSError, match=r"^Connection refused$"):
        await resolver(judge, hosts).open_connection("dead.example", 443, client=CLIENT)


async def test_dial_that_is_not_answered_ends_with_a_text(judge: Judge, hosts_file: Path) -> None:
    hosts = read_hosts_file(hosts_file)
    began = time.monotonic()

    with pytest.raises(OSError, match=r"^no answer within 0\.5 seconds$"):
        await resolver(judge, hosts, 0.5).open_connection("silent.example", 443, client=CLIENT)

    assert time.monotonic() - began < 2


async def test_lookup_that_hangs_ends_with_a_text(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))

    with pytest.raises(OSError, match=r"^no answer within"):
        await resolver(judge, dial_seconds=0.5).open_connection("slow.example", 80, client=CLIENT)


async def test_addresses_are_dialled_in_turn_of_their_families_until_one_answers(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ("2001:4860::1", "2001:4860::2", PUBLIC_ADDRESS, "192.88.99.2")
    monkeypatch.setattr(socket, "getaddrinfo", answers(*addresses))
    dialled: list[str] = []

    async def dial(address: str, port: int, _: object) -> str:
        dialled.append(address)
        if address != "192.88.99.2":
            await asyncio.sleep(60)
        return "socket"

    monkeypatch.setattr("proxy_addons.resolver._connected_socket", dial)
    monkeypatch.setattr("proxy_addons.resolver._APART_SECONDS", 0.01)

    assert await resolver(judge).connected_socket("two.example", 80, CLIENT) == "socket"
    assert dialled == ["2001:4860::1", PUBLIC_ADDRESS, "2001:4860::2", "192.88.99.2"]


async def test_address_that_refuses_is_followed_by_the_next_at_once(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(PUBLIC_ADDRESS, "192.88.99.2"))

    async def dial(address: str, port: int, _: object) -> str:
        if address == PUBLIC_ADDRESS:
            raise ConnectionRefusedError(111, "Connection refused")
        return "socket"

    monkeypatch.setattr("proxy_addons.resolver._connected_socket", dial)
    monkeypatch.setattr("proxy_addons.resolver._APART_SECONDS", 60)

    assert await resolver(judge).connected_socket("two.example", 80, CLIENT) == "socket"


async def test_connection_that_came_second_is_hung_up(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(PUBLIC_ADDRESS, "192.88.99.2"))
    hung_up: list[str] = []
    second_is_dialled = asyncio.Event()

    class Connected:
        def __init__(self, address: str) -> None:
            self.address = address

        def close(self) -> None:
            hung_up.append(self.address)

    async def dial(address: str, port: int, _: object) -> Connected:
        with contextlib.suppress(asyncio.CancelledError):
            if address == PUBLIC_ADDRESS:
                await second_is_dialled.wait()
            else:
                second_is_dialled.set()
                await asyncio.sleep(60)
        return Connected(address)

    monkeypatch.setattr("proxy_addons.resolver._connected_socket", dial)
    monkeypatch.setattr("proxy_addons.resolver._APART_SECONDS", 0.01)

    connected = await resolver(judge).connected_socket("two.example", 80, CLIENT)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not hung_up:
            await asyncio.sleep(0.01)

    assert (connected.address, hung_up) == (PUBLIC_ADDRESS, ["192.88.99.2"])


async def test_own_ports_are_refused_by_any_address_of_this_machine_whatever_policy_lists(
    tmp_path: Path, odd_origin: OddOrigin
) -> None:
    town = PublishedTown(tmp_path, document=DOCUMENT + 'internal_networks: [127.0.0.0/8, "::1/128"]\n')
    judge = SnapshotWatch(town.state.root).judge
    port = int(odd_origin.hosts_lines().split()[1].rpartition(":")[2])
    hosts = {("gate.example", 80): ("127.0.0.1", port)}
    guarded = Resolver(lambda: judge, hosts, frozenset({port}))

    for host in ("127.0.0.1", "127.0.0.9", "localhost", "0.0.0.0", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(OSError, match="it leads to the proxy itself"):
            await guarded.open_connection(host, port, client=CLIENT)
    with pytest.raises(OSError, match="it leads to the proxy itself"):
        await guarded.open_connection("gate.example", 80, client=CLIENT)


async def test_own_port_of_another_machine_may_be_dialled(tmp_path: Path) -> None:
    town = PublishedTown(tmp_path, document=DOCUMENT + "internal_networks: [192.0.2.0/24]\n")
    judge = SnapshotWatch(town.state.root).judge

    assert Resolver(lambda: judge, {}, frozenset({80})).refusal_of("192.0.2.7", 80, "192.0.2.7", 80) is None


async def test_admin_site_is_reached_by_its_own_name_alone(tmp_path: Path, odd_origin: OddOrigin) -> None:
    port = int(odd_origin.hosts_lines().split()[1].rpartition(":")[2])
    town = PublishedTown(
        tmp_path, f"http://127.0.0.1:{port}", DOCUMENT + "internal_networks: [127.0.0.0/8]\n"
    )
    judge = SnapshotWatch(town.state.root).judge
    guarded = Resolver(lambda: judge, {}, frozenset({port}))

    _, writer = await guarded.open_connection("127.0.0.1", port, client=CLIENT)

    writer.close()
    with pytest.raises(OSError, match="it leads to the proxy itself"):
        await guarded.open_connection("localhost", port, client=CLIENT)


def test_hosts_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        "# the town's own\n\nLibrary.Example:443 127.0.0.1:8443  # over TLS\n[2001:DB8::1]:80 [::1]:8080\n"
    )

    assert read_hosts_file(path) == {
        ("library.example", 443): ("127.0.0.1", 8443),
        ("2001:db8::1", 80): ("::1", 8080),
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("library.example:443", "not enough values"),
        ("library.example:443 127.0.0.1:1 more", "too many values"),
        ("library.example 127.0.0.1:1", "'library.example' has no port"),
        ("library.example:https 127.0.0.1:1", "'https' is not a port"),
        ("library.example:443 127.0.0.1:70000", "'70000' is not a port"),
        ("library.example:443 localhost:1", "does not appear to be an IPv4 or IPv6 address"),
        ("a b.example:443 127.0.0.1:1", "too many values"),
        ("<b>:443 127.0.0.1:1", "'<b>' is not a host name"),
        (b"\xff\xfe:443 127.0.0.1:1", "is not a host name"),
    ],
)
def test_line_of_the_hosts_file_that_cannot_be_read_is_named(
    line: str | bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"news.example:80 127.0.0.1:1\n" + (line.encode() if isinstance(line, str) else line))

    with pytest.raises(HostsFileError) as refused:
        read_hosts_file(path)

    assert str(refused.value).startswith(f"{path}:2: ")
    assert reason in str(refused.value)


def answers(*addresses: str) -> Any:
    """Return a fake of getaddrinfo: no public name can be asked for here."""

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo
