"""Virtual time."""

from __future__ import annotations

from tests.simulation.virtual import Fibre, Time


def test_a_sleep_takes_time_however_short_it_is() -> None:
    """So who sleeps until it is later, as a pause that lacks the rounding error of a sum, comes to an end."""
    time = Time()
    until = time.monotonic() + 1e-13

    def wait() -> None:
        while time.monotonic() < until:
            time.nap(until - time.monotonic())

    fibre = Fibre(time, wait)
    fibre.resume()
    time.run(1)
    assert fibre.done
