"""What the policy lets nobody grant, asked of all sites of a request: at asking, agreeing, signing, opening.

A site counts by what the lists and the town's corrections have it as at that moment, and by what it was said
to be when it was asked for; subdomains, and whatever a list says later, `policy.deciding` keeps shut.
"""

from collections.abc import Awaitable, Callable

from admin.asked import categories_of
from admin.asking import AccessRequest, InvalidRequestError, NeverGrantedError, NewAccessRequest
from admin.asking_terms import never_allowed
from categories.snapshot import CategorySnapshotError
from policy.town_policy import Policy

type Listed = Callable[[str], Awaitable[frozenset[str]]]
"""Says which categories a canonical host is listed as now, as SiteLists.categories does."""


async def never_granted(
    policy: Policy, listed: Listed, request: NewAccessRequest | AccessRequest
) -> str | None:
    """Return what of a request nobody can be granted: one of its sites, "" for what has none; None: nothing.

    Raises InvalidRequestError while no lists can be read, where the policy has anything of that kind.
    """
    if not policy.asking.never:
        return None
    if never_allowed(policy, (*request.risks, request.category or "", *categories_of(request.asked))):
        return request.host
    try:
        for host in filter(None, (request.host, *request.hosts)):
            if never_allowed(policy, await listed(host)):
                return host
    except CategorySnapshotError as error:
        raise InvalidRequestError(
            "host", "Sites cannot be looked up right now; try again in a minute"
        ) from error
    return None


async def refusal(policy: Policy, listed: Listed, request: AccessRequest) -> NeverGrantedError | None:
    """Return why a request cannot go on to access, None where it can. Raises as `never_granted` does."""
    what = await never_granted(policy, listed, request)
    if what is None:
        return None
    opens = what or "sites of that kind"
    return NeverGrantedError("host", f"The town never opens {opens}. Nobody can allow {request.number}")
