"""What the supervisor itself tells Prometheus: what its workers do, and why they were replaced."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SUPERVISED_WORKERS = (
    "egress_supervised_workers",
    "Workers by what they do: starting, ready for connections, or draining those they have",
    ("state",),
)
WORKER_RESTARTS = (
    "egress_worker_restarts_total",
    "Workers that were put in another's place, by why: died, memory or restart",
    ("reason",),
)
NURSERY_READY = (
    "egress_nursery_ready",
    "Whether the process that workers are forked from runs: without it none is put in another's place",
    (),
)


class Workers(Protocol):
    """What is counted."""

    @property
    def states(self) -> Mapping[str, int]:
        """How many there are in each state."""

    @property
    def restarts(self) -> Mapping[str, int]:
        """How many were replaced for each reason."""


class SupervisorFigures(Collector):
    """The figures as they are when Prometheus asks; `has_nursery`: workers can be forked."""

    def __init__(self, workers: Workers, has_nursery: Callable[[], bool]) -> None:
        self._workers = workers
        self._has_nursery = has_nursery

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        name, text, labels = SUPERVISED_WORKERS
        gauge = GaugeMetricFamily(name, text, labels=labels)
        for state, count in self._workers.states.items():
            gauge.add_metric([state], count)
        yield gauge
        name, text, labels = WORKER_RESTARTS
        counter = CounterMetricFamily(name, text, labels=labels)
        for reason, count in self._workers.restarts.items():
            counter.add_metric([reason], count)
        yield counter
        name, text, _ = NURSERY_READY
        yield GaugeMetricFamily(name, text, value=int(self._has_nursery()))
