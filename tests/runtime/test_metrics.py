"""Mendline's own metrics."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from mendline.runtime.metrics import Metrics, MetricsEndpoint


def scrape(endpoint: MetricsEndpoint) -> str:
    """Return what Prometheus would read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
def test_counters_and_gauges_are_served_by_stage_and_partition() -> None:
    """What members count stands on the endpoint in Prometheus' format."""
    metrics = Metrics()
    metrics.add("mendline_records_consumed", "windows", "0", 3)
    metrics.add("mendline_records_consumed", "windows", "0", 4)
    metrics.set("mendline_lag_records", "windows", "0", 5)
    endpoint = MetricsEndpoint(metrics, "127.0.0.1:0")
    try:
        text = scrape(endpoint)
    finally:
        endpoint.close()
    assert 'mendline_records_consumed_total{partition="0",stage="windows"} 7.0' in text
    assert 'mendline_lag_records{partition="0",stage="windows"} 5.0' in text


@pytest.mark.slow
def test_what_was_set_aside_is_served_by_source_and_reason() -> None:
    """So that a host whose rounds come late can be named."""
    metrics = Metrics()
    metrics.tally("windows", "0", {"host-1": {"late": 2}})
    metrics.tally("windows", "1", {"host-2": {"ahead": 1}})
    metrics.forget("windows", "1")
    endpoint = MetricsEndpoint(metrics, "127.0.0.1:0")
    try:
        text = scrape(endpoint)
    finally:
        endpoint.close()
    labels = 'partition="0",reason="late",source="host-1",stage="windows"'
    assert f"mendline_rounds_set_aside_total{{{labels}}} 2.0" in text
    assert "host-2" not in text


def test_a_partition_that_went_elsewhere_has_no_gauges_any_more() -> None:
    """Its lag is another member's to tell; what was counted here stays."""
    metrics = Metrics()
    metrics.add("mendline_batches", "windows", "0")
    metrics.set("mendline_lag_records", "windows", "0", 5)
    metrics.forget("windows", "0")
    assert {("mendline_batches", "windows", "0"): 1.0} == metrics.snapshot()


def test_a_port_in_use_is_an_error_when_the_endpoint_is_made() -> None:
    """Nothing is served halfway."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        MetricsEndpoint(Metrics(), f"127.0.0.1:{taken.getsockname()[1]}")
