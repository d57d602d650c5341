"""What Prometheus may read of the watchers, collected when it asks; needs ``prometheus_client`` (the hub has it)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from simdeck_clusters.calls import BUCKETS
from simdeck_clusters.watcher import Watcher


class WatcherCollector(Collector):
    """Register one for all watchers: ``prometheus_client.REGISTRY.register(WatcherCollector(watchers))``."""

    def __init__(self, watchers: Iterable[Watcher]) -> None:
        self.watchers = list(watchers)

    def collect(self) -> Iterator[Metric]:
        """Yield calls and their time by command, what is watched, jobs by state, and since when nothing is known."""
        calls = CounterMetricFamily(
            "simdeck_scheduler_calls", "Scheduler commands by outcome", labels=["cluster", "command", "outcome"]
        )
        seconds = HistogramMetricFamily(
            "simdeck_scheduler_seconds", "How long scheduler commands took", labels=["cluster", "command"]
        )
        watched = GaugeMetricFamily("simdeck_scheduler_watched_jobs", "Jobs that are watched", labels=["cluster"])
        jobs = GaugeMetricFamily("simdeck_scheduler_jobs", "Everybody's jobs by state", labels=["cluster", "state"])
        unknown = GaugeMetricFamily(
            "simdeck_scheduler_unknown_seconds",
            "How long the scheduler has not answered; 0: it does",
            labels=["cluster"],
        )
        for watcher in self.watchers:
            name, made = watcher.name, watcher.cluster.calls
            for (command, outcome), count in made.total.items():
                calls.add_metric([name, command, outcome], count)
            for command, within in made.within.items():
                bounds = [(str(bound), float(count)) for bound, count in zip(BUCKETS, within, strict=True)]
                buckets = [*bounds, ("+Inf", float(made.of(command)))]
                seconds.add_metric([name, command], buckets, sum_value=made.seconds[command])
            watched.add_metric([name], watcher.watched)
            for state, count in Counter(job.state.value for job in watcher.snapshot.jobs).items():
                jobs.add_metric([name, state], count)
            since = watcher.unknown_since
            unknown.add_metric([name], 0.0 if since is None else max(0.0, watcher.clock.time() - since))
        yield from (calls, seconds, watched, jobs, unknown)
