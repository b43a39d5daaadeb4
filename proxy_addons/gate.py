"""What the enforcing addons share: who is connected, what was decided, and where it is written."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mitmproxy import connection, ctx, http

from categories.taxonomy import Taxonomy
from policy.decision import Cause, Decision, Verdict
from policy.visit import Client, Visit
from proxy_addons import egress_metrics
from proxy_addons.admin_probe import AdminProbe
from proxy_addons.client_identity import ClientIdentity
from proxy_addons.judge import Judge, Judgement
from proxy_addons.snapshot_watch import SnapshotWatch
from proxy_addons.visit_log import VisitLog

UNREADABLE_HOST = "-"
"""Stands in a visit record for a host that could not be read."""


@dataclass(slots=True, eq=False)
class Connect:
    """A CONNECT that was answered 200. `judgement` is the stricter of CONNECT host and SNI."""

    client: Client
    judgement: Judgement
    scheme: str = "https"
    dial_error: str | None = None
    is_recorded: bool = False
    """Whether a visit has been written, or is open, so that nothing is left to say at the end."""


@dataclass(slots=True, eq=False)
class ClientConnection:
    """What is known of one client connection. `may_dial` holds the only addresses it may cause
    the proxy to dial, as (host without brackets, port)."""

    may_dial: set[tuple[str, int]] = field(default_factory=set)
    connect: Connect | None = None


class Gate:
    """Shared by the addons of one worker. Closed until `open`: using it before raises."""

    watch: SnapshotWatch
    log: VisitLog

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.identity = ClientIdentity()
        self.admin_probe = AdminProbe()
        self.is_open = False
        self._connections: dict[str, ClientConnection] = {}

    def open(self, watch: SnapshotWatch, log: VisitLog) -> None:
        """Give the gate what it decides with, and where it writes."""
        self.watch = watch
        self.log = log
        self.is_open = True

    @property
    def judge(self) -> Judge:
        """The judge in force."""
        return self.watch.judge

    def connection_of(self, client: connection.Client) -> ClientConnection:
        """Return what is known of a client connection."""
        return self._connections.setdefault(client.id, ClientConnection())

    def forget(self, client: connection.Client) -> ClientConnection | None:
        """Drop a connection that has ended, and return what was known of it."""
        return self._connections.pop(client.id, None)

    def decide(
        self, judge: Judge, client: Client, scheme: str, host: str, port: int, path: str | None
    ) -> Judgement:
        """Decide about a visit, and time it."""
        with egress_metrics.DECISION_SECONDS.time():
            return judge.judge(client, scheme, host, port, path)

    def refused(
        self, client_address: str, cause: Cause, host: str = UNREADABLE_HOST, port: int = 0
    ) -> Judgement:
        """Return a judgement for what is refused before policy is asked."""
        judge = self.judge
        client = judge.identities.identify(client_address)
        return Judgement(
            Visit(client, "https", host, port, None, datetime.now(UTC)),
            Decision(Verdict.BLOCK, cause),
            judge.snapshot.sequence,
            judge.policy.version,
            judge.categories.version,
        )


def close_connection(client: connection.Client) -> Callable[[], None]:
    """Return what closes a client connection, whatever it is doing."""

    def close() -> None:
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        io = handler.transports.get(client) if handler else None
        if io is not None and io.handler is not None:
            io.handler.cancel("no longer allowed")

    return close


def address_of(client: connection.Client) -> str:
    """Return the IP address of a client."""
    return str(client.peername[0])


def dial_name(host: str) -> str:
    """Return a canonical host as it is dialled: an IPv6 address without its brackets."""
    return host.strip("[]")


def visible_path(request: http.Request) -> str:
    """Return the path of a request without its query."""
    return re.split("[?#]", request.path, maxsplit=1)[0] or "/"
