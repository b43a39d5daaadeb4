"""What the gate knows of a connection: what it may dial; forgotten with the connection."""

import functools
import gc
import weakref
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mitmproxy.connection import Client, Server
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test.tflow import tclient_conn

from categories.taxonomy import taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Visit
from proxy_addons.dial_gate import DialGate
from proxy_addons.gate import Connect, Gate, close_connection
from proxy_addons.judge import Judgement
from proxy_addons.resolver import Resolver
from proxy_addons.snapshot_watch import SnapshotWatch
from proxy_addons.visit_log import OpenVisit
from tests.people import CLERK_AT_WORK
from tests.published_town import PublishedTown


def test_ended_connection_is_not_kept_in_memory() -> None:
    gate = Gate(taxonomy())
    client = tclient_conn()
    known = gate.connection_of(client)
    visit = Visit(CLERK_AT_WORK, "https", "library.example", 443, None, datetime.now(UTC))
    judgement = Judgement(visit, Decision(Verdict.ALLOW, Cause.DEFAULT), 1, "policy", "categories")
    known.connect = Connect(OpenVisit(judgement, Lane.TUNNEL, functools.partial(close_connection, client.id)))
    gone = weakref.ref(client)
    assert gate.connection_of(client) is known

    del client
    gc.collect()

    assert gone() is None


async def test_nothing_is_dialled_that_was_not_allowed_on_that_connection() -> None:
    gate = Gate(taxonomy())
    client, other = tclient_conn(), tclient_conn()
    gate.connection_of(client).may_dial.add(("library.example", 443))

    async def error_of(client: Client, address: tuple[str, int] | None) -> str | None:
        data = ServerConnectionHookData(Server(address=address), client)
        await DialGate(gate).server_connect(data)
        return data.server.error

    assert await error_of(client, ("library.example", 443)) is None
    for who, address in (
        (client, ("library.example", 80)),
        (client, ("news.example", 443)),
        (client, None),
        (other, ("library.example", 443)),
    ):
        assert await error_of(who, address) == "no decision allows this connection"


@pytest.mark.parametrize(
    ("peer", "is_cut"), [(("192.0.2.7", 443), True), (("127.0.0.1", 8080), True), (("8.8.8.8", 443), False)]
)
async def test_connection_is_cut_when_its_peer_is_not_one_that_may_be_reached(
    peer: tuple[str, int], is_cut: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(taxonomy())
    judge = SnapshotWatch(PublishedTown(tmp_path).state.root).judge
    gate.resolver = Resolver(lambda: judge, {}, frozenset({8080}))
    cut: list[object] = []
    monkeypatch.setattr("proxy_addons.dial_gate.hang_up", lambda client_id, server: cut.append(server))
    data = ServerConnectionHookData(Server(address=("library.example", 443)), tclient_conn())
    data.server.peername = peer

    await DialGate(gate).server_connected(data)

    assert cut == ([data.server] if is_cut else [])
    assert (data.server.error is not None) is is_cut


async def test_connection_whose_peer_cannot_be_checked_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[object] = []
    monkeypatch.setattr("proxy_addons.fail_closed.hang_up", lambda client_id, server: cut.append(server))
    data = ServerConnectionHookData(Server(address=("library.example", 443)), tclient_conn())

    with pytest.raises(AddonHalt):
        await DialGate(Gate(taxonomy())).server_connected(data)

    assert cut == [data.server]
