"""The addons, in the order they judge; loads in a worker and in a stock `mitmdump` alike:

mitmdump -s proxy_addons/chain.py --set towngate_state=var -p 8080
"""

import asyncio
import itertools
import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from mitmproxy import connection, ctx
from mitmproxy.addonmanager import Loader

from categories.taxonomy import taxonomy
from policy import state_names
from policy.decision import Cause
from policy.worker_facts import WorkerFacts
from proxy_addons import egress_metrics, mitmproxy_changes, resolver
from proxy_addons.authority_watch import AuthorityWatch
from proxy_addons.certificate_authority import CertificateAuthorityError
from proxy_addons.connect_gate import ConnectGate, OriginFirst
from proxy_addons.connection_limit import CONNECTIONS_PER_ADDRESS, ConnectionLimit
from proxy_addons.dial_gate import DialGate
from proxy_addons.facts_file import FactsFile
from proxy_addons.gate import Gate
from proxy_addons.judging_again import JudgingAgain
from proxy_addons.limit_watch import LimitWatch
from proxy_addons.mitmproxy_changes.request_heads import HEAD_SECONDS
from proxy_addons.origin_certificate import OriginVerifier, TrustError
from proxy_addons.request_gate import RequestGate
from proxy_addons.snapshot_watch import NotPublishedError, SnapshotWatch
from proxy_addons.spool import Spool
from proxy_addons.tls_gate import TlsGate
from proxy_addons.via import name_in_via
from proxy_addons.visit_log import VisitLog

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 0.5
_TELL_OF_OPEN_EVERY = 10
_STOCK_PORT = 8080
"""Where a stock mitmdump listens unless told otherwise."""


class Towngate:
    """Brings the gate up, keeps it fresh, and winds it down.

    Until `open` has succeeded every hook fails closed, so that not one visit passes a proxy that
    already listens but does not yet know its policy.
    """

    name = "towngate"
    head_seconds = HEAD_SECONDS
    facts_file: FactsFile

    def __init__(self) -> None:
        self.gate = Gate(taxonomy())
        self.limit = ConnectionLimit(self.gate)
        self.connect_gate = ConnectGate(self.gate)
        self.tls_gate = TlsGate(self.gate)
        self.addons = [
            self.limit,
            self.connect_gate,
            RequestGate(self.gate),
            DialGate(self.gate),
            self.tls_gate,
        ]
        self.late_addons = [OriginFirst(self.gate)]
        self._tasks: list[asyncio.Task[None]] = []

    def load(self, loader: Loader) -> None:
        """Declare the options of a stock mitmdump."""
        loader.add_option("towngate_state", str, "var", "The state folder.")
        loader.add_option(
            "towngate_connections",
            int,
            CONNECTIONS_PER_ADDRESS,
            "Connections one address may have open.",
        )
        loader.add_option("towngate_hosts", str, "", "A file of lines NAME:PORT ADDRESS:PORT.")

    def open(self, state: Path, hosts_file: Path | None, own_ports: frozenset[int], worker: int = 1) -> None:
        """Read policy, categories, CA and hosts; from here on visits are decided.

        `own_ports` are those of this machine that nobody is led to, `worker` is this one's number.
        Raises NotPublishedError, CertificateAuthorityError, TrustError, HostsFileError, or OSError when the
        hosts file cannot be read.
        """
        watch = SnapshotWatch(state)
        hosts = resolver.read_hosts_file(hosts_file) if hosts_file else {}
        authority = AuthorityWatch(state / state_names.CA, watch.judge.policy.town.name)
        origins = OriginVerifier(state / state_names.EXTRA_ROOTS, lambda: authority.own_keys)
        self.tls_gate.open(authority, origins)
        dialling = resolver.Resolver(lambda: watch.judge, hosts, own_ports)
        resolver.use(dialling)
        mitmproxy_changes.apply(self._on_malformed, self.head_seconds)
        spool = state / state_names.SPOOL
        log = VisitLog(Spool(spool), self.gate.taxonomy)
        via = name_in_via(authority.mint.authority.certificate.public_bytes(Encoding.DER))
        self.gate.open(watch, log, dialling, via)
        log.limits = self.gate.limits = LimitWatch(log, lambda: watch.judge, watch.usage)
        self.facts_file = FactsFile(spool, worker, self._facts)
        egress_metrics.WORKERS.set(1)

    def running(self) -> None:
        """Start watching snapshots and writing visits."""
        state = Path(ctx.options.towngate_state)
        if not self.gate.is_open:
            try:
                hosts = Path(ctx.options.towngate_hosts) if ctx.options.towngate_hosts else None
                self.open(state, hosts, frozenset({ctx.options.listen_port or _STOCK_PORT}))
            except START_ERRORS as error:
                logger.error("%s", error)
                ctx.master.shutdown()
                return
        self.limit.per_address = ctx.options.towngate_connections
        ctx.options.update(**mitmproxy_options(state))
        # After mitmproxy's own, also where those were there first.
        ctx.master.addons.add(*self.late_addons)
        again = JudgingAgain(self.gate.log, lambda: self.gate.judge)
        self._tasks = [
            asyncio.create_task(self.gate.watch.follow(again.change), name="watch snapshots"),
            asyncio.create_task(again.follow(), name="judge again"),
            asyncio.create_task(self.tls_gate.follow(), name="watch certificates"),
            asyncio.create_task(_flush(self.gate.log), name="flush visits"),
            asyncio.create_task(self.facts_file.follow(), name="tell facts"),
            asyncio.create_task(self.gate.limits.follow(), name="hold to limits"),
            asyncio.create_task(self.gate.limits.follow_others(), name="share use of quotas"),
        ]
        for task in self._tasks:
            task.add_done_callback(stop_when_failed)

    def done(self) -> None:
        """Write what is still open."""
        for task in self._tasks:
            task.cancel()
        if self.gate.is_open:
            self.gate.log.close()
            self.gate.limits.close()
            self.facts_file.close(datetime.now(UTC))

    def _facts(self, at: datetime) -> WorkerFacts:
        authority, heavy = self.tls_gate.authority, self.gate.log.heavy
        return WorkerFacts(
            at,
            authority.mint.authority.ends_at,
            authority.has_next,
            heavy.visits,
            heavy.bytes_per_second,
        )

    def _on_malformed(self, client: connection.Client, reason: str) -> None:
        self.gate.log.record(self.gate.refused(client, Cause.MALFORMED, "http"), reason)


def mitmproxy_options(state: Path) -> dict[str, object]:
    """Return mitmproxy's own options as a filter needs them."""
    options: dict[str, object] = {
        # Nothing is dialled before it has been judged.
        "connection_strategy": "lazy",
        # Bytes that are neither TLS nor HTTP never become a raw tunnel.
        "rawtcp": False,
        # A page ends its connection, so that the next try can be a tunnel: HTTP/1.1 says so.
        "http2": False,
        "confdir": str(state / state_names.CA),
    }
    # Stock mitmdump answers for mitm.it by itself; a worker has no such addon.
    return options | ({"onboarding": False} if "onboarding" in ctx.options else {})


START_ERRORS = (
    NotPublishedError,
    CertificateAuthorityError,
    TrustError,
    resolver.HostsFileError,
    OSError,
)


def stop_when_failed(task: asyncio.Task[None]) -> None:
    """End the proxy with a task of its own: without it, it would go on with an old policy, or unrecorded."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("stopping, a task has failed: task=%s", task.get_name(), exc_info=error)
        ctx.master.shutdown()


async def _flush(log: VisitLog) -> None:
    syncing: asyncio.Task[None] | None = None
    for turn in itertools.count(1):
        due = time.monotonic() + _FLUSH_SECONDS
        await asyncio.sleep(_FLUSH_SECONDS)
        egress_metrics.LOOP_LAG_SECONDS.observe(max(0.0, time.monotonic() - due))
        if turn % _TELL_OF_OPEN_EVERY == 0:
            await log.tell_of_open(datetime.now(UTC))
        log.flush()
        # Not waited for: while a busy disk takes seconds, what ends is still handed to the kernel in time.
        if syncing is None or syncing.done():
            syncing = asyncio.create_task(_sync(log), name="sync visits")


async def _sync(log: VisitLog) -> None:
    try:
        await log.sync()
    except OSError as error:
        logger.error("spool not synced: error=%s", error)


addons = [Towngate()]
