"""The playbooks that come with Mendline: for a sort of fault what is tried in which order, and when it is left alone.

A policy names one (`playbook: hung`) instead of writing its own `play`. `kind` and `cause` stand in for those of the
policy's `when` if it has none; the rest is up to the policy: whose services, and how much a person has to say in it.
docs/playbooks/ has a page for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PLAYBOOKS: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "dead": {
        "kind": ("dead",),
        "play": (
            {"action": "restart", "attempts": 3, "verify": "10s", "stable": "5s"},
            {"action": "ask"},
        ),
    },
    "hung": {
        "kind": ("hung", "failing"),
        "play": (
            {"action": "restart", "attempts": 2, "verify": "15s", "stable": "5s"},
            {"action": "ask"},
        ),
    },
    "leaking": {
        "kind": ("leaking", "exhaustion"),
        "play": (
            {"action": "restart", "attempts": 1, "timeout": "60s", "verify": "30s", "stable": "30s"},
            {"action": "ask"},
        ),
    },
    "overloaded": {
        "kind": ("overloaded",),
        "play": ({"action": "notify", "attempts": 1, "on_failure": "ask"},),
    },
    "bad-config": {
        "kind": ("dead", "failing", "hung"),
        "cause": "configuration",
        "play": (
            {"action": "rollback_config", "attempts": 1, "verify": "10s", "stable": "5s"},
            {"action": "restart", "attempts": 1, "verify": "10s"},
            {"action": "ask"},
        ),
    },
    "drift": {
        "kind": ("drift",),
        "play": (
            {
                "action": "update_config",
                "parameters": {"version": "expected"},
                "attempts": 1,
                "timeout": "60s",
                "verify": "60s",
            },
            {"action": "ask"},
        ),
    },
    "corrupt-data": {
        "kind": ("corrupt",),
        "play": (
            {"action": "restore_data", "attempts": 1, "timeout": "10m", "verify": "60s", "on_failure": "escalate"},
        ),
    },
    "disk-filling": {
        "kind": ("exhaustion",),
        "series": "system.filesystem.*",
        "play": ({"action": "notify", "attempts": 1, "on_failure": "ask"},),
    },
    "certificate-expiring": {
        "kind": ("exhaustion",),
        "series": "*certificate*",
        "play": ({"action": "notify", "attempts": 1, "on_failure": "ask"},),
    },
    "dependency-down": {
        "cause": "dependency",
        "play": ({"action": "notify", "attempts": 1, "on_failure": "ask"},),
    },
})  # fmt: skip
