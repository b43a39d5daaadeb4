"""What Prometheus is told: bounded labels only, never a person or a host.

With PROMETHEUS_MULTIPROC_DIR set, the values of all workers are files in that folder, and the
supervisor's listener adds them up in one scrape.
"""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram


class Tally:
    """Counts in memory what a counter is told later: each telling takes as long as ten additions."""

    __slots__ = ("_counter", "_untold")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._untold = 0

    def add(self, number: int = 1) -> None:
        """Count."""
        self._untold += number

    def tell(self) -> None:
        """Tell Prometheus what has been counted since the last time."""
        if self._untold:
            self._counter.inc(self._untold)
            self._untold = 0


class TimingTally:
    """Counts in memory how long things took, which a histogram is told later; `bounds` are its buckets'."""

    __slots__ = ("_bounds", "_seconds", "_untold", "histogram")

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self.histogram = histogram
        self._bounds = bounds
        self._untold = [0] * (len(bounds) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count."""
        self._untold[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds

    def tell(self) -> None:
        """Tell Prometheus what has been counted since the last time."""
        for bucket, number in enumerate(self._untold):
            if number:
                # As `observe` does, which can do it only for one at a time.
                self.histogram._buckets[bucket].inc(number)
                self._untold[bucket] = 0
        self.histogram._sum.inc(self._seconds)
        self._seconds = 0.0


VISITS = Counter("egress_visits", "Visits by what came of them", ["action", "category_group", "department"])
BYTES = Counter("egress_bytes", "Bytes carried, as the client sees them", ["direction", "lane"])
HEAVY = Gauge(
    "egress_heavy_visits", "Visits going on that carried, or carry, much", multiprocess_mode="livesum"
)
LIMITED = Counter("egress_limited", "What was over a limit of the policy, and held up or ended", ["limit"])
OPEN_VISITS = Gauge("egress_open_visits", "Visits going on now", ["lane"], multiprocess_mode="livesum")
LANE_CONNECTIONS = Counter(
    "egress_lane_connections", "Connections by what the tunnel lane did with them", ["result"]
)
TUNNELLED = Tally(LANE_CONNECTIONS.labels("tunnelled"))
HANDED_OVER = Tally(LANE_CONNECTIONS.labels("handed_over"))
_DECISION_BOUNDS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1)
DECISION_SECONDS = TimingTally(
    Histogram("egress_decision_seconds", "Time to look a visit up and decide it", buckets=_DECISION_BOUNDS),
    _DECISION_BOUNDS,
)
_LOOKUP_BOUNDS = (0.000001, 0.000002, 0.000005, 0.00001, 0.00002, 0.00005, 0.0001, 0.001, 0.01)
LOOKUP_SECONDS = TimingTally(
    Histogram("egress_lookup_seconds", "Time to find a site in the category lists", buckets=_LOOKUP_BOUNDS),
    _LOOKUP_BOUNDS,
)
LOOP_LAG_SECONDS = Histogram(
    "egress_event_loop_lag_seconds",
    "How late the event loop came to what was due",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
)
UPSTREAM_ERRORS = Counter(
    "egress_upstream_errors", "Origin servers that were not reached, or taken", ["kind"]
)
for _kind in ("name", "address", "connection", "timeout", "certificate"):
    UPSTREAM_ERRORS.labels(_kind)
SNAPSHOT_BYTES = Gauge(
    "egress_snapshot_bytes", "Size of the snapshot in force", ["kind"], multiprocess_mode="livemax"
)
SIGN_INS = Counter("egress_sign_ins", "Proxy passwords checked, or not checked any more", ["result"])
for _result in ("right", "wrong", "too_many"):
    SIGN_INS.labels(_result)  # from zero: an alert sees no increase where there was nothing before
FAIL_CLOSED = Counter("egress_fail_closed", "Visits blocked because deciding them failed", ["hook"])
RECORDS_SHED = Counter("egress_visit_records_shed", "Visit records lost to a full disk")
SNAPSHOT_PUBLISHED = Gauge(
    "egress_snapshot_published_timestamp_seconds",
    "When the snapshot in force was published; the oldest of all workers",
    ["kind"],
    multiprocess_mode="livemin",
)
SNAPSHOT_REFUSED = Counter(
    "egress_snapshot_refused", "New snapshots that could not be used; the old ones stay", ["kind"]
)
NAMES_LOOKED_UP = Counter("egress_names_looked_up", "Names that the resolver was asked for")
CONNECTIONS_REFUSED = Counter(
    "egress_connections_refused", "Connections refused because their address had too many open"
)
CONTINUATIONS_REFUSED = Counter(
    "egress_continuations_refused", "Lines of the file of who continued past a warning that are none"
)
EXEMPTIONS = Gauge("egress_exemptions", "Exemptions in force", multiprocess_mode="livemax")
EMERGENCY_MEASURES = Gauge(
    "egress_emergency_measures",
    "Lockdowns, devices off the web, and the filter being off, in force",
    ["kind"],
    multiprocess_mode="livemax",
)
WORKERS = Gauge("egress_workers", "Workers that take new connections", multiprocess_mode="livesum")
CA_EXPIRES = Gauge(
    "egress_ca_expires_timestamp_seconds",
    "When the town's certificate authority ends",
    multiprocess_mode="livemin",
)
