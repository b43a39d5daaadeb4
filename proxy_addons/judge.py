"""Everything a worker decides with, as one value that is replaced whole."""

import time
from datetime import UTC, datetime

from msgspec import Struct, structs

from categories.carriers import carried_hosts
from categories.first_visits import FirstVisits
from categories.snapshot import CategorySnapshot
from policy.correction import Corrections
from policy.deciding import decide, may_dial, next_edge_after
from policy.decision import Decision, Verdict
from policy.identity import Identities
from policy.inspecting import may_lift, must_not_inspect
from policy.judging import Judged, SiteListing, stricter_of_shown
from policy.judging import judge as judge_address
from policy.limiting import Passed, Use, judge_use
from policy.snapshot import PolicySnapshot
from policy.state import Exemption
from policy.town_policy import Limit, LimitAction
from policy.usage import usage_key
from policy.visit import Client, Visit
from proxy_addons import egress_metrics
from proxy_addons.claims import Claims
from proxy_addons.continuations import Continuations
from proxy_addons.usage_files import UsageFiles

_MOST_REMEMBERED = 4096

SAID_FIRST = frozenset({Verdict.WARN, Verdict.VIEW_ONLY})
"""What a page says before the site is seen; who continued there is not told again for a while."""


def limit_passed_at(limit: Limit, host: str) -> str:
    """Return what is remembered of who was warned of a limit and went on: of a download, for the host."""
    return _of_limit(limit.id) if limit.quota is not None else f"{_of_limit(limit.id)} {host}"


def _of_limit(id_: str) -> str:
    # No site is called so.
    return f"limit {id_}"


class Judgement(Struct, frozen=True):
    """A visit, what was decided about it, and with which snapshots."""

    visit: Visit
    decision: Decision
    policy_sequence: int
    policy_version: str
    category_version: str

    def made_at(self, at: datetime) -> "Judgement":
        """Return the same for a visit at another time (aware UTC)."""
        return structs.replace(self, visit=structs.replace(self.visit, at=at))

    @property
    def warned_site(self) -> str:
        """What a page said first is about: all that the list entry covers, or the host, or a quota."""
        if self.decision.limit is not None:
            return _of_limit(self.decision.limit)
        return self.decision.match.entry if self.decision.match else self.visit.host


class Judge:
    """A policy snapshot and a category snapshot, ready to decide; it is never given others.

    Without `first_visits` no site is newly seen, without `usage` no quota is used up, without `claims`
    access to one download lets none through.

    `continuations` is asked only when a page would say something first.

    Browsers make many connections to the same host. What was decided about a host is remembered until
    the next instant when the policy changes its answers, unless something else may change it sooner.
    """

    __slots__ = (
        "_claims",
        "_continuations",
        "_listing",
        "_remembered",
        "_remembered_since",
        "_remembered_until",
        "_usage",
        "ask_key",
        "categories",
        "identities",
        "policy",
        "snapshot",
        "state",
    )

    def __init__(
        self,
        snapshot: PolicySnapshot,
        categories: CategorySnapshot,
        ask_key: bytes,
        continuations: Continuations,
        first_visits: FirstVisits | None = None,
        usage: UsageFiles | None = None,
        claims: Claims | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.policy = snapshot.policy
        self.categories = categories
        self.identities = Identities(snapshot.policy)
        self.ask_key = ask_key
        self._continuations = continuations
        self._usage = usage
        self._claims = claims
        self._listing = SiteListing(
            categories, Corrections(snapshot.corrections), snapshot.policy, first_visits
        )
        self.state = snapshot.state()
        self._remembered: dict[tuple[Client, str, str, int], Judgement] = {}
        self._remembered_since = self._remembered_until = datetime.min.replace(tzinfo=UTC)

    def judge_host(self, client: Client, scheme: str, host: str, port: int) -> Judgement:
        """Decide about a visit that is being made now, of which no more than the host (canonical) can be
        seen, and about the site that the host says it shows."""
        now = datetime.now(UTC)
        if not self._remembered_since <= now < self._remembered_until:
            # The clock may have been put back, too.
            self._remembered.clear()
            self._remembered_since = now
            edge = next_edge_after(now, self.policy, self.state)
            self._remembered_until = edge or datetime.max.replace(tzinfo=UTC)
        asked = client, scheme, host, port
        known = self._remembered.get(asked)
        if known is not None:
            return self._with_quotas(known.made_at(now))
        judgement = self.judge_carried(self._judge(client, scheme, host, port, None), "")
        # What a site that shows others says may rest on a continuation for one of them.
        if self._is_lasting(judgement) and not any(carried_hosts(host, "")):
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[asked] = judgement
        return self._with_quotas(judgement)

    def judge(self, client: Client, scheme: str, host: str, port: int, path: str | None) -> Judgement:
        """Decide about a visit that is being made now. `host` is canonical."""
        return self._with_quotas(self._judge(client, scheme, host, port, path))

    def used(self, limit: Limit, client: Client) -> Use:
        """Return what a client has used of a quota today."""
        return Use() if self._usage is None else self._usage.used(usage_key(limit, client))

    def passed(self, visit: Visit) -> Passed:
        """Return what says whether a visit's client was warned of a limit there, and went on."""
        return lambda limit: self._continuations.has(
            visit.client, limit_passed_at(limit, visit.host), datetime.now(UTC)
        )

    def may_let_through(self, visit: Visit, stopped: Decision, download: str) -> bool:
        """Whether access to one download is there for one that would be stopped; it is not used up by this.

        It is for limits, and for the rule that was asked about; a limit that warns does so all the same.
        """
        access = self._lifting(visit, stopped)
        return self._claims is not None and self._claims.would_let_through(access, download)

    def let_through(self, visit: Visit, stopped: Decision, download: str) -> str | None:
        """Return the access to one download by which one goes on that would be stopped; None: by none.

        `download` tells it from every other: the first that asks has used the access up, in all workers.
        """
        access = self._lifting(visit, stopped)
        return self._claims.let_through(access, download) if access and self._claims is not None else None

    def single_downloads(self, visit: Visit) -> tuple[Exemption, ...]:
        """Return the access to one download each that is in force for a visit's client and host."""
        return self.state.single_downloads(visit.host, visit.client, datetime.now(UTC))

    def _lifting(self, visit: Visit, stopped: Decision) -> tuple[Exemption, ...]:
        """Return the access to one download each that lifts what has stopped one."""
        if stopped.verdict is not Verdict.BLOCK:
            return ()
        access = self.single_downloads(visit)
        if stopped.limit is not None:
            return access
        return tuple(one for one in access if may_lift(one, stopped.rule, visit, self.policy))

    def _with_quotas(self, judgement: Judgement) -> Judgement:
        if not judgement.decision.limits:
            return judgement
        visit = judgement.visit
        stopped = judge_use(visit, judgement.decision, self.policy, self.used, self.passed(visit))
        return judgement if stopped is None else structs.replace(judgement, decision=stopped)

    def _judge(self, client: Client, scheme: str, host: str, port: int, path: str | None) -> Judgement:
        # As SiteListing.seen has it, but the visit is made once: this is done for every request.
        began = time.perf_counter()
        matches = self._listing.matches(host, path)
        egress_metrics.LOOKUP_SECONDS.add(time.perf_counter() - began)
        hidden = self._listing.url_categories(host) if path is None else frozenset[str]()
        now = datetime.now(UTC)
        is_newly_seen = self._listing.is_newly_seen(host, now)
        visit = Visit(
            *(client, scheme, host, port, path, now, matches),
            url_categories=hidden,
            is_newly_seen=is_newly_seen,
        )
        judgement = self._judgement(visit)
        if judgement.decision.verdict in SAID_FIRST and self._continuations.has(
            client, judgement.warned_site, visit.at
        ):
            return self._judgement(structs.replace(visit, has_continued=True))
        return judgement

    def judge_carried(self, judgement: Judgement, target: str) -> Judgement:
        """Return the stricter judgement of a visit and of the sites that it shows (`policy.judging`).

        A translator, a cache or an archive shows another site, which `target` (the path with its
        query, empty where it cannot be seen) or the host itself may name.
        """
        visit = judgement.visit
        for host in carried_hosts(visit.host, target):
            shown = self.judge(visit.client, visit.scheme, host, visit.port, None)
            decision = stricter_of_shown(judgement.decision, shown.decision, visit.host)
            if decision is not None:
                judgement = structs.replace(shown, decision=decision)
        return judgement

    def judge_again(self, judgement: Judgement) -> Judgement:
        """Decide about the same visit as if it were made now.

        Who sits at the address is asked again as well, unless the person signed in: a device may
        have been given to someone else. Of what a site shows, only what its host names is seen again.
        """
        visit = judgement.visit
        signed_in = visit.client.person if visit.client.is_signed_in else None
        client = self.identities.identify(visit.client.address, signed_in, datetime.now(UTC))
        if visit.path is None:
            return self.judge_host(client, visit.scheme, visit.host, visit.port)
        again = self.judge(client, visit.scheme, visit.host, visit.port, visit.path)
        return self.judge_carried(again, "")

    def as_written(self, visit: Visit) -> tuple[Judged, ...]:
        """Decide about a visit's address as if it was not known yet how much of it is seen."""
        unseen = structs.replace(visit, matches=(), url_categories=frozenset())
        return judge_address(unseen, self.policy, self.state, self._listing)

    def may_dial(self, address: str) -> bool:
        """Whether a name may lead the proxy to this IP address."""
        return may_dial(address, self.policy)

    def may_show_page(self, judgement: Judgement) -> bool:
        """Whether a page may be shown when an allowed site is out of reach: it would be decrypted for it."""
        return not must_not_inspect(judgement.visit, self.policy, self.state)

    @property
    def warns(self) -> bool:
        """Whether any visit can be warned of."""
        actions = [self.policy.default, *(rule.action for rule in self.policy.rules)]
        return Verdict.WARN in actions or any(one.action is LimitAction.WARN for one in self.policy.limits)

    @property
    def admin_site(self) -> tuple[str, int] | None:
        """Towngate's own (host as it is dialled, port): the only thing of its own that it leads to."""
        site = self.state.admin_site
        return (site[0].strip("[]"), site[1]) if site else None

    def _is_lasting(self, judgement: Judgement) -> bool:
        """Whether nothing but an edge of the policy, or another judge, would decide otherwise."""
        return (
            not self.policy.names_newly_seen
            and not judgement.visit.has_continued
            and judgement.decision.verdict not in SAID_FIRST
        )

    def _judgement(self, visit: Visit) -> Judgement:
        return Judgement(
            visit,
            decide(visit, self.policy, self.state),
            self.snapshot.sequence,
            self.policy.version,
            self.categories.version,
        )
