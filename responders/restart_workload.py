"""Restart a workload of Kubernetes, unless Kubernetes is mending it itself or somebody stopped it on purpose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mendline.managers import rollouts
from mendline.responders.action import ActionContext, DeferredError, OvertakenError, PermanentError, TemporaryError
from mendline.responders.snapshots.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mendline.managers.kubernetes import Cluster
    from mendline.managers.rollouts import Told

LOOK_AGAIN_S = 0.5
ANSWER_S = 5.0
WAIT_SHARE = 0.9
"""Of the time that is left: the rest is for asking why it was not enough."""


class RestartWorkload:
    """Roll out a deployment, stateful set or daemon set anew, or delete a pod that has a controller.

    Each old pod gets its own grace period and is killed after it, by Kubernetes. Succeeds once all pods are new and
    available. Kubernetes comes first: while one of the pods ends, is being scheduled or waits in CrashLoopBackOff, or a
    roll-out is under way, this action defers to it. A second run for the same intent only waits for the first one's
    roll-out.
    """

    name = "restart"

    def run(self, context: ActionContext) -> str:
        """Return what is new.

        Raises PermanentError when it is not known, paused, scaled to 0, or does not come up; DeferredError while
        Kubernetes is at work; TemporaryError when it does not answer; OvertakenError when all is newer than the
        evidence; TimeoutError.
        """
        from mendline.managers.kubernetes import CONFLICT, Cluster, KubernetesError  # only where there is one

        settings = context.settings.process
        if settings is None or not settings.workload:
            msg = f"services.{context.service}.process names no workload"
            raise PermanentError(msg)
        kind, _, name = settings.workload.partition("/")
        deadline = Deadline.after(context.timeout_s)
        try:
            with Cluster.of(settings) as cluster:
                if kind == rollouts.POD:
                    return _replaced(cluster, name, context, deadline)
                return _rolled_out(cluster, kind, name, context, deadline)
        except KubernetesError as error:
            if error.status == CONFLICT:
                msg = f"somebody changed {name} at the same moment: {error}"
                raise OvertakenError(msg) from error
            if error.is_passing:
                raise TemporaryError(str(error)) from error
            raise PermanentError(str(error)) from error


def _rolled_out(cluster: Cluster, kind: str, name: str, context: ActionContext, deadline: Deadline) -> str:
    from mendline.managers.kubernetes import BY_INTENT, RESTARTED_AT

    found = cluster.workload(kind, name, deadline.left)
    marks = found["spec"]["template"]["metadata"].get("annotations") or {}
    if marks.get(BY_INTENT) != context.intent:
        _check(kind, found, cluster.pods(found, deadline.left), context)
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        cluster.roll_out(kind, name, {RESTARTED_AT: now, BY_INTENT: context.intent}, deadline.left)

    def look() -> str:
        found = cluster.workload(kind, name, min(ANSWER_S, deadline.left))
        if rollouts.failed(found):
            msg = f"{kind} {name} does not come up: {_why(cluster, found, deadline)}"
            raise PermanentError(msg)
        return rollouts.unfinished(kind, found)

    _wait(f"{kind} {name}", look, lambda: _why(cluster, found, deadline), deadline)
    return f"{kind} {name}: {rollouts.counts(kind, found).wanted} new pods are available"


def _check(kind: str, found: Told, pods: Iterable[Told], context: ActionContext) -> None:
    """Raise PermanentError, DeferredError or OvertakenError when the workload is not to be restarted now."""
    if reason := rollouts.refusal(kind, found):
        raise PermanentError(reason)
    if under_way := rollouts.rolling(kind, found):
        msg = f"a roll-out of {found['metadata']['name']} is under way: {under_way}"
        raise DeferredError(msg)
    _check_pods(pods, context)


def _check_pods(pods: Iterable[Told], context: ActionContext) -> None:
    if healing := rollouts.at_work(pods):
        msg = f"Kubernetes is at work itself: {healing}"
        raise DeferredError(msg)
    if context.evidence_time is not None and rollouts.started_after(pods, context.evidence_time):
        msg = "all its containers were started after the evidence"
        raise OvertakenError(msg)


def _replaced(cluster: Cluster, name: str, context: ActionContext, deadline: Deadline) -> str:
    from mendline.managers.kubernetes import KubernetesError

    before = cluster.pod(name, deadline.left)
    if before is None:
        msg = f"there is no pod {name} now: Kubernetes may be about to start it"
        raise DeferredError(msg)
    if not any(owner.get("controller") for owner in before["metadata"].get("ownerReferences") or ()):
        msg = f"pod {name} has no controller: nobody would start it again"
        raise PermanentError(msg)
    _check_pods([before], context)
    uid = before["metadata"]["uid"]
    try:
        cluster.delete_pod(name, uid, deadline.left)
    except KubernetesError as error:  # never tried again: it may have been deleted all the same
        error.is_passing = False
        raise

    def look() -> str:
        after = cluster.pod(name, min(ANSWER_S, deadline.left))
        is_new = after is not None and after["metadata"]["uid"] != uid
        return "" if is_new and after and rollouts.is_ready(after) else "the new pod is not ready"

    _wait(f"pod {name}", look, str, deadline)
    return f"pod {name}: a new one is ready"


def _wait(what: str, look: Callable[[], str], why: Callable[[], str], deadline: Deadline) -> None:
    """Return once `look` finds nothing more to wait for. Raises TimeoutError, and what `look` raises for good."""
    from mendline.managers.kubernetes import KubernetesError

    left, until = "Kubernetes did not answer", deadline.sooner(WAIT_SHARE * deadline.left)
    while until.left:
        try:
            left = look()
        except TimeoutError:
            continue
        except KubernetesError as error:
            if not error.is_passing:
                raise
            left = str(error)
        if not left:
            return
        until.stop.wait(min(LOOK_AGAIN_S, until.left))
    msg = f"{what} is not there in time, and goes on: {'; '.join(filter(None, (left, why())))}"
    raise TimeoutError(msg)


def _why(cluster: Cluster, workload: Told, deadline: Deadline) -> str:
    """Return what keeps its pods from being available, as far as somebody says so soon."""
    from mendline.managers.kubernetes import KubernetesError

    try:
        return rollouts.at_work(cluster.pods(workload, min(ANSWER_S, deadline.left)))
    except (KubernetesError, TimeoutError):
        return ""
