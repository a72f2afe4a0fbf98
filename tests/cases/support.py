"""Files of tests made up on the spot, and what comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mendline.cases import Result, load_cases, run_cases

LATENCY = "shop http.latency"
CONFIG: dict[str, Any] = {
    "log": "memory:",
    "services": {"shop": {"process": {"command": ["python3", "app.py"]}, "allow": ["restart"]}},
    "windows": {"pane": "10s", "widths": ["10s"]},
    "detectors": [
        {
            "name": "slow",
            "use": "threshold",
            "match": {"metric": "http.latency"},
            "open": {"above": 2, "for": "10s"},
            "clear": {"below": 1},
            "severity": "critical",
        }
    ],
    "policies": [{"name": "mend", "mode": "auto", "play": [{"action": "restart", "attempts": 2}]}],
}


def write(folder: Path, *tests: dict[str, Any], **config: Any) -> Path:
    """Write a file of tests beside its configuration, and return it."""
    (folder / "mendline.yaml").write_text(yaml.safe_dump(CONFIG | config), encoding="utf-8")
    file = folder / "tests.yaml"
    named = [{"name": f"test {number}", **one} for number, one in enumerate(tests)]
    file.write_text(yaml.safe_dump({"interval": "10s", "tests": named}, sort_keys=False), encoding="utf-8")
    return file


def slow(values: str, **more: Any) -> dict[str, Any]:
    """Return a test in which the shop has these latencies."""
    return {"input_series": [{"series": LATENCY, "values": values}], **more}


def results(folder: Path, *tests: dict[str, Any], **config: Any) -> list[Result]:
    """Return how the tests went."""
    return run_cases(load_cases(write(folder, *tests, **config)))


def differences(folder: Path, test: dict[str, Any], **config: Any) -> list[tuple[str, list[str]]]:
    """Return how a test failed: the kind of each difference, and the keys that differ."""
    return [(one.kind, one.differing) for one in results(folder, test, **config)[0].differences]
