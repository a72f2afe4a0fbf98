"""An API server of Kubernetes with one namespace, and what its controllers do between two looks: one pod at a time.

It has what the restart of workloads asks for, as a real server has it: paths, bearer tokens, RBAC by a role's rules,
merge patches, generations, conditions, preconditions, and errors as `Status`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE, TOKEN = "shop", "hunter2"
LONG_AGO, NOW = "2026-01-01T00:00:00Z", "2026-11-27T04:00:00Z"
GROUPS = {"deployments": "apps", "statefulsets": "apps", "daemonsets": "apps", "pods": ""}
VERBS = {"GET": "get", "PATCH": "patch", "DELETE": "delete"}
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 415: "UnsupportedMediaType"}

Told = dict[str, Any]


class RefusedError(Exception):
    """Raised for a call that is answered with a `Status`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.status: Told = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": REASONS.get(code, "InternalError"), "message": message,
        }  # fmt: skip


class FakeKubernetes(ThreadingHTTPServer):
    """Holds workloads and pods. `asked` has the calls; `rules` are those of a role, None: all is allowed.

    `crash` lets new pods crash; `gives_up` lets the controller give a roll-out up that does not come up; what `breaks`
    names as VERB RESOURCE is answered with that status, 0: not at all.
    """

    daemon_threads = True

    def __init__(self, rules: Sequence[Told] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rules = rules
        self.workloads: dict[tuple[str, str], Told] = {}
        self.pods: dict[str, Told] = {}
        self.asked: list[str] = []
        self.breaks: dict[str, int] = {}
        self.crash = self.gives_up = False
        self.closing = threading.Event()
        self._coming: dict[str, list[Told | None]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()

    def add(self, plural: str, name: str = "web", replicas: int = 2, **spec: object) -> Told:
        """Run a workload whose pods are all well, for long."""
        template = {"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": "Always"}}
        wanted: Told = {} if plural == "daemonsets" else {"replicas": replicas}
        made: Told = {
            "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": template} | wanted | spec,
            "status": {"observedGeneration": 1, "conditions": [{"type": "Progressing", "status": "True"}]},
        }
        self.workloads[plural, name] = made
        for number in range(replicas):
            self.add_pod(f"{name}-{number}", app=name)
        self._count(plural, made)
        return made

    def add_pod(self, name: str, app: str = "web", began: str = LONG_AGO, revision: int = 1) -> Told:
        """Run a pod that is ready."""
        owner = {"kind": "ReplicaSet", "name": app, "controller": True}
        state = {"state": {"running": {"startedAt": began}}, "ready": True}
        pod: Told = {
            "metadata": {
                "name": name, "uid": f"uid-{next(self._numbers)}", "ownerReferences": [owner],
                "labels": {"app": app, "pod-template-generation": str(revision)},
            },
            "spec": {"restartPolicy": "Always"},
            "status": {
                "phase": "Running", "containerStatuses": [state], "conditions": [{"type": "Ready", "status": "True"}]
            },
        }  # fmt: skip
        self.pods[name] = pod
        return pod

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: bytes, headers: Any) -> object:
        """Return what the API says. Raises RefusedError."""
        with self._lock:
            resource, name = _parts(path)
            verb = VERBS[method] if name else "list"
            self.asked.append(f"{verb} {resource} {name}".strip())
            self._admit(verb, resource, name, headers)
            if resource == "pods":
                return self._pod(verb, name, query, body)
            return self._workload(verb, resource, name, body, headers)

    def _admit(self, verb: str, resource: str, name: str, headers: Any) -> None:
        if headers["Authorization"] != f"Bearer {TOKEN}":
            raise RefusedError(401, "Unauthorized")
        broken = self.breaks.get(f"{verb} {resource}")
        if broken == 0:
            self.closing.wait()
        if broken:
            raise RefusedError(broken, "etcdserver: request timed out")
        if self.rules is not None and not any(_permits(rule, verb, resource, name) for rule in self.rules):
            group = GROUPS[resource] and f".{GROUPS[resource]}"
            who = f'User "system:serviceaccount:{NAMESPACE}:mendline" cannot {verb} resource "{resource}"'
            message = f'{resource}{group} "{name}" is forbidden: {who} in the namespace "{NAMESPACE}"'
            raise RefusedError(403, message)

    def _workload(self, verb: str, plural: str, name: str, body: bytes, headers: Any) -> Told:
        one = self.workloads.get((plural, name))
        if one is None:
            raise RefusedError(404, f'{plural}.apps "{name}" not found')
        if verb == "patch":
            if headers["Content-Type"] not in PATCHES:
                raise RefusedError(415, "the body of the request was in an unknown format")
            before = deepcopy(one["spec"])
            _merge(one, json.loads(body))
            one["metadata"]["generation"] += before != one["spec"]
            return deepcopy(one)
        shown = deepcopy(one)
        self._control(plural, one)
        return shown

    def _control(self, plural: str, one: Told) -> None:
        """Do what a controller does between two looks: see a new template, or exchange one pod."""
        newest = one["metadata"]["generation"]
        old = [pod for pod in self._pods_of(one) if pod["metadata"]["labels"]["pod-template-generation"] != str(newest)]
        if one["status"]["observedGeneration"] < newest:
            one["status"]["observedGeneration"] = newest
        elif old:
            name = old[0]["metadata"]["name"]
            pod = self.add_pod(name, one["metadata"]["name"], NOW, newest)
            if self.crash:
                crashes(pod)
        elif self.gives_up and newest > 1:
            one["status"]["conditions"][0]["reason"] = "ProgressDeadlineExceeded"
        self._count(plural, one)

    def _count(self, plural: str, one: Told) -> None:
        pods = self._pods_of(one)
        newest = str(one["status"]["observedGeneration"])
        updated = sum(pod["metadata"]["labels"]["pod-template-generation"] == newest for pod in pods)
        ready = sum(pod["status"].get("conditions", [{}])[0].get("status") == "True" for pod in pods)
        words = {
            "deployments": ("replicas", "updatedReplicas", "availableReplicas"),
            "statefulsets": ("replicas", "updatedReplicas", "readyReplicas"),
            "daemonsets": ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
        }
        # A real server leaves out what is 0.
        numbers = zip(words[plural], (len(pods), updated, ready), strict=True)
        for word, number in numbers:
            one["status"].pop(word, None)
            if number:
                one["status"][word] = number

    def _pods_of(self, one: Told) -> list[Told]:
        asked = one["spec"]["selector"]["matchLabels"]["app"]
        return [pod for pod in self.pods.values() if pod["metadata"]["labels"]["app"] == asked]

    def _pod(self, verb: str, name: str, query: Mapping[str, list[str]], body: bytes) -> object:
        if verb == "list":
            labels = dict(part.split("=") for part in query["labelSelector"][0].split(","))
            return {"items": [pod for pod in self.pods.values() if labels.items() <= pod["metadata"]["labels"].items()]}
        if self._coming.get(name):
            coming = self._coming[name].pop(0)
            self.pods.pop(name, None)
            if coming:
                self.pods[name] = coming
        if name not in self.pods:
            raise RefusedError(404, f'pods "{name}" not found')
        if verb == "delete":
            self._delete(name, json.loads(body or b"{}"))
        return self.pods[name]

    def _delete(self, name: str, options: Told) -> None:
        """Let the pod end, be away, come as another, and be ready: one at each look."""
        pod = self.pods[name]
        uid = pod["metadata"]["uid"]
        if options.get("preconditions", {}).get("uid", uid) != uid:
            raise RefusedError(409, f"Precondition failed: UID in object meta: {uid}")
        pod["metadata"]["deletionTimestamp"] = NOW
        ready = self.add_pod(name, began=NOW)
        unready = deepcopy(ready)
        unready["status"]["conditions"][0]["status"] = "False"
        self.pods[name] = pod
        self._coming[name] = [pod, None, unready, ready]

    def kubeconfig(self, folder: Path, token: str = TOKEN) -> str:
        """Write a kubeconfig, and return its path."""
        server = f"http://127.0.0.1:{self.server_address[1]}"
        told = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }  # fmt: skip
        path = folder / "kubeconfig"
        path.write_text(json.dumps(told))
        return str(path)


def crashes(pod: Told) -> None:
    """Let a pod wait for its next start, as one does that ends again and again."""
    pod["status"]["containerStatuses"][0] = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False}
    pod["status"]["conditions"][0]["status"] = "False"


def _parts(path: str) -> tuple[str, str]:
    """Return resource and name of a path below the namespace; a name is empty for a list."""
    parts = path.strip("/").split("/")
    beyond = parts[parts.index("namespaces") + 1 :]
    group = parts[1] if parts[0] == "apis" else ""
    known = beyond[0] == NAMESPACE and GROUPS.get(beyond[1]) == group
    if not known:
        raise RefusedError(404, "the server could not find the requested resource")
    return beyond[1], beyond[2] if len(beyond) > 2 else ""


def _permits(rule: Told, verb: str, resource: str, name: str) -> bool:
    names = rule.get("resourceNames")
    fits = GROUPS[resource] in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
    return fits and (names is None or name in names)


def _merge(into: Told, patch: Told) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


class _Handler(BaseHTTPRequestHandler):
    server: FakeKubernetes

    def do_GET(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        code = 200
        told: object = None
        try:
            told = self.server.answer(self.command, url.path, parse_qs(url.query), body, self.headers)
        except RefusedError as error:
            code, told = int(error.status["code"]), error.status
        text = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def fake_kubernetes(rules: Sequence[Told] | None = None) -> Iterator[FakeKubernetes]:
    """Serve until the block ends."""
    with FakeKubernetes(rules) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
