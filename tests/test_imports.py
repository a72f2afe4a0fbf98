"""What is loaded by importing: the start of the command line and the memory of the agent depend on it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("module", ["mendline", "mendline.agent.agent", "mendline.producers"])
def test_the_agent_loads_nothing_heavy(module: str) -> None:
    """Neither numpy, nor models built on it, which would double the agent's memory, nor the Kafka client."""
    heavy = {"numpy", "kafka", "rich", "requests", "sklearn", "river", "pyod"}
    code = f"import {module}, sys; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == ran.stdout.strip()
