"""The names, below the state folder, of what one side writes and the other reads."""

from datetime import datetime

POLICY_SNAPSHOT = "published/policy.snapshot"
ASK_TOKEN_KEY = "published/ask-token.key"  # noqa: S105 - a file's name
FIRST_VISITS = "published/first-visits"
CATEGORIES = "published/categories"
CA = "proxy/ca"
EXTRA_ROOTS = "proxy/extra-roots.pem"
SPOOL = "proxy/spool"
METRICS = "proxy/metrics"
CONTINUED = "proxy/continued"
WORKER_FACTS_SUFFIX = ".facts"
USAGE_SUFFIX = ".usage"
CLAIM_SUFFIX = ".claim"


def worker_facts(worker: int) -> str:
    """Return the name, in the spool, of what the worker of this number says of itself."""
    return f"worker-{worker}{WORKER_FACTS_SUFFIX}"


def draining_worker_facts(worker: int, process: int | str) -> str:
    """Return its name once another worker has the number of this one, which goes on with what it has."""
    return f"worker-{worker}-draining-{process}{WORKER_FACTS_SUFFIX}"


def claim(exemption: str, granted_at: datetime) -> str:
    """Return the name, in the spool, of what says that access to one download is used up.

    With the millisecond (UTC) since which it is granted: a database that was restored gives an id again.
    """
    return f"{exemption}-{round(granted_at.timestamp() * 1000)}{CLAIM_SUFFIX}"
