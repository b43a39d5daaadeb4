"""The gateway's rules: sound, and in a town's network nobody gets around the proxy."""

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.deploy.town_network import (
    OUTSIDE,
    OUTSIDE6,
    PROXY,
    PROXY6,
    RESOLVER,
    RESOLVER6,
    TownNetwork,
    answering,
    reaches,
    town_network,
)
from tests.published_town import PublishedTown
from tests.running_town import running_part

RULES = Path(__file__).parents[2] / "deploy" / "nftables" / "towngate.nft"

pytestmark = pytest.mark.needs("nft", "curl")

AROUND = [
    ("tcp", 80, "web"),
    ("tcp", 443, "web"),
    ("udp", 443, "quic"),
    ("tcp", 853, "dot"),
    ("udp", 853, "dot"),
    ("udp", 53, "dns"),
    ("tcp", 53, "dns"),
    ("tcp", 22, "other"),
    ("udp", 123, "other"),
]
"""Ways around the proxy, and the counter that counts each."""


@pytest.fixture(scope="module")
def network() -> Iterator[TownNetwork]:
    """Return a town's network and an internet that answers on every port of AROUND; no rules yet."""
    with town_network() as network:
        tcp = tuple(port for protocol, port, _ in AROUND if protocol == "tcp")
        udp = tuple(port for protocol, port, _ in AROUND if protocol == "udp")
        with (
            answering(network.outside, (OUTSIDE, OUTSIDE6), tcp, udp),
            answering(network.servers, (RESOLVER, RESOLVER6), (), (53,)),
        ):
            yield network


@pytest.fixture
def guarded(network: TownNetwork) -> Iterator[TownNetwork]:
    """Return the network with the rules in force at its gateway."""
    network.gateway.run("nft", "-f", str(RULES))
    yield network
    network.gateway.run("nft", "delete", "table", "inet", "towngate")


def test_rules_are_sound_and_may_be_loaded_again_and_again(network: TownNetwork) -> None:
    network.gateway.run("nft", "-c", "-f", str(RULES))
    assert network.gateway.run("nft", "list", "ruleset") == ""
    network.gateway.run("nft", "-f", str(RULES))
    once = network.gateway.run("nft", "list", "ruleset")
    network.gateway.run("nft", "-f", str(RULES))
    assert network.gateway.run("nft", "list", "ruleset") == once
    network.gateway.run("nft", "delete", "table", "inet", "towngate")


def test_rules_name_the_addresses_that_the_tests_use() -> None:
    defined = dict(re.findall(r"^define (\w+) = (\S+)", RULES.read_text(), re.MULTILINE))
    assert defined == {
        "WAN": '"wan0"',
        "PROXY4": PROXY,
        "PROXY6": PROXY6,
        "RESOLVER4": RESOLVER,
        "RESOLVER6": RESOLVER6,
    }


@pytest.mark.parametrize("address", [OUTSIDE, OUTSIDE6])
@pytest.mark.parametrize(("protocol", "port", "counter"), AROUND)
def test_workstation_reaches_nothing_outside_by_itself(
    protocol: str, port: int, counter: str, address: str, network: TownNetwork
) -> None:
    # Without the rules everything is reached: it is they that stop it.
    assert reaches(network.workstation, protocol, address, port)
    network.gateway.run("nft", "-f", str(RULES))
    try:
        assert not reaches(network.workstation, protocol, address, port)
        assert stopped(network)[counter] > 0
        assert sum(stopped(network).values()) == stopped(network)[counter]
    finally:
        network.gateway.run("nft", "delete", "table", "inet", "towngate")


@pytest.mark.parametrize("address", [OUTSIDE, OUTSIDE6])
@pytest.mark.parametrize(("protocol", "port"), [("tcp", 80), ("tcp", 443), ("udp", 443), ("udp", 53)])
def test_the_proxy_goes_out(protocol: str, port: int, address: str, guarded: TownNetwork) -> None:
    source = PROXY6 if ":" in address else PROXY
    assert reaches(guarded.servers, protocol, address, port, source)
    assert not any(stopped(guarded).values())


@pytest.mark.parametrize(
    ("protocol", "port", "is_let_out"),
    [("udp", 53, True), ("tcp", 53, True), ("tcp", 853, True), ("tcp", 443, False), ("tcp", 22, False)],
)
@pytest.mark.parametrize(("source", "address"), [(RESOLVER, OUTSIDE), (RESOLVER6, OUTSIDE6)])
def test_the_resolver_asks_outside_and_does_nothing_else_there(
    protocol: str, port: int, is_let_out: bool, source: str, address: str, guarded: TownNetwork
) -> None:
    assert reaches(guarded.servers, protocol, address, port, source) is is_let_out


@pytest.mark.parametrize("address", [RESOLVER, RESOLVER6])
def test_workstation_asks_the_towns_resolver(address: str, guarded: TownNetwork) -> None:
    assert reaches(guarded.workstation, "udp", address, 53)


@pytest.mark.parametrize("address", [OUTSIDE, OUTSIDE6])
def test_workstation_asks_a_resolver_outside_where_that_is_the_towns(
    address: str, network: TownNetwork, tmp_path: Path
) -> None:
    rules = tmp_path / "towngate.nft"
    rules.write_text(RULES.read_text().replace(RESOLVER, OUTSIDE).replace(RESOLVER6, OUTSIDE6))
    network.gateway.run("nft", "-f", str(rules))
    try:
        assert reaches(network.workstation, "udp", address, 53)
        assert not reaches(network.workstation, "tcp", address, 853)
        assert not reaches(network.workstation, "tcp", address, 443)
    finally:
        network.gateway.run("nft", "delete", "table", "inet", "towngate")


def test_exceptions_open_one_port_for_one_host(guarded: TownNetwork) -> None:
    mail_server = RESOLVER
    assert not reaches(guarded.servers, "tcp", OUTSIDE, 22, mail_server)
    element = f"{{ {mail_server} . tcp . 22 }}"
    guarded.gateway.run("nft", "add", "element", "inet", "towngate", "exceptions", element)
    assert reaches(guarded.servers, "tcp", OUTSIDE, 22, mail_server)
    assert not reaches(guarded.workstation, "tcp", OUTSIDE, 22)


async def test_workstation_reaches_the_web_through_towngate_and_not_around_it(
    guarded: TownNetwork, tmp_path: Path
) -> None:
    async with proxy(guarded, tmp_path):
        assert fetch(guarded, "http://library.example/", "--proxy", f"http://{PROXY}:8080") == "outside\n"
        blocked = fetch(guarded, "http://cardroom.example/", "--proxy", f"http://{PROXY}:8080")
        assert "This site is blocked" in blocked
        assert fetch(guarded, f"http://{OUTSIDE}/") == ""
        assert stopped(guarded)["web"] > 0


@asynccontextmanager
async def proxy(network: TownNetwork, folder: Path) -> AsyncIterator[None]:
    """Run `towngate proxy` among the servers, with a name for what is outside."""
    published = PublishedTown(folder / "state")
    hosts = folder / "hosts"
    hosts.write_text(f"library.example:80 {OUTSIDE}:80\n")
    addresses = ("--proxy", f"{PROXY}:8080", "--metrics", "127.0.0.1:9464")
    async with AsyncExitStack() as stack:
        with network.servers.entered():
            running = running_part("proxy", published.state.root, *addresses, "--hosts", str(hosts))
            await stack.enter_async_context(running)
        yield


def fetch(network: TownNetwork, url: str, *options: str) -> str:
    """Return what a workstation gets from an address; empty when it gets nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with network.workstation.entered():
        done = subprocess.run(
            ["curl", "--silent", "--max-time", "10", *options, url],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stdout


def stopped(network: TownNetwork) -> dict[str, int]:
    """Return how many packets each counter has seen."""
    listed = json.loads(network.gateway.run("nft", "--json", "list", "counters", "table", "inet", "towngate"))
    counters = [item["counter"] for item in listed["nftables"] if "counter" in item]
    return {counter["name"]: counter["packets"] for counter in counters}
