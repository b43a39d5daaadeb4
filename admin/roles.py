"""Who may see what, by the policy's roles. Who decides requests: `asking.deciders`."""

from collections.abc import Callable

from policy.town_policy import Policy

type Permission = Callable[[Policy, str], bool]


def sees_visits(policy: Policy, person: str) -> bool:
    """Whether the person may look at the visit log, persons hidden."""
    return _has_any(policy, person, "it_security", "help_desk", "auditor")


def may_show_names(policy: Policy, person: str) -> bool:
    """Whether the person may have names shown in the visit log, for a reason."""
    return _has_any(policy, person, "it_security", "auditor")


def sees_all_requests(policy: Policy, person: str) -> bool:
    """Whether the person may look at everybody's requests and open access."""
    return _has_any(policy, person, "it_security", "help_desk", "town_administrator", "auditor")


def _has_any(policy: Policy, person: str, *roles: str) -> bool:
    return any(person in policy.roles.get(role, ()) for role in roles)
