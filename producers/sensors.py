"""Temperatures and fans, where the host shows them. By psutil, every 10 s: some chips answer slowly."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from mendline.producers.base import NOTHING, Collected, Layout
from mendline.producers.metrics import series
from mendline.schemas.series import Series

EVERY_MS = 10_000

Reading = tuple[str, str, float]


class Sensors:
    """Temperature and fan speed of each sensor; nothing on hosts, such as virtual machines, that have none."""

    name = "sensors"

    def __init__(self) -> None:
        """Begin."""
        self._layout = Layout(_series)
        self._next_ms = 0
        self._last = NOTHING

    def collect(self, now_ms: int) -> Collected:
        """Measure now, or return the last values while it is too early for the next."""
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + EVERY_MS
            readings = [*_read("hw.temperature", "sensors_temperatures"), *_read("hw.fan.speed", "sensors_fans")]
            layout = self._layout.of(tuple((metric, name) for metric, name, _ in readings))
            self._last = Collected(layout, [value for _, _, value in readings])
        return self._last


def _read(metric: str, function: str) -> Iterable[Reading]:
    read = getattr(psutil, function, None)  # psutil has neither on some systems
    for chip, sensors in (read() if read else {}).items():
        for number, sensor in enumerate(sensors):
            yield metric, f"{chip}/{sensor.label or number}", float(sensor.current)


def _series(key: tuple[tuple[str, str], ...]) -> Iterable[Series]:
    for metric, name in key:
        yield series(metric, hw__id=name)
