"""Of which visits the full addresses of pages are kept, and how the policy check says so."""

from policy.inspecting import must_not_inspect
from policy.state import State
from policy.town_policy import Policy
from policy.visit import Visit


def keeps_addresses(visit: Visit, policy: Policy, state: State) -> bool:
    """Whether the policy has the addresses of pages at a visit's site kept; `never_inspect` wins."""
    kept = policy.addresses
    if kept is None or kept.categories.isdisjoint([match.category for match in visit.matches]):
        return False
    return not must_not_inspect(visit, policy, state)


def what_is_kept(policy: Policy) -> tuple[str, ...]:
    """Return a sentence about what is kept, none where nothing is."""
    kept = policy.addresses
    if kept is None:
        return ()
    # A site may be opened for another of its categories.
    openers = ", ".join(rule.id for rule in policy.rules if rule.opens_sites)
    listed = ", ".join(sorted(kept.categories))
    return (
        f"the full address of each page that somebody goes to at sites listed as {listed} is kept,"
        f" {'with' if kept.with_queries else 'without'} what follows '?' in it: over http,"
        f" over HTTPS where a site is opened ({openers or 'no rule has any opened'}), and where the"
        " town's own page is shown instead",
    )
