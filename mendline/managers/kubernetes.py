"""Workloads and pods of one namespace, over the official client of Kubernetes.

The client is the extra `mendline[kubernetes]` and takes half a second and some 35 MB to import, so this module is
imported only where a service names a workload.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from mendline.managers.rollouts import Told, selector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from mendline.schemas.settings import ProcessSettings

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
BY_INTENT = "mendline/intent"
"""Annotations of a pod template: what `kubectl rollout restart` writes, and by which command of ours."""

NOT_FOUND, CONFLICT, TOO_MANY, BROKEN = 404, 409, 429, 500
SHORTEST_S = 0.001


class KubernetesError(Exception):
    """Raised when the API server does not answer or refuses; the message says why.

    `status` is that of HTTP, 0 without an answer; `is_passing` says that another try may help.
    """

    def __init__(self, message: str, status: int = 0, *, is_passing: bool = False) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.status = status
        self.is_passing = is_passing


class Cluster:
    """The API server that a kubeconfig names, or else the pod that Mendline runs in; a context manager.

    All calls take at most `timeout_s`, and raise KubernetesError or TimeoutError.
    """

    def __init__(self, kubeconfig: str | None, namespace: str) -> None:
        """Read the kubeconfig anew, as its tokens change. Raises KubernetesError."""
        self._namespace = namespace
        self._api = _client(kubeconfig)

    @classmethod
    def of(cls, settings: ProcessSettings) -> Cluster:
        """Return the one that a service's settings name. Raises KubernetesError."""
        return cls(settings.kubeconfig, settings.namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.rest_client.pool_manager.clear()

    def workload(self, kind: str, name: str, timeout_s: float) -> Told:
        """Return what is known of a deployment, statefulset or daemonset."""
        return self._ask(getattr(self._apps(), f"read_namespaced_{_method(kind)}"), timeout_s, name)

    def pods(self, workload: Told, timeout_s: float) -> list[Told]:
        """Return the pods of a workload."""
        found = self._ask(self._core().list_namespaced_pod, timeout_s, label_selector=selector(workload))
        return list(found["items"])

    def pod(self, name: str, timeout_s: float) -> Told | None:
        """Return what is known of a pod; None when there is none of that name."""
        try:
            return self._ask(self._core().read_namespaced_pod, timeout_s, name)
        except KubernetesError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def roll_out(self, kind: str, name: str, marks: Mapping[str, str], timeout_s: float) -> Told:
        """Exchange all pods of a workload, in the way of its own strategy, by annotations of its template."""
        body = {"spec": {"template": {"metadata": {"annotations": dict(marks)}}}}
        return self._ask(getattr(self._apps(), f"patch_namespaced_{_method(kind)}"), timeout_s, name, body=body)

    def delete_pod(self, name: str, uid: str, timeout_s: float) -> None:
        """Let a pod end within its own grace period, if it still is the one with this `uid`."""
        self._ask(self._core().delete_namespaced_pod, timeout_s, name, body={"preconditions": {"uid": uid}})

    def _apps(self) -> Any:
        from kubernetes.client import AppsV1Api

        return AppsV1Api(self._api)

    def _core(self) -> Any:
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self._api)

    def _ask(self, call: Callable[..., Any], timeout_s: float, *name: str, **more: object) -> Told:
        bound = max(timeout_s, SHORTEST_S)
        try:
            # Plain JSON: the client's models refuse what a newer server leaves out or adds. It passes over a time-out
            # that is one fraction of a second, and takes two: to connect, and to read.
            answer = call(*name, self._namespace, _request_timeout=(bound, bound), _preload_content=False, **more)
            return dict(json.loads(answer.data))
        except Exception as error:
            raise _told(error, self._api.configuration.host) from error


def _method(kind: str) -> str:
    return {"statefulset": "stateful_set", "daemonset": "daemon_set"}.get(kind, kind)


def _client(kubeconfig: str | None) -> Any:
    """Return a client that does not try again by itself. Raises KubernetesError."""
    try:
        from kubernetes import client, config
    except ImportError as error:
        msg = "Kubernetes needs its client: pip install 'mendline[kubernetes]'"
        raise KubernetesError(msg) from error
    settings = client.Configuration()
    try:
        if kubeconfig:
            config.load_kube_config(kubeconfig, client_configuration=settings)
        else:
            config.load_incluster_config(client_configuration=settings)
    except Exception as error:
        where = (
            f"by {kubeconfig}" if kubeconfig else "from here; name a file in process.kubeconfig, or run Mendline in it"
        )
        msg = f"no way to the cluster {where}: {error}"
        raise KubernetesError(msg) from error
    settings.retries = False
    return client.ApiClient(settings)


def _told(error: Exception, host: str) -> Exception:
    """Return an error of the client as one of ours."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError, NewConnectionError
    from urllib3.exceptions import TimeoutError as TooLateError

    if isinstance(error, TooLateError) and not isinstance(error, NewConnectionError):
        return TimeoutError(f"the API server at {host} does not answer in time")
    if isinstance(error, ApiException):
        passes = error.status == TOO_MANY or error.status >= BROKEN
        return KubernetesError(f"Kubernetes refuses: {_message(error)}", error.status, is_passing=passes)
    if isinstance(error, (HTTPError, OSError)):
        return KubernetesError(f"the API server at {host} does not answer: {error}", is_passing=True)
    return KubernetesError(f"what answers at {host} is not Kubernetes: {error}")


def _message(error: Any) -> str:
    try:
        return f"{json.loads(error.body)['message']} ({error.status})"
    except (ValueError, KeyError, TypeError):
        return f"{error.reason} ({error.status})"
