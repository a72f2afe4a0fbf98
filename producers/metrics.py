"""Every metric the built-in collectors measure: unit (UCUM), kind, valid range, meaning.

Names follow the OpenTelemetry semantic conventions where they have one (`system.*`, `process.*`, `hw.*`, `http.*`,
`dns.*`); the others begin with `mendline.`. A value outside of the range is rejected at the source and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

from mendline.schemas.series import Kind, Series


class Metric(NamedTuple):
    """What a metric is: `low` and `high` bound valid values, both included."""

    unit: str
    kind: Kind
    low: float
    high: float
    meaning: str


def _counter(unit: str, meaning: str) -> Metric:
    return Metric(unit, "counter", 0.0, inf, meaning)


def _amount(unit: str, meaning: str) -> Metric:
    return Metric(unit, "gauge", 0.0, inf, meaning)


def _share(meaning: str) -> Metric:
    return Metric("1", "gauge", 0.0, 1.0, meaning)


METRICS: Mapping[str, Metric] = {
    # the host
    "system.cpu.time": _counter("s", "time of all cores in a mode"),
    "system.cpu.utilization": _share("share of time in a mode since the last round, of all cores or of one"),
    "system.cpu.load_average.1m": _amount("{thread}", "runnable and blocked threads, mean of 1 minute"),
    "system.cpu.load_average.5m": _amount("{thread}", "runnable and blocked threads, mean of 5 minutes"),
    "system.cpu.load_average.15m": _amount("{thread}", "runnable and blocked threads, mean of 15 minutes"),
    "system.process.count": _amount("{process}", "threads that are runnable (running) or exist (all)"),
    "system.uptime": _amount("s", "time since the host was booted"),
    "system.memory.usage": _amount("By", "physical memory in a state"),
    "system.memory.utilization": _share("share of physical memory in a state"),
    "system.linux.memory.available": _amount("By", "memory that can be had without swapping"),
    "system.paging.usage": _amount("By", "swap in a state"),
    "system.paging.utilization": _share("share of swap in a state"),
    "system.paging.operations": _counter("{operation}", "pages swapped in and out"),
    "system.paging.faults": _counter("{fault}", "page faults; major ones read from a disk"),
    "mendline.host.oom_kills": _counter("{process}", "processes killed by the kernel for want of memory"),
    "system.filesystem.usage": _amount("By", "space of a file system in a state"),
    "system.filesystem.utilization": _share("share of the space that users may fill which is used"),
    "mendline.filesystem.inodes.usage": _amount("{inode}", "inodes of a file system in a state"),
    "mendline.filesystem.inodes.utilization": _share("share of the inodes which is used"),
    "system.disk.io": _counter("By", "bytes read from and written to a disk"),
    "system.disk.operations": _counter("{operation}", "operations of a disk"),
    "system.disk.operation_time": _counter("s", "sum of the times of a disk's operations"),
    "system.disk.io_time": _counter("s", "time a disk was busy"),
    "system.disk.merged": _counter("{operation}", "operations merged with a neighbour"),
    "system.network.io": _counter("By", "bytes received and transmitted by an interface"),
    "system.network.packet.count": _counter("{packet}", "packets of an interface"),
    "system.network.errors": _counter("{error}", "packets an interface could not receive or transmit"),
    "system.network.packet.dropped": _counter("{packet}", "good packets an interface dropped"),
    "system.network.connection.count": _amount("{connection}", "TCP connections in a state, IPv4 and IPv6"),
    "mendline.host.file_descriptor.count": _amount("{file_descriptor}", "open files of the whole host"),
    "mendline.host.file_descriptor.utilization": _share("open files as a share of the kernel's limit"),
    "mendline.pressure.stall_time": _counter("s", "time in which some or all (full) tasks waited for a resource"),
    "mendline.pressure.utilization": _share("share of the last 10 s in which tasks waited for a resource"),
    "hw.temperature": Metric("Cel", "gauge", -273.15, 2000.0, "a sensor's temperature"),
    "hw.fan.speed": _amount("rpm", "a fan's speed"),
    # a watched process
    "process.cpu.time": _counter("s", "CPU time in a mode"),
    "process.cpu.utilization": _share("CPU time since the last round as a share of all cores"),
    "process.memory.usage": _amount("By", "resident memory"),
    "process.memory.virtual": _amount("By", "virtual memory"),
    "process.thread.count": _amount("{thread}", "threads"),
    "process.open_file_descriptor.count": _amount("{file_descriptor}", "open files"),
    "process.disk.io": _counter("By", "bytes read from and written to storage"),
    "process.paging.faults": _counter("{fault}", "page faults"),
    "process.uptime": _amount("s", "time since the process was started"),
    "mendline.process.up": _share("1 while the process lives"),
    "mendline.process.state": _share("1 for the state the process is in, 0 for the others"),
    "mendline.process.restarts": _counter("{restart}", "new processes of the service since the agent was started"),
    # probes and peers
    "mendline.probe.success": _share("share of the probes since the last round that succeeded"),
    "mendline.probe.failures": _counter("{probe}", "probes that failed"),
    "http.client.request.duration": _amount("s", "mean time of the HTTP probes since the last round"),
    "dns.lookup.duration": _amount("s", "mean time of the DNS probes since the last round"),
    "mendline.tcp.connect.duration": _amount("s", "mean time of the TCP connects since the last round"),
    "mendline.peer.round_trip_time": _amount("s", "mean time of a TCP connect to a peer since the last round"),
    "mendline.tls.certificate.remaining": Metric("d", "gauge", -inf, inf, "days until the certificate expires"),
    # data of a service
    "mendline.data.good": _share("1 when the last check of the data called them good, 0 for corrupt"),
    "mendline.data.check.duration": _amount("s", "time of the last check of the data"),
    "mendline.data.snapshot.age": _amount("s", "time since the newest snapshot of the data was taken"),
    "mendline.data.snapshot.size": _amount("By", "what the files of the newest snapshot hold"),
    "mendline.data.snapshot.failures": _counter("{snapshot}", "snapshots that could not be taken or kept"),
    # the agent itself
    "mendline.collector.duration": _amount("s", "time the collector took, or takes already while it is overdue"),
    "mendline.collector.overdue": _share("1 while the collector is beyond its deadline"),
    "mendline.collector.errors": _counter("{error}", "collections that raised an error"),
    "mendline.agent.rejected": _counter("{value}", "values rejected at the source, by reason"),
    "mendline.agent.resets": _counter("{reset}", "counters that began anew"),
    "mendline.agent.series.dropped": _amount("{series}", "series beyond the limit `host.max_series`"),
    "mendline.agent.records.lost": _counter("{record}", "records that fell off the queues while the log was away"),
    "mendline.agent.records.refused": _counter("{record}", "records the log refused for good"),
    "mendline.agent.records.waiting": _amount("{record}", "records not yet acknowledged by the log"),
    "mendline.agent.append.duration": _amount("s", "time of the last append until it was acknowledged"),
    "mendline.agent.spool.size": _amount("By", "what waits on the disk while the log is away"),
    "mendline.agent.spool.errors": _counter("{error}", "failures of the disk that the spool is on"),
    "mendline.agent.reflexes": _counter("{restart}", "restarts done while the log could not be reached"),
}


def series(metric: str, service: str = "", **attributes: str) -> Series:
    """Return a series of a metric of the list; dots in attribute names are written `__`.

    >>> series("system.cpu.time", cpu__mode="user").label
    'system.cpu.time{cpu.mode=user}'
    """
    known = METRICS[metric]
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Series(service=service, metric=metric, attributes=named, unit=known.unit, kind=known.kind)


def each(metric: str, attribute: str, values: Iterable[str], **others: str) -> list[Series]:
    """Return one series of `metric` for each value of `attribute`."""
    return [series(metric, **others, **{attribute: value}) for value in values]


def bounds(one: Series) -> tuple[float, float]:
    """Return the lowest and highest valid value of a series, of a metric of the list or of any other."""
    known = METRICS.get(one.metric)
    if known:
        return known.low, known.high
    return (0.0, inf) if one.kind == "counter" else (-inf, inf)
