"""Limits in plain words: what they are about, and where one cannot act."""

from collections.abc import Iterable

from policy import amounts, file_types
from policy.decision import Decision
from policy.file_types import FILE_TYPES
from policy.town_policy import Limit, LimitAction, Per, Policy, Quota

_DOES = {
    LimitAction.BLOCK: "is stopped",
    LimitAction.WARN: "gets a warning first",
    LimitAction.ASK: "is stopped, and may be asked for",
}


def over(limit: Limit) -> str:
    """Return what is over it: "a download of more than 500 MB"; "more than 2 GB a day for each person"."""
    if limit.larger_than is not None:
        return f"a download of more than {amounts.size(limit.larger_than)}"
    if limit.quota is not None:
        whose = "each department" if limit.quota.per is Per.DEPARTMENT else "each person"
        return f"more than {amount_of(limit.quota)} a day for {whose}"
    return of_types(limit.file_types)


def of_types(types: Iterable[str]) -> str:
    """Return what a rule or limit of file types is about: "a download of programs, scripts"."""
    return f"a download of {', '.join(sorted(FILE_TYPES[id_].label for id_ in types))}"


def stopped_by(id_: str | None, policy: Policy) -> str:
    """Return what the limit, or the rule of file types, with this id is about, as `over` and `of_types` do.

    Empty where the policy has neither.
    """
    limit = next((limit for limit in policy.limits if limit.id == id_), None)
    if limit is not None:
        return over(limit)
    types = next((rule.file_types for rule in policy.rules if rule.id == id_), frozenset[str]())
    return of_types(types) if types else ""


def does(limit: Limit) -> str:
    """Return what comes of it, to go on with after `over`: "gets a warning first"."""
    return _DOES[limit.action]


def amount_of(quota: Quota) -> str:
    """Return how much a quota is: "2 GB", "30 minutes"."""
    return (
        amounts.minutes(quota.duration) if quota.duration is not None else amounts.size(quota.size_bytes or 0)
    )


def refusal_of(decision: Decision, policy: Policy) -> str:
    """Return the refusal in the record of what a limit has held up, or ended."""
    limit = next((limit for limit in policy.limits if limit.id == decision.limit), None)
    if limit is None or limit.file_types:
        return file_types.refusal_of(frozenset(decision.file_types))
    if limit.quota is not None:
        said = f"{amount_of(limit.quota)} a day are used"
    elif decision.size_bytes is not None:
        most = amounts.size(limit.larger_than or 0)
        said = f"a download of {amounts.size(decision.size_bytes)}, over {most}"
    else:
        said = f"over {amounts.size(limit.larger_than or 0)} came on one connection"
    return said.replace(amounts.NO_BREAK, " ")


def where_they_cannot_act(policy: Policy) -> tuple[str, ...]:
    """Return a sentence for each place where a limit of the policy cannot act as it says."""
    found = []
    for limit in policy.limits:
        if limit.larger_than is not None:
            found.append(
                f"limit {limit.id!r} counts what a tunnel carries, as no size is seen in one; over it, one"
                " is closed without a page, and 'Did something not open?' says why"
            )
        elif limit.file_types:
            openers = [
                rule.id
                for rule in policy.rules
                if rule.opens_sites and (not limit.categories or limit.categories & rule.categories)
            ]
            where = (
                f"where {', '.join(openers)} has a site opened"
                if openers
                else "nowhere: no rule has any opened"
            )
            found.append(f"limit {limit.id!r} sees no kind of file in a tunnel; over HTTPS it acts {where}")
        elif limit.action is LimitAction.WARN:
            found.append(
                f"limit {limit.id!r} closes the tunnels that are open when it is used up; the next page warns"
            )
    return tuple(found)
