"""What the enforcing addons share: who is connected, what was decided, and where it is written."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mitmproxy import connection, ctx, http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.net.http.url import parse_authority
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.server import ConnectionHandler

from categories.host_name import HostNameError, canonical_host
from categories.taxonomy import Taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.visit import Client, Visit
from proxy_addons import egress_metrics
from proxy_addons.admin_probe import AdminProbe
from proxy_addons.client_identity import ClientIdentity
from proxy_addons.judge import Judge, Judgement
from proxy_addons.origin_certificate import OriginRefusal
from proxy_addons.resolver import Resolver
from proxy_addons.snapshot_watch import SnapshotWatch
from proxy_addons.visit_log import OpenVisit, VisitLog

if TYPE_CHECKING:
    from proxy_addons.limit_watch import LimitWatch

_HTTPS_PORT = 443

UNREADABLE_HOST = "-"
"""Stands in a visit record for a host that could not be read."""


@dataclass(slots=True, eq=False)
class Connect:
    """A CONNECT that was answered 200. Its visit is open from then on, so that it is judged again
    like any other; it ends with the tunnel, the page, the refusal or the client's leaving."""

    visit: OpenVisit
    is_plain: bool = False
    """HTTP is spoken in it: each of its requests is a visit of its own."""
    is_inspected: bool = False
    """It is decrypted to be looked into: its visit is the connection, and each request is judged."""
    has_been_read: bool = False
    """A request came on it once it was decrypted."""
    dial_error: str | None = None
    deadline: asyncio.TimerHandle | None = None
    """Closes the connection, unless a ClientHello or a request comes before."""

    def has_said_enough(self) -> None:
        """Take the deadline off: the client has said what it wants, or has left."""
        if self.deadline is not None:
            self.deadline.cancel()


@dataclass(slots=True, eq=False)
class ClientConnection:
    """What is known of one client connection. `may_dial` holds the only addresses it may cause
    the proxy to dial, as (host without brackets, port); `visit` is the one it makes now, or the last.
    `origin_refusal` is why the origin server dialled last was not taken for who it says it is."""

    may_dial: set[tuple[str, int]] = field(default_factory=set)
    connect: Connect | None = None
    visit: OpenVisit | None = None
    origin_refusal: OriginRefusal | None = None
    is_too_many: bool = False
    """Its address has more connections open than it may: whatever it asks for is refused."""


class Gate:
    """Shared by the addons of one worker. Closed until `open`: using it before raises."""

    watch: SnapshotWatch
    log: VisitLog
    resolver: Resolver
    via: str
    limits: "LimitWatch"

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.identity = ClientIdentity()
        self.admin_probe = AdminProbe()
        self.is_open = False
        self._connections: WeakKeyDictionary[connection.Client, ClientConnection] = WeakKeyDictionary()

    def open(self, watch: SnapshotWatch, log: VisitLog, resolver: Resolver, via: str) -> None:
        """Give the gate what it decides with, where it writes, what it dials with, and its name in Via."""
        self.watch = watch
        self.log = log
        self.resolver = resolver
        self.via = via
        self.is_open = True

    @property
    def judge(self) -> Judge:
        """The judge in force."""
        return self.watch.judge

    def connection_of(self, client: connection.Client) -> ClientConnection:
        """Return what is known of a client connection; forgotten with the connection itself."""
        known = self._connections.get(client)
        if known is None:
            known = self._connections[client] = ClientConnection()
        return known

    async def identify(self, flow: http.HTTPFlow) -> Client:
        """Return who makes a request. Raises SignInRequiredError."""
        address = address_of(flow.client_conn)
        return await self.identity.identify(address, flow.request.headers, lambda: self.judge)

    def decide(
        self,
        judge: Judge,
        client: Client,
        scheme: str,
        host: str,
        port: int,
        path: str | None,
        target: str = "",
    ) -> Judgement:
        """Decide about a visit and the sites that it shows, and time it.

        `target` is the path with its query, which may name a site; it is kept nowhere.
        """
        began = time.perf_counter()
        if path is None and not target:
            judgement = judge.judge_host(client, scheme, host, port)
        else:
            judgement = judge.judge_carried(judge.judge(client, scheme, host, port, path), target)
        egress_metrics.DECISION_SECONDS.add(time.perf_counter() - began)
        return judgement

    def refused(
        self,
        client: connection.Client,
        cause: Cause,
        scheme: str,
        host: str = UNREADABLE_HOST,
        port: int = 0,
    ) -> Judgement:
        """Return a judgement for what is refused without asking policy."""
        judge = self.judge
        known = judge.identities.identify(address_of(client), at=datetime.now(UTC))
        return Judgement(
            Visit(known, scheme, host, port, None, datetime.now(UTC)),
            Decision(Verdict.BLOCK, cause),
            judge.snapshot.sequence,
            judge.policy.version,
            judge.categories.version,
        )

    def record_fault(self, client: connection.Client, request: http.Request | None) -> None:
        """Write the visit that was blocked because deciding it failed; nothing before `open`."""
        if not self.is_open:
            return
        visit = self.connection_of(client).visit
        if visit is not None and visit in self.log:
            self.log.divert(visit, Lane.REFUSE, Cause.FAULT)
            self.log.end(visit, "deciding failed")
        elif request is not None:
            scheme = "https" if request.method == "CONNECT" else "http"
            try:
                host = asked_host(request)
            except HostNameError:
                host = UNREADABLE_HOST
            judgement = self.refused(client, Cause.FAULT, scheme, host, request.port)
            self.log.record(judgement, "deciding failed")


def close_connection(client_id: str) -> None:
    """Close a client connection, whatever it is doing; nothing happens when it has ended.

    By its id, so that a visit that can be closed does not keep its connection in memory.
    """
    handler = _handler(client_id)
    io = handler.transports.get(handler.client) if handler else None
    if io is not None and io.handler is not None:
        io.handler.cancel("no longer allowed")


def hang_up(client_id: str, server: connection.Server) -> None:
    """End a connection to an origin server, and its client's with it; what has not been said is not."""
    handler = _handler(client_id)
    io = handler.transports.get(server) if handler else None
    if io is not None and isinstance(io.writer, asyncio.StreamWriter):
        io.writer.transport.abort()
    close_connection(client_id)


def take_over(layer: Layer) -> None:
    """Give a layer every further event of its connection, past the layers that led to it."""
    handler = _handler(layer.context.client.id)
    if handler is not None:
        handler.layer = layer


def _handler(client_id: str) -> ConnectionHandler | None:
    proxyserver: Proxyserver = ctx.master.addons.get("proxyserver")
    return proxyserver.connections.get(client_id)


def address_of(client: connection.Client) -> str:
    """Return the IP address of a client."""
    return str(client.peername[0])


def asked_host(request: http.Request) -> str:
    """Return the canonical host that a request asks for. Raises HostNameError when it is none."""
    # mitmproxy takes the brackets of an IPv6 address off.
    return canonical_host(f"[{request.host}]" if ":" in request.host else request.host)


def is_for(request: http.Request, asked: Visit) -> bool:
    """Whether a request names the site that its connection is for, and no other."""
    named = request.headers.get_all("Host")
    if len(named) != 1 or request.data.authority:
        return False
    try:
        host, port = parse_authority(named[0], check=True)
        named_host = canonical_host(f"[{host}]" if ":" in host else host)
    except ValueError:
        return False
    return (named_host, port or _HTTPS_PORT) == (asked.host, asked.port)


def dial_name(host: str) -> str:
    """Return a canonical host as it is dialled: an IPv6 address without its brackets."""
    return host.strip("[]")


def visible_path(request: http.Request) -> str:
    """Return the path of a request without its query."""
    return re.split("[?#]", request.path, maxsplit=1)[0] or "/"


def lane_of(decision: Decision) -> Lane:
    """Return how a CONNECT begins that was decided so."""
    if not decision.is_allowed:
        return Lane.BLOCK
    return Lane.INSPECT if decision.is_inspected else Lane.TUNNEL
