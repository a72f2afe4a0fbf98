"""What the benchmarks share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

from mendline.logs import open_log
from mendline.logs.base import Log


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie, by nearest rank.

    >>> percentile([3.0, 1.0, 2.0], 50)
    2.0
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def report(result: Mapping[str, object], as_json: bool) -> None:
    """Print the result as one JSON object, the last line; for people, a table before it."""
    if not as_json:
        for name, value in result.items():
            print(f"{name:>24}  {value}")
    print(json.dumps(result))


def log_through(url: str, client: str) -> Log:
    """Return the log behind the URL; one on Kafka through this client."""
    return open_log(url, client=client) if url.startswith("kafka:") else open_log(url)


def add_client(parser: argparse.ArgumentParser) -> None:
    """Let the caller choose Kafka's client."""
    parser.add_argument("--client", default="kafka-python", help="of a Kafka log: kafka-python or librdkafka")
