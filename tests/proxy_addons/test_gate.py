"""What the gate knows of a connection: what it may dial; forgotten with the connection."""

import functools
import gc
import weakref
from datetime import UTC, datetime

from mitmproxy.connection import Client, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test.tflow import tclient_conn

from categories.taxonomy import taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Visit
from proxy_addons.dial_gate import DialGate
from proxy_addons.gate import Connect, Gate, close_connection
from proxy_addons.judge import Judgement
from proxy_addons.visit_log import OpenVisit
from tests.people import CLERK_AT_WORK


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
