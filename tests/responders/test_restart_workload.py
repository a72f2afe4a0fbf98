"""Workloads and pods of Kubernetes: the real client against a server that answers as the real one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from mendline.managers import rollouts
from mendline.responders.action import ActionContext, DeferredError, OvertakenError, PermanentError, TemporaryError
from mendline.responders.restart_workload import RestartWorkload
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.support.fake_kubernetes import LONG_AGO, NAMESPACE, NOW, FakeKubernetes, crashes, fake_kubernetes

PAGE = Path(__file__).parents[2] / "docs/recovery.md"
SINCE = int(datetime.fromisoformat(NOW).timestamp() * 1000) - 60_000

Run = Callable[..., str]


def rules() -> list[dict[str, object]]:
    """Return the rules of the role that the page on recovery gives."""
    blocks = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    role = next(block.partition("```")[0] for block in blocks if "kind: Role\n" in block)
    return list(yaml.safe_load(role)["rules"])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr("mendline.responders.restart_workload.LOOK_AGAIN_S", 0.001)


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    """Serve a cluster in which Mendline may do what the page on recovery lets it."""
    with fake_kubernetes(rules()) as server:
        yield server


@pytest.fixture
def run(cluster: FakeKubernetes, tmp_path: Path) -> Run:
    """Return what restarts a workload of the cluster."""

    def restart(
        workload: str = "deployment/web", timeout_s: float = 20.0, evidence: int | None = None, **more: object
    ) -> str:
        given = {"workload": workload, "namespace": NAMESPACE, "kubeconfig": cluster.kubeconfig(tmp_path)} | more
        settings = ServiceSettings(process=ProcessSettings.model_validate(given))
        one = ActionContext("intent-1", "host-1", "web", settings, timeout_s, evidence_time=evidence)
        return RestartWorkload().run(one)

    return restart


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
def test_all_pods_are_exchanged(cluster: FakeKubernetes, run: Run, kind: str) -> None:
    """It has succeeded when the last one is new and available, and not before."""
    cluster.add(f"{kind}s")
    before = {pod["metadata"]["uid"] for pod in cluster.pods.values()}
    assert f"{kind} web: 2 new pods are available" == run(f"{kind}/web")
    assert not before & {pod["metadata"]["uid"] for pod in cluster.pods.values()}
    assert f"patch {kind}s web" in cluster.asked


def test_it_is_marked_as_kubectl_would(cluster: FakeKubernetes, run: Run) -> None:
    """A person sees when, and by which command of ours; nothing else of the template is another."""
    made = cluster.add("deployments")
    run()
    marks = made["spec"]["template"]["metadata"]["annotations"]
    assert datetime.fromisoformat(marks.pop("kubectl.kubernetes.io/restartedAt")).tzinfo
    assert {"mendline/intent": "intent-1"} == marks
    assert {"restartPolicy": "Always"} == made["spec"]["template"]["spec"]


def test_the_same_intent_rolls_out_once(cluster: FakeKubernetes, run: Run) -> None:
    """A second run only waits."""
    cluster.add("deployments")
    run()
    assert "deployment web: 2 new pods are available" == run()
    assert 1 == cluster.asked.count("patch deployments web")


def test_a_pod_is_exchanged(cluster: FakeKubernetes, run: Run) -> None:
    """By its controller: it has succeeded when one of the same name is ready, and is another."""
    before = cluster.add_pod("web-0")["metadata"]["uid"]
    assert "pod web-0: a new one is ready" == run("pod/web-0")
    assert before != cluster.pods["web-0"]["metadata"]["uid"]


def test_a_pod_without_a_controller_is_left_alone(cluster: FakeKubernetes, run: Run) -> None:
    """Its deletion would be its end."""
    cluster.add_pod("web-0")["metadata"]["ownerReferences"] = []
    with pytest.raises(PermanentError, match="nobody would start it again"):
        run("pod/web-0")


def test_a_pod_that_somebody_exchanged_meanwhile_is_left_alone(cluster: FakeKubernetes, run: Run) -> None:
    """The one that was looked at is the one that is deleted, or none."""
    cluster.add_pod("web-0")
    cluster.breaks["delete pods"] = 409
    with pytest.raises(OvertakenError, match="somebody changed web-0"):
        run("pod/web-0")


def test_kubernetes_comes_first(cluster: FakeKubernetes, run: Run) -> None:
    """While it restarts, ends or schedules one of the pods, or is rolling out, this waits for it."""
    made = cluster.add("deployments")
    pod = cluster.pods["web-1"]
    for change, says in (
        (lambda: crashes(pod), "pod web-1 is being started: CrashLoopBackOff"),
        (lambda: pod["metadata"].update(deletionTimestamp=NOW), "pod web-1 is about to end"),
        (lambda: cluster.pods.update({"web-1": cluster.add_pod("web-1") | {"status": {"phase": "Pending"}}}),
         "pod web-1 is being scheduled"),
        (lambda: made["metadata"].update(generation=2), "under way: Kubernetes has not begun with it"),
        (lambda: made["status"].update(updatedReplicas=1, observedGeneration=2), "under way: 1 of 2 pods are new"),
        (lambda: made["status"].update(updatedReplicas=2, replicas=3), "under way: 1 old pods are there still"),
    ):  # fmt: skip
        change()
        shown = dict(made["status"])
        with pytest.raises(DeferredError, match=says):
            run()
        made["status"].update(shown)  # the controller went on as it was looked at
    assert not any(call.startswith("patch") for call in cluster.asked)


def test_kubernetes_comes_first_with_a_single_pod_too(cluster: FakeKubernetes, run: Run) -> None:
    """One that waits for its next start, and one that is not there between two."""
    crashes(cluster.add_pod("web-0"))
    with pytest.raises(DeferredError, match="pod web-0 is being started: CrashLoopBackOff"):
        run("pod/web-0")
    cluster.pods.clear()
    with pytest.raises(DeferredError, match="there is no pod web-0 now"):
        run("pod/web-0")
    assert "delete pods web-0" not in cluster.asked


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("deployment", {"paused": True}, "paused on purpose: let it go on by `kubectl rollout resume deployment/web`"),
        ("statefulset", {"replicas": 0}, "scaled to 0 on purpose"),
        ("daemonset", {"updateStrategy": {"type": "OnDelete"}}, "name its pods"),
    ],
)
def test_what_somebody_wanted_so_stays_so(
    cluster: FakeKubernetes, run: Run, kind: str, spec: dict[str, object], says: str
) -> None:
    """With what to do about it."""
    cluster.add(f"{kind}s")["spec"].update(spec)
    with pytest.raises(PermanentError, match=says):
        run(f"{kind}/web")


def test_what_is_younger_than_the_evidence_is_left_alone(cluster: FakeKubernetes, run: Run) -> None:
    """Kubernetes had restarted all of it; one container that is older is enough to go on."""
    cluster.add("deployments")
    cluster.add_pod("web-0", began=NOW)
    cluster.add_pod("web-1", began=NOW)
    with pytest.raises(OvertakenError, match="started after the evidence"):
        run(evidence=SINCE)
    cluster.add_pod("web-1", began=LONG_AGO)
    assert "available" in run(evidence=SINCE)


@pytest.mark.slow
def test_pods_that_crash_are_told_when_time_is_over(cluster: FakeKubernetes, run: Run) -> None:
    """It rolls on, and somebody must look at it."""
    cluster.add("deployments")
    cluster.crash = True
    with pytest.raises(TimeoutError, match=r"0 of 2 pods are available; pod web-\d is being started: CrashLoopBackOff"):
        run(timeout_s=1.0)


def test_a_roll_out_that_kubernetes_gives_up_has_failed(cluster: FakeKubernetes, run: Run) -> None:
    """And another would too: until somebody takes it back, none is made."""
    cluster.add("deployments")
    cluster.crash = cluster.gives_up = True
    with pytest.raises(PermanentError, match="deployment web does not come up: pod web-0 is being started: CrashLoop"):
        run()
    cluster.workloads["deployments", "web"]["spec"]["template"]["metadata"]["annotations"].clear()
    with pytest.raises(PermanentError, match="take it back by `kubectl rollout undo deployment/web`"):
        run()


def test_a_partition_of_a_stateful_set_is_kept(cluster: FakeKubernetes) -> None:
    """Those below it keep the old template, and nothing waits for them."""
    made = cluster.add("statefulsets", updateStrategy={"rollingUpdate": {"partition": 1}})
    made["status"].update(updatedReplicas=1)
    assert not rollouts.unfinished("statefulset", made)


def test_pods_are_looked_for_by_all_that_a_selector_may_have() -> None:
    """As `kubectl get --selector` has it."""
    asked = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "NotIn", "values": ["yes"]},
        {"key": "app", "operator": "Exists"},
        {"key": "test", "operator": "DoesNotExist"},
    ]
    found = {"spec": {"selector": {"matchLabels": {"app": "web"}, "matchExpressions": asked}}}
    assert "app=web,tier in (a,b),old notin (yes),app,!test" == rollouts.selector(found)


def test_what_the_role_does_not_allow_is_named(cluster: FakeKubernetes, run: Run) -> None:
    """In Kubernetes' own words: another workload than that of the page is not in its role."""
    cluster.add("deployments", "other")
    with pytest.raises(PermanentError, match=r'"other" is forbidden: .* cannot get resource "deployments" .*\(403\)'):
        run("deployment/other")


def test_what_is_not_there_is_named(cluster: FakeKubernetes, run: Run) -> None:
    """In Kubernetes' own words."""
    with pytest.raises(PermanentError, match=r'deployments\.apps "web" not found \(404\)'):
        run()


def test_a_server_that_breaks_is_tried_again(cluster: FakeKubernetes, run: Run) -> None:
    """Its errors pass; while a roll-out is waited for they are waited through."""
    cluster.add("deployments")
    for status in (500, 503, 429):
        cluster.breaks["get deployments"] = status
        with pytest.raises(TemporaryError, match=f"etcdserver: request timed out \\({status}\\)"):
            run()


def test_a_deletion_that_broke_is_not_tried_again(cluster: FakeKubernetes, run: Run) -> None:
    """It may have been done all the same."""
    cluster.add_pod("web-0")
    cluster.breaks["delete pods"] = 500
    with pytest.raises(PermanentError, match="timed out"):
        run("pod/web-0")


def test_a_server_that_hangs_takes_no_longer_than_the_action_may(cluster: FakeKubernetes, run: Run) -> None:
    """Whatever the client would do by itself."""
    cluster.add("deployments")
    cluster.breaks["list pods"] = 0
    with pytest.raises(TimeoutError, match="does not answer in time"):
        run(timeout_s=0.5)


def test_a_way_to_the_cluster_that_is_wrong_is_named(cluster: FakeKubernetes, run: Run, tmp_path: Path) -> None:
    """A kubeconfig that is missing, none at all outside of a cluster, a token that is not known."""
    with pytest.raises(PermanentError, match=r"no way to the cluster by .*nowhere"):
        run(kubeconfig=str(tmp_path / "nowhere"))
    with pytest.raises(PermanentError, match=r"from here; name a file in process\.kubeconfig"):
        run(kubeconfig=None)
    (tmp_path / "other").mkdir()
    with pytest.raises(PermanentError, match="Unauthorized"):
        run(kubeconfig=cluster.kubeconfig(tmp_path / "other", token="of yesterday"))


def test_a_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    """The network may come back."""
    with fake_kubernetes() as server:
        kubeconfig = server.kubeconfig(tmp_path)
    process = ProcessSettings(workload="deployment/web", kubeconfig=kubeconfig)
    with pytest.raises(TemporaryError, match=r"does not answer: .*refused"):
        RestartWorkload().run(ActionContext("i", "host-1", "web", ServiceSettings(process=process), 10.0))


@pytest.mark.parametrize("name", ["deployment/../secrets/x", "deployment/a b", "job/web", "deployment/", "web"])
def test_a_workload_is_a_kind_and_a_name(name: str) -> None:
    """Nothing else reaches a path."""
    with pytest.raises(ValueError, match="workload"):
        ProcessSettings(workload=name)
