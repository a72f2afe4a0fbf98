"""What the API server of Kubernetes tells of a workload and its pods, judged.

How far a roll-out is follows `kubectl rollout status`. What is judged is JSON as the API has it:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

Told = Mapping[str, Any]

DEPLOYMENT, STATEFUL_SET, DAEMON_SET, POD = "deployment", "statefulset", "daemonset", "pod"
GAVE_UP = "ProgressDeadlineExceeded"


class Counts(NamedTuple):
    """How many pods of a workload are wanted, there at all, of the newest template, and available."""

    wanted: int
    there: int
    updated: int
    available: int


def counts(kind: str, workload: Told) -> Counts:
    """Return the numbers under which each kind has them."""
    status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
    if kind == DAEMON_SET:
        names = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        return Counts(*(status.get(name, 0) for name in names))
    available = status.get("readyReplicas" if kind == STATEFUL_SET else "availableReplicas", 0)
    return Counts(wanted, status.get("replicas", 0), status.get("updatedReplicas", 0), available)


def refusal(kind: str, workload: Told) -> str:
    """Return why a roll-out of the workload makes no sense; empty when it does."""
    name, spec = workload["metadata"]["name"], workload["spec"]
    if spec.get("paused"):
        return f"{kind} {name} was paused on purpose: let it go on by `kubectl rollout resume {kind}/{name}`"
    if kind != DAEMON_SET and not counts(kind, workload).wanted:
        return f"{kind} {name} was scaled to 0 on purpose: start it by `kubectl scale {kind}/{name} --replicas=…`"
    if spec.get("updateStrategy", {}).get("type") == "OnDelete":
        return f"{kind} {name} has the update strategy OnDelete: name its pods, one service each, as pod/NAME"
    if _gave_up(workload):
        return f"the last roll-out of {name} did not come up: take it back by `kubectl rollout undo {kind}/{name}`"
    return ""


def rolling(kind: str, workload: Told) -> str:
    """Return how far pods of the newest template are from being all that there are; empty when they are."""
    if workload["metadata"]["generation"] > workload.get("status", {}).get("observedGeneration", 0):
        return "Kubernetes has not begun with it"
    number = counts(kind, workload)
    wanted = number.wanted - (_partition(workload) if kind == STATEFUL_SET else 0)
    if number.updated < wanted:
        return f"{number.updated} of {wanted} pods are new"
    if kind == DEPLOYMENT and number.there > number.updated:
        return f"{number.there - number.updated} old pods are there still"
    return ""


def unfinished(kind: str, workload: Told) -> str:
    """Return what a roll-out waits for; empty when all pods are new and available."""
    number = counts(kind, workload)
    if words := rolling(kind, workload):
        return words
    if number.available < number.wanted:
        return f"{number.available} of {number.wanted} pods are available"
    return ""


def failed(workload: Told) -> bool:
    """Say whether Kubernetes has given up waiting for the roll-out of the newest template."""
    is_seen = workload["metadata"]["generation"] <= workload.get("status", {}).get("observedGeneration", 0)
    return is_seen and _gave_up(workload)


def at_work(pods: Iterable[Told]) -> str:
    """Return what Kubernetes itself is doing about one of the pods, its own healing; empty when nothing."""
    return next(filter(None, map(_mending, pods)), "")


def is_ready(pod: Told) -> bool:
    """Say whether a pod passes its readiness probes, if it has any, and is not about to end."""
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def started_after(pods: Iterable[Told], time_ms: int) -> bool:
    """Say whether all containers of the pods were started after `time_ms`, by the cluster's clock."""
    began = [one.get("state", {}).get("running", {}).get("startedAt") for pod in pods for one in _containers(pod)]
    return bool(began) and all(text and datetime.fromisoformat(text).timestamp() * 1000 > time_ms for text in began)


def selector(workload: Told) -> str:
    """Return the labels of the workload's pods, as a query has them."""
    asked = workload["spec"]["selector"]
    labels = [f"{key}={value}" for key, value in (asked.get("matchLabels") or {}).items()]
    return ",".join([*labels, *map(_requirement, asked.get("matchExpressions") or ())])


def _requirement(one: Told) -> str:
    key, values = one["key"], ",".join(one.get("values") or ())
    words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": f"{key}"}
    return words.get(one["operator"], f"!{key}")


def _mending(pod: Told) -> str:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name} is about to end"
    for one in _containers(pod):
        state = one.get("state", {})
        about = state.get("waiting") or state.get("terminated")
        if about is not None:
            return f"pod {name} is being started: {about.get('reason', 'it ended')}"
    return f"pod {name} is being scheduled" if status.get("phase") == "Pending" else ""


def _containers(pod: Told) -> Iterable[Told]:
    return pod.get("status", {}).get("containerStatuses") or ()


def _gave_up(workload: Told) -> bool:
    conditions = workload.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Progressing" and one.get("reason") == GAVE_UP for one in conditions)


def _partition(workload: Told) -> int:
    """Return how many pods of a stateful set are kept from the newest template."""
    return int((workload["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}).get("partition", 0))
