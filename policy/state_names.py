"""The names, below the state folder, of what one side writes and the other reads."""

POLICY_SNAPSHOT = "published/policy.snapshot"
ASK_TOKEN_KEY = "published/ask-token.key"  # noqa: S105 - a file's name
FIRST_VISITS = "published/first-visits"
CATEGORIES = "published/categories"
CA = "proxy/ca"
EXTRA_ROOTS = "proxy/extra-roots.pem"
SPOOL = "proxy/spool"
METRICS = "proxy/metrics"
CONTINUED = "proxy/continued"
