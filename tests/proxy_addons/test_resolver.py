"""From a name to a connection: which address is dialled, which is refused, and what people are told."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from proxy_addons.judge import Judge
from proxy_addons.resolver import HostsFileError, Resolver, read_hosts_file
from proxy_addons.snapshot_watch import SnapshotWatch
from tests.odd_origin import OddOrigin
from tests.proxied_town import ProxiedTown
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

PUBLIC_ADDRESS = "192.88.99.1"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return SnapshotWatch(PublishedTown(tmp_path_factory.mktemp("town")).state.root).judge


def resolver(judge: Judge, hosts: dict[tuple[str, int], tuple[str, int]] | None = None) -> Resolver:
    return Resolver(lambda: judge, hosts or {}, dial_seconds=0.5, attempt_seconds=0.2)


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
        await resolver(judge).open_connection(host, 80)

    assert str(refused.value) in (f"it leads to a private address ({a})" for a in (address, "::1"))


async def test_one_private_address_among_public_ones_refuses_the_name(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(PUBLIC_ADDRESS, "10.0.0.1"))

    with pytest.raises(OSError, match=r"private address \(10\.0\.0\.1\)"):
        await resolver(judge).open_connection("rebinding.example", 80)


async def test_internal_network_of_the_policy_may_be_dialled(tmp_path: Path, odd_origin: OddOrigin) -> None:
    town = PublishedTown(tmp_path, document=DOCUMENT + "internal_networks: [127.0.0.0/8]\n")
    port = int(odd_origin.hosts_lines().split()[1].rpartition(":")[2])

    _, writer = await resolver(SnapshotWatch(town.state.root).judge).open_connection("localhost", port)

    writer.close()


async def test_admin_site_may_be_dialled_wherever_it_is(tmp_path: Path, odd_origin: OddOrigin) -> None:
    port = int(odd_origin.hosts_lines().split()[1].rpartition(":")[2])
    town = PublishedTown(tmp_path, f"http://127.0.0.1:{port}")
    judge = SnapshotWatch(town.state.root).judge

    _, writer = await resolver(judge).open_connection("127.0.0.1", port)

    writer.close()
    with pytest.raises(OSError, match="private address"):
        await resolver(judge).open_connection("127.0.0.1", port + 1)


async def test_unknown_name_has_a_text(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers())

    with pytest.raises(OSError, match=r"^the name was not found$"):
        await resolver(judge).open_connection("nowhere.invalid", 80)


async def test_refused_connection_has_a_text(judge: Judge, hosts_file: Path) -> None:
    hosts = read_hosts_file(hosts_file)

    with pytest.raises(OSError, match=r"^Connection refused$"):
        await resolver(judge, hosts).open_connection("dead.example", 443)


async def test_dial_that_is_not_answered_ends_with_a_text(judge: Judge, hosts_file: Path) -> None:
    hosts = read_hosts_file(hosts_file)
    began = time.monotonic()

    with pytest.raises(OSError, match=r"^no answer within 0\.5 seconds$"):
        await resolver(judge, hosts).open_connection("silent.example", 443)

    assert time.monotonic() - began < 2


async def test_lookup_that_hangs_ends_with_a_text(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))

    with pytest.raises(OSError, match=r"^no answer within"):
        await resolver(judge).open_connection("slow.example", 80)


async def test_address_that_does_not_answer_leaves_time_for_the_next(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(PUBLIC_ADDRESS, "192.88.99.2"))
    dialled: list[str] = []

    ours, theirs = socket.socketpair()

    async def dial(address: str, port: int, _: object) -> socket.socket:
        dialled.append(address)
        if address == PUBLIC_ADDRESS:
            await asyncio.sleep(60)
        return ours

    monkeypatch.setattr("proxy_addons.resolver._connected_socket", dial)

    with ours, theirs:
        assert await resolver(judge).connected_socket("two.example", 80) is ours
    assert dialled == [PUBLIC_ADDRESS, "192.88.99.2"]


def test_many_names_are_looked_up_at_once(town: ProxiedTown) -> None:
    town.client.get("https://localhost/")

    # libuv starts all its threads with the first lookup, and gives lookups half of them.
    assert len(list(Path(f"/proc/{town.proxy.process.pid}/task").iterdir())) >= 32


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
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo
