"""Mendline's own metrics: plain counters that members write, and the Prometheus endpoint that reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

Name = Literal[
    # counter, records: read from the input topic
    "mendline_records_consumed",
    # counter, records: appended, whatever the topic
    "mendline_records_produced",
    # counter, records: unreadable, sent to the dead letters
    "mendline_records_dead",
    # counter, seconds: spent in the stage's fold
    "mendline_fold_seconds",
    # counter, batches: folded
    "mendline_batches",
    # counter, appends: tried again because the log did not answer
    "mendline_append_retries",
    # gauge, records: known to wait on the input partition
    "mendline_lag_records",
    # gauge, seconds: append time of the newest record folded, since the Unix epoch
    "mendline_input_timestamp_seconds",
    # counter, snapshots: acknowledged
    "mendline_snapshots",
]

HELP: dict[Name, tuple[Literal["counter", "gauge"], str]] = {
    "mendline_records_consumed": ("counter", "Records read from the input topic."),
    "mendline_records_produced": ("counter", "Records appended, whatever the topic."),
    "mendline_records_dead": ("counter", "Unreadable records sent to the dead letters."),
    "mendline_fold_seconds": ("counter", "Seconds spent in the stage's fold."),
    "mendline_batches": ("counter", "Batches folded."),
    "mendline_append_retries": ("counter", "Appends tried again because the log did not answer."),
    "mendline_lag_records": ("gauge", "Records known to wait on the input partition."),
    "mendline_input_timestamp_seconds": ("gauge", "Append time of the newest record folded."),
    "mendline_snapshots": ("counter", "Snapshots acknowledged."),
}


SET_ASIDE = "mendline_rounds_set_aside"
SET_ASIDE_HELP = "Rounds left out of windows, or taken at another time, since the source was first seen."

Tallies = Mapping[str, Mapping[str, int]]


@dataclass(slots=True)
class Metrics:
    """Values by name, stage and partition. Members write, the endpoint reads; both may be on any thread."""

    _values: dict[tuple[Name, str, str], float] = field(default_factory=dict)
    _tallies: dict[tuple[str, str], Tallies] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: Name, stage: str, partition: str = "", by: float = 1.0) -> None:
        """Count `by` more."""
        key = (name, stage, partition)
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + by

    def set(self, name: Name, stage: str, partition: str, value: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._values[name, stage, partition] = value

    def tally(self, stage: str, partition: str, tallies: Tallies) -> None:
        """Keep what a stage has set aside of a partition, by source and reason."""
        with self._lock:
            self._tallies[stage, partition] = tallies

    def forget(self, stage: str, partition: str) -> None:
        """Drop the gauges and tallies of a partition that went to another member, which tells them now."""
        with self._lock:
            self._tallies.pop((stage, partition), None)
            for key in [key for key in self._values if key[1:] == (stage, partition) and HELP[key[0]][0] == "gauge"]:
                del self._values[key]

    def snapshot(self) -> dict[tuple[Name, str, str], float]:
        """Return all values as they are now."""
        with self._lock:
            return dict(self._values)

    def tallies(self) -> dict[tuple[str, str], Tallies]:
        """Return what was set aside, by stage and partition."""
        with self._lock:
            return dict(self._tallies)


@dataclass(frozen=True, slots=True, eq=False)  # the registry keeps collectors by identity
class _Collector:
    metrics: Metrics

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        values = self.metrics.snapshot()
        for name, (kind, text) in HELP.items():
            family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(
                name, text, labels=["stage", "partition"]
            )
            for (found, stage, partition), value in values.items():
                if found == name:
                    family.add_metric([stage, partition], value)
            yield family
        aside = CounterMetricFamily(SET_ASIDE, SET_ASIDE_HELP, labels=["stage", "partition", "source", "reason"])
        for place, tallies in self.metrics.tallies().items():
            for source, counts in tallies.items():
                for reason, count in counts.items():
                    aside.add_metric([*place, source, reason], count)
        yield aside


class MetricsEndpoint:
    """Serves `Metrics` over HTTP in Prometheus' text format, on its own thread, until closed."""

    def __init__(self, metrics: Metrics, listen: str) -> None:
        """Listen on `listen`, HOST:PORT.

        Raises OSError when the address cannot be had.
        """
        from prometheus_client import CollectorRegistry, start_http_server

        host, _, port = listen.rpartition(":")
        registry: CollectorRegistry = CollectorRegistry()
        registry.register(_Collector(metrics))
        self._server, self._thread = start_http_server(int(port), host or "127.0.0.1", registry)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
