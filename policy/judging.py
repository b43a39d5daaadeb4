"""Judging a web address as the proxy does: what can be seen from outside first, then what is inside.

Pure: who calls gives the lists to look sites up in.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import structs

from categories.carriers import carried_hosts
from categories.match import CategoryMatch
from policy.correction import Corrections
from policy.deciding import Step, decide
from policy.decision import Cause, Decision, Lane, Verdict, stricter
from policy.inspecting import must_not_inspect
from policy.state import State
from policy.town_policy import Policy
from policy.visit import Visit

_SHOWS_ANYTHING = frozenset({Cause.ADMIN_SITE, Cause.ESSENTIAL})


class Lists(Protocol):
    """What sites are looked up in; a `categories.snapshot.CategorySnapshot` is one."""

    def lookup(self, host: str, path: str | None = None) -> tuple[CategoryMatch, ...]:
        """Return the matches of a host, and of its URL where the path is given; most specific first."""

    def url_categories(self, host: str) -> frozenset[str]:
        """Return the categories that URLs of the host are listed in."""


class FirstSeen(Protocol):
    """What knows when sites were first visited; a `categories.first_visits.FirstVisits` is one."""

    def is_newly_seen(self, host: str, at: datetime, within: timedelta) -> bool:
        """Whether the host's site was first visited less than `within` before `at` (aware UTC)."""


class SiteListing:
    """What is known of a site, as far as the policy asks for it: what lists and corrections together
    say, and whether it is newly seen. Immutable.

    Without `first_seen` nothing is newly seen.
    """

    __slots__ = ("_corrections", "_first_seen", "_inspects_urls", "_lists", "_newly_seen_for")

    def __init__(
        self, lists: Lists, corrections: Corrections, policy: Policy, first_seen: FirstSeen | None = None
    ) -> None:
        self._first_seen = first_seen if policy.names_newly_seen else None
        self._newly_seen_for = timedelta(days=policy.newly_seen_days)
        self._lists = lists
        self._corrections = corrections
        self._inspects_urls = any(rule.inspects_urls for rule in policy.rules)

    def matches(self, host: str, path: str | None) -> tuple[CategoryMatch, ...]:
        """Return what a canonical host, or its URL with this path, is listed as."""
        return self._corrections.apply(host, self._lists.lookup(host, path))

    def url_categories(self, host: str) -> frozenset[str]:
        """Return what the lists have URLs of a host as; nothing where no rule looks for them."""
        if not self._inspects_urls or self._corrections.nearest(host) is not None:
            return frozenset()
        return self._lists.url_categories(host)

    def is_newly_seen(self, host: str, at: datetime) -> bool:
        """Whether a visit at `at` (aware UTC) is to a newly seen site; False where no rule names that."""
        return self._first_seen is not None and self._first_seen.is_newly_seen(host, at, self._newly_seen_for)

    def seen(self, visit: Visit) -> Visit:
        """Return the visit with what is known of its site, by as much of the address as it shows."""
        return structs.replace(
            visit,
            matches=self.matches(visit.host, visit.path),
            url_categories=self.url_categories(visit.host) if visit.path is None else frozenset(),
            is_newly_seen=self.is_newly_seen(visit.host, visit.at),
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A visit as it was seen, what was decided about it, and each step on the way."""

    visit: Visit
    decision: Decision
    steps: tuple[Step, ...]

    @property
    def lane(self) -> Lane | None:
        """How the visit is carried where it may go on; None where it may not."""
        if not self.decision.is_allowed:
            return None
        if self.visit.scheme != "https":
            return Lane.PLAIN
        is_inside = self.visit.path is not None
        return Lane.INSPECT if is_inside or self.decision.is_inspected else Lane.TUNNEL


def judge(
    visit: Visit, policy: Policy, state: State, listing: SiteListing, query: str = ""
) -> tuple[Judged, ...]:
    """Decide about an address as it is written; the last of what is returned is what comes of it.

    1. over https, its path is not seen: it is judged without
    2. where that has it looked into and there is a path, the address is judged with it, too
    3. a site that it shows (`categories.carriers`) is judged as well, if that is decided more strictly

    `visit` has no matches yet. `query` is what follows the path, from its question mark on.
    """
    is_hidden = visit.scheme == "https"
    outside = _judged(structs.replace(visit, path=None) if is_hidden else visit, policy, state, listing)
    seen = [outside]
    if is_hidden and visit.path is not None and outside.decision.is_inspected:
        seen.append(_judged(visit, policy, state, listing))
    last = seen[-1]
    target = "" if last.visit.path is None else last.visit.path + query
    for host in carried_hosts(visit.host, target):
        shown = _judged(structs.replace(visit, host=host, path=None), policy, state, listing)
        stricter_one = stricter_of_shown(last.decision, shown.decision, visit.host)
        if stricter_one is not None:
            last = replace(shown, decision=stricter_one)
            seen.append(last)
    return tuple(seen)


def stricter_of_shown(decision: Decision, shown: Decision, shown_by: str) -> Decision | None:
    """Return what comes of a visit that shows another site; None where that site changes nothing.

    `decision` is about the visit, `shown` about the site that the host `shown_by` shows. What would be
    warned of is blocked there, and can be opened by itself: its warning would be continued from on a
    host of its own. What is never blocked shows what it likes.
    """
    if decision.cause in _SHOWS_ANYTHING or shown.is_allowed or stricter(decision, shown) is not shown:
        return None
    return replace(shown, verdict=Verdict.BLOCK, carried_by=shown_by)


def is_never_inspected(judged: Judged, policy: Policy, state: State) -> bool:
    """Whether a visit goes by unopened because its site must never be opened, whatever rules say."""
    return judged.lane is Lane.TUNNEL and must_not_inspect(judged.visit, policy, state)


def _judged(visit: Visit, policy: Policy, state: State, listing: SiteListing) -> Judged:
    steps: list[Step] = []
    seen = listing.seen(visit)
    return Judged(seen, decide(seen, policy, state, steps), tuple(steps))
