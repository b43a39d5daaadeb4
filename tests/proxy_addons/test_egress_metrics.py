"""What is counted in memory comes to Prometheus as if it had been told at once."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.samples import Sample

from proxy_addons.egress_metrics import TimingTally

BOUNDS = (0.001, 0.5, 2.0)


def samples(histogram: Histogram) -> list[Sample]:
    (metric,) = histogram.collect()
    return [sample for sample in metric.samples if not sample.name.endswith("_created")]


@given(st.lists(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 10)))))
def test_timings_told_together_fill_the_buckets_that_each_would(told: list[list[float]]) -> None:
    one_by_one, together = (
        Histogram("seconds", "How long", buckets=BOUNDS, registry=CollectorRegistry()) for _ in range(2)
    )
    tally = TimingTally(together, BOUNDS)
    for timings in told:
        for seconds in timings:
            one_by_one.observe(seconds)
            tally.add(seconds)
        tally.tell()
    for expected, sample in zip(samples(one_by_one), samples(together), strict=True):
        assert (sample.name, sample.labels) == (expected.name, expected.labels)
        assert abs(sample.value - expected.value) < 1e-9
