"""The limits of the policy that are part of why a visit went as it did, for everywhere that is told."""

from collections.abc import Iterable
from dataclasses import dataclass

from admin.quota_use import Left
from policy import limit_words
from policy.decision import Decision
from policy.town_policy import Limit, LimitAction, Policy


@dataclass(frozen=True, slots=True)
class HeldLimit:
    """A limit that holds for a visit, or stopped it.

    `left` is what is left of a quota on that day; None where it is no quota, or nothing is known of the day.
    `stops`: the visit itself is stopped by it, or gets a warning, and not only what is over it.
    `is_closed`: it was, also by one that warns: in a tunnel no page can be shown.
    """

    limit: Limit
    left: Left | None
    stops: bool
    is_closed: bool = False

    @property
    def words(self) -> str:
        """What it says, like "a download of more than 500 MB gets a warning first"."""
        return f"{limit_words.over(self.limit)} {limit_words.does(self.limit)}"

    @property
    def done(self) -> str:
        """What it does to the visit itself, like "It stops this visit."; empty where it does nothing."""
        if not self.stops:
            return ""
        if self.limit.action is not LimitAction.WARN:
            return "It stops this visit."
        if self.is_closed:
            return "No page could be shown, so it stopped this visit."
        return "This visit gets a warning first."


def held_limits(
    limits: Iterable[Limit], left: Iterable[Left], stopped_by: str | None = None, *, is_closed: bool = False
) -> tuple[HeldLimit, ...]:
    """Return these limits with what is left of quotas.

    `stopped_by` is the id of that which stops the visit; `is_closed`: it did, without a page.
    """
    of_quotas = {one.limit.id: one for one in left}
    return tuple(
        HeldLimit(limit, of_quotas.get(limit.id), limit.id == stopped_by, is_closed) for limit in limits
    )


def why_none_holds(decision: Decision, policy: Policy) -> str:
    """Return why no limit is part of a decision, as a sentence; empty where the policy has none at all."""
    if not policy.limits:
        return ""
    if not decision.is_allowed:
        return "None is part of this: limits hold only for what is allowed."
    return "None holds for this visit."
