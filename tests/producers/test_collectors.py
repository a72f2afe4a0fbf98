"""Collectors of the host: what they measure, on this machine and from prepared files."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path

import pytest

from mendline.producers.filesystem import Filesystem
from mendline.producers.host import COLLECTORS, host_collectors
from mendline.producers.load import Load
from mendline.producers.metrics import METRICS, bounds
from mendline.producers.pressure import Pressure
from mendline.producers.tcp import Tcp
from mendline.schemas.settings import HostSettings
from tests.producers.support import by_label, until

TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D4A2 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
10002: 0100007F:D4A2 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
"""
PRESSURE = b"some avg10=12.50 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


@pytest.mark.parametrize("name", COLLECTORS)
def test_every_collector_measures_known_metrics_in_their_range(name: str) -> None:
    """Each value on this machine lies in the range that the list of metrics states, or there is none."""
    collector = COLLECTORS[name](HostSettings())
    collector.collect(0)
    found = collector.collect(60_000)
    assert len(found.series) == len(found.values)
    for series, value in zip(found.series, found.values, strict=True):
        known = METRICS[series.metric]
        assert (known.unit, known.kind) == (series.unit, series.kind)
        low, high = bounds(series)
        assert math.isnan(value) or low <= value <= high, series.label


@pytest.mark.parametrize("name", COLLECTORS)
def test_the_layout_is_one_object_while_it_is_the_same(name: str) -> None:
    """A round's table is only built anew when a layout changes, so an unchanged one must be the same object."""
    collector = COLLECTORS[name](HostSettings())
    assert collector.collect(0).series is collector.collect(1000).series


def test_only_what_is_asked_for_is_collected() -> None:
    """`host.collect` names the collectors, in its order."""
    assert ["load", "cpu"] == [one.name for one in host_collectors(HostSettings(collect=("load", "cpu")))]


def test_cpu_shares_add_up() -> None:
    """The modes of all cores together share all of the time between two rounds."""
    cpu = COLLECTORS["cpu"](HostSettings())
    cpu.collect(0)
    total = "system.cpu.utilization{cpu.mode="
    shares: list[float] = []

    def measured() -> bool:
        found = by_label(cpu.collect(0))
        shares[:] = [value for label, value in found.items() if label.startswith(total)]
        return not any(math.isnan(share) for share in shares)

    until(measured)
    assert pytest.approx(1.0) == sum(shares)


def test_tcp_states_are_counted(tmp_path: Path) -> None:
    """Connections are counted by state, whatever the width of the first column."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_bytes(TCP)
    found = by_label(Tcp(str(tmp_path)).collect(0))
    label = "system.network.connection.count{{network.connection.state={}}}"
    assert [2.0, 1.0, 0.0] == [found[label.format(state)] for state in ("established", "listen", "time_wait")]


def test_pressure_is_read_in_seconds_and_shares(tmp_path: Path) -> None:
    """Totals are microseconds and averages per cent in the file; resources without a file are left out."""
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "io").write_bytes(PRESSURE)
    found = by_label(Pressure(str(tmp_path)).collect(0))
    assert 4 == len(found)
    assert 2.5 == found["mendline.pressure.stall_time{mendline.extent=some,mendline.resource=io}"]
    assert 0.125 == found["mendline.pressure.utilization{mendline.extent=some,mendline.resource=io}"]


def test_load_falls_back_where_there_is_no_proc(tmp_path: Path) -> None:
    """Without /proc the load averages come from the C library, and nothing else is claimed."""
    assert 3 == len(Load(str(tmp_path)).collect(0).series)


def mounts(folder: Path, *lines: str) -> str:
    """Write a list of mounts and return the folder to read it from."""
    (folder / "self").mkdir()
    (folder / "self" / "mounts").write_text("".join(f"{line} rw 0 0\n" for line in lines))
    return str(folder)


def test_a_hung_mount_holds_up_only_itself(tmp_path: Path) -> None:
    """A network mount that never answers has no values and is overdue; the local disk beside it is measured."""
    proc = mounts(tmp_path, "/dev/sda1 / ext4", "server:/data /mnt/data nfs4")
    release = threading.Event()

    def statvfs(path: str) -> os.statvfs_result:
        if path == "/mnt/data":
            release.wait()
        return os.statvfs("/")

    disks = Filesystem(deadline_s=0.05, proc=proc, statvfs=statvfs)
    overdue = "mendline.collector.overdue{mendline.collector=filesystem,system.filesystem.mountpoint=/mnt/data}"
    until(lambda: by_label(disks.collect(0))[overdue] == 1.0)
    found = by_label(disks.collect(0))
    utilization = (
        "system.filesystem.utilization{{system.device={},system.filesystem.mountpoint={},system.filesystem.type={}}}"
    )
    assert found[utilization.format("/dev/sda1", "/", "ext4")] > 0
    assert math.isnan(found[utilization.format("server:/data", "/mnt/data", "nfs4")])
    release.set()
    until(lambda: by_label(disks.collect(0))[overdue] == 0.0)


def test_a_device_is_asked_once_and_pseudo_file_systems_never(tmp_path: Path) -> None:
    """Bind mounts repeat a device, and /proc has no space to run out of."""
    proc = mounts(tmp_path, "/dev/sda1 / ext4", "/dev/sda1 /var/lib/x ext4", "proc /proc proc", "tmp /a\\040b tmpfs")
    asked: list[str] = []

    def statvfs(path: str) -> os.statvfs_result:
        asked.append(path)
        return os.statvfs("/")

    Filesystem(proc=proc, statvfs=statvfs).collect(0)
    assert ["/", "/a b"] == asked
