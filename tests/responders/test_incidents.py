"""Faults that share a cause are one incident, the same for every reader of the journal."""

from __future__ import annotations

import random

import pytest

from mendline.responders.facts import FaultFact
from mendline.responders.incidents import CHANGED_MS, JOIN_MS, Incident, incidents
from mendline.responders.journal import KEEP_CHANGES, Journal
from mendline.responders.playbook import Policies
from mendline.schemas.records import REFUSES, Activation, ConfigurationChange, Evidence, Fault, Outcome, Record
from mendline.schemas.series import peer_label
from mendline.schemas.settings import ServiceSettings, Settings
from tests.responders.support import SECOND, START_MS, Scene, fault, order, outcome

NEEDS = Settings(
    services={
        "web": ServiceSettings(depends_on=("app",)),
        "app": ServiceSettings(depends_on=("db",)),
        "db": ServiceSettings(),
    }
)
POLICIES = Activation(
    source="planner",
    time=START_MS,
    stage="policies",
    topic="mendline.journal",
    partition=0,
    offset=0,
    config="",
    settings=Policies.of(NEEDS).model_dump(mode="json"),
)


def folded(*records: Record | int) -> Journal:
    """Return the fold of records; a number lets so much log time (ms) pass."""
    journal, now, offset = Journal(), 0, 0
    for record in (POLICIES, *records):
        if isinstance(record, int):
            now += record
        else:
            journal.apply(record, offset, now, START_MS + now)
            offset += 1
    return journal


def told(journal: Journal) -> list[list[str]]:
    """Return each incident as the targets and kinds of its faults, children indented."""
    return [
        [named(one.root), *("-" * depth + named(child.fault) for depth, child in one.children)]
        for one in incidents(journal)
    ]


def named(one: FaultFact) -> str:
    """Return what a fault is about."""
    return f"{one.latest.target} {one.latest.kind}"


def only(journal: Journal) -> Incident:
    """Return the incident, if there is one and no other."""
    (one,) = incidents(journal)
    return one


def configuration(service: str) -> ConfigurationChange:
    """Return that a configuration of host-1 was changed."""
    return ConfigurationChange(source="host-1", time=START_MS, service=service, path="/etc/x.conf", hash="1")


def test_faults_of_one_target_are_one_incident() -> None:
    """What is down explains what is unusual, though that was seen first."""
    journal = folded(fault(name="unusual", kind="unusual", detector="z"), 1000, fault(opened_at=START_MS + 1000))
    assert told(journal) == [["host-1/web dead", "-host-1/web unusual"]]
    assert only(journal).children[0][1].why == "host-1/web is dead"


def test_what_explains_is_told_in_the_past_when_it_is_over() -> None:
    """It read as if it were dead still."""
    journal = folded(fault(), fault(name="unusual", kind="unusual"), fault(transition="resolved", revision=1))
    assert only(journal).children[0][1].why == "host-1/web was dead"


def test_what_is_needed_explains_what_needs_it() -> None:
    """Near or far, on the same host, and in whatever order they came."""
    journal = folded(fault("host-1/web"), fault("host-1/app"), fault("host-2/web"), fault("host-1/db"))
    assert sorted(told(journal)) == [["host-1/db dead", "-host-1/app dead", "--host-1/web dead"], ["host-2/web dead"]]


def test_a_dead_host_swallows_its_services_and_keeps_them_visible() -> None:
    """They are children of the host's fault, whatever they depend on."""
    journal = folded(fault("host-1/db"), fault("host-1/web"), fault("host-1", name="silent"))
    (one,) = told(journal)
    assert (one[0], sorted(one[1:])) == ("host-1 silent", ["-host-1/db dead", "-host-1/web dead"])
    assert only(journal).children[0][1].why == "its host host-1 is silent"


def unusual(target: str, name: str, opened_at: int = START_MS) -> Fault:
    """Return that a metric of the target is unusual."""
    return fault(target, name=name, kind="unusual", detector=name, opened_at=opened_at)


def test_a_change_of_load_is_one_incident() -> None:
    """What a host and its services never did before, in many metrics since about the same time, is one thing to see."""
    host = [unusual("host-1", f"metric-{number}", START_MS + number * 1000) for number in range(40)]
    services = [unusual("host-1/db", "first", START_MS - JOIN_MS), unusual("host-1/db", "second", START_MS + JOIN_MS)]
    journal = folded(*services, *host, unusual("host-1/web", "third", START_MS + JOIN_MS))
    one = only(journal)
    assert (host[0].id, 43) == (one.root.id, len(one.faults))
    whys = [child.why for _, child in one.children if child.fault.latest.target == "host-1/web"]
    assert ["its host host-1 is unusual since about the same time"] == whys


def test_what_began_at_another_time_or_is_down_has_its_own_incident() -> None:
    """A fault that goes on for long gathers no service that is unusual later, and none that is dead."""
    later = unusual("host-1/db", "later", START_MS + JOIN_MS + 1)
    journal = folded(unusual("host-1", "metric"), 2 * JOIN_MS, later, fault("host-1/web"))
    assert sorted(told(journal)) == [["host-1 unusual"], ["host-1/db unusual"], ["host-1/web dead"]]


def test_a_receiver_that_is_not_reached_has_nothing_to_do_with_its_host() -> None:
    """The fault is of the host where the notifier runs, and about something else."""
    found = told(folded(fault("host-1", name="undelivered"), fault("host-1", name="unusual"), fault("host-1/db")))
    assert sorted(found) == [["host-1 undelivered"], ["host-1 unusual"], ["host-1/db dead"]]


def test_long_apart_is_no_incident() -> None:
    """A fault that was over for long explains nothing that comes later."""
    over = fault(name="first", transition="resolved", revision=1)
    later = fault(name="second", opened_at=START_MS + JOIN_MS)
    assert len(incidents(folded(fault(name="first"), over, JOIN_MS, later))) == 1
    assert len(incidents(folded(fault(name="first"), over, JOIN_MS + 1, later))) == 2


def test_what_is_back_belongs_to_the_first_time() -> None:
    """However long that is ago, as its detector says so."""
    first = fault(name="first")
    back = fault(name="second", earlier=first.id, again=1, opened_at=START_MS + 1)
    over = fault(name="first", transition="resolved", revision=1)
    journal = folded(first, over, 2 * JOIN_MS, back)
    assert only(journal).children[0][1].why == "the same again, 1 time by now"


def test_a_change_right_before_is_the_likeliest_cause() -> None:
    """What was changed at the very place comes before the fault itself, what was changed elsewhere after it."""
    journal = folded(configuration("db"), configuration("web"), 12_000, fault(reason="it was killed"))
    assert [cause.text for cause in only(journal).causes] == [
        "configuration /etc/x.conf of web changed, 12 s before",
        "configuration /etc/x.conf of db changed, 12 s before",
        "host-1/web is dead: it was killed",
    ]


@pytest.mark.parametrize(("passed", "causes"), [(0, 2), (CHANGED_MS, 2), (CHANGED_MS + 1, 1)])
def test_old_changes_are_no_causes(passed: int, causes: int) -> None:
    """What was changed half an hour ago or more would have shown before."""
    assert len(only(folded(configuration("web"), passed, fault())).causes) == causes


def texts(journal: Journal, target: str) -> list[str]:
    """Return what else than the fault itself the incident of a target may come from."""
    (mine,) = (one for one in incidents(journal) if one.root.latest.target == target)
    return [cause.text for cause in mine.causes if not cause.text.startswith((f"{target} is ", f"{target} was "))]


def mended(scene: Scene, about: Fault, took_ms: int = 700) -> None:
    """Let Mendline restart what a fault is about, and with it a file of its configuration change."""
    scene.say(about)
    began = START_MS + scene.now
    scene.now += took_ms
    service = about.target.partition("/")[2]
    scene.say(outcome(scene.intents[-1], began_at=began, ended_at=began + took_ms), configuration(service))
    scene.say(about.model_copy(update={"revision": 1, "transition": "resolved"}))
    scene.tick(10 * SECOND)
    assert scene.verifications[-1].mended


def test_what_mended_a_fault_is_not_its_cause() -> None:
    """Neither the restart nor what it changed, though both come right after the fault, when causes may still come."""
    scene = Scene()
    mended(scene, fault())
    assert len(scene.journal.changes) == 2
    assert texts(scene.journal, "host-1/web") == []


def test_what_mended_a_child_is_not_the_cause_of_the_root() -> None:
    """Whatever was done about a fault of the incident came after it had begun."""
    scene = Scene()
    mended(scene, fault("host-1/web"))
    back = fault("host-1/web", name="again", earlier=fault().id, again=1, opened_at=START_MS + 90 * SECOND)
    scene.tick(90 * SECOND)
    scene.say(back)
    assert only(scene.journal).children[0][1].fault.id == back.id
    assert texts(scene.journal, "host-1/web") == []


def test_an_earlier_restart_by_mendline_is_a_candidate() -> None:
    """Of the service itself, about a fault that is over for long, as well as of another one of its host."""
    scene = Scene()
    mended(scene, fault("host-1/web"))
    scene.tick(10 * SECOND + JOIN_MS)
    now = START_MS + scene.now
    scene.say(fault("host-1/web", name="hung", time=now, opened_at=now), fault("host-1/db", time=now, opened_at=now))
    expected = [
        "configuration /etc/x.conf of web changed, 320 s before",
        "restart of host-1/web by Mendline, 320 s before",
    ]
    (later,) = (one for one in incidents(scene.journal) if one.root.latest.kind == "hung")
    assert [cause.text for cause in later.causes if "Mendline" in cause.text] == expected[1:]
    assert texts(scene.journal, "host-1/db") == expected


def test_a_restart_of_another_service_is_less_likely_than_the_fault_itself() -> None:
    """It seldom breaks a service beside it."""
    scene = Scene()
    mended(scene, fault("host-1/web"))
    scene.tick(30 * SECOND)
    now = START_MS + scene.now
    scene.say(fault("host-1/db", reason="it was killed", time=now, opened_at=now))
    (mine,) = (one for one in incidents(scene.journal) if one.root.latest.target == "host-1/db")
    assert [
        "configuration /etc/x.conf of web changed, 40 s before",
        "host-1/db is dead: it was killed",
        "restart of host-1/web by Mendline, 40 s before",
    ] == [cause.text for cause in mine.causes]


@pytest.mark.parametrize(("began_ms", "said"), [(-1, ["restart of host-1/db by Mendline, 0 s before"]), (0, [])])
@pytest.mark.parametrize("reflex", [True, False])
def test_what_began_after_the_fault_is_not_its_cause(began_ms: int, said: list[str], *, reflex: bool) -> None:
    """By the host's own clock, be it a reflex while the log was away or an answer to another fault."""
    deed = Outcome(
        source="host-1", time=START_MS, intent="x", host="host-1", target="host-1/db", action="restart",
        status="succeeded", began_at=START_MS + began_ms, reflex=reflex,
    )  # fmt: skip
    assert texts(folded(fault("host-1/web"), 900, deed), "host-1/web") == said


def test_a_note_of_a_deployment_is_a_candidate() -> None:
    """On the target, by its pattern, or on everything; one about another target is none."""
    notes = [order("note", "web", text="deployed 1.2"), order("note", "", text="new switch"), order("note", "db")]
    assert [cause.text for cause in only(folded(*notes, fault())).causes[:2]] == [
        "ann: deployed 1.2, 0 s before",
        "ann: new switch, 0 s before",
    ]


def test_changed_settings_of_a_stage_are_a_candidate() -> None:
    """Once, however many partitions turn to them; those that it begins with are no change."""
    first, turned = (POLICIES.model_copy(update={"stage": "detect", "config": one}) for one in ("old", "abc"))
    found = only(folded(first, turned, turned, fault())).causes
    assert [cause.text for cause in found if "detect" in cause.text] == ["detect turned to settings abc, 0 s before"]


def test_changes_are_bounded() -> None:
    """However much is changed, the fold keeps the last ones."""
    assert len(folded(*[configuration("web")] * (KEEP_CHANGES + 50)).changes) == KEEP_CHANGES


def test_every_fault_is_in_one_incident_whatever_the_order() -> None:
    """And the ids and trees are the same, as they follow from names and times."""
    lots = random.Random(4)
    some = [
        fault(f"host-{lots.randrange(2)}{lots.choice(['', '/web', '/app', '/db'])}", name=name, kind=kind,
              opened_at=START_MS + number)
        for number, (name, kind) in enumerate((str(n), lots.choice(["dead", "unusual", "silent"])) for n in range(60))
    ]  # fmt: skip
    first = incidents(folded(*some))
    assert sorted(one.id for incident in first for one in incident.faults) == sorted({one.id for one in some})
    for _ in range(5):
        lots.shuffle(some)
        assert [one.id for one in incidents(folded(*some))] == [one.id for one in first]
        assert sorted(told(folded(*some))) == sorted(told(folded(*some)))


def test_the_id_stays_when_others_join() -> None:
    """A better root that is found later does not rename the incident."""
    before = only(folded(fault("host-1/web")))
    after = only(folded(fault("host-1/web"), 1000, fault("host-1/db", opened_at=START_MS + SECOND)))
    assert after.id == before.id
    assert after.root.latest.target == "host-1/db"


def test_changes_outlive_a_snapshot() -> None:
    """They are part of the fold, so a planner that restarts knows them."""
    journal = folded(configuration("web"), order("note", "web", text="deployed"))
    assert Journal.model_validate_json(journal.model_dump_json()).changes == journal.changes


def unreachable(host: str, peer: str, more: str = "", opened_at: int = START_MS) -> Fault:
    """Return the fault of a host that cannot reach a peer."""
    evidence = Evidence(
        event_time=opened_at, topic="mendline.metrics", partition=0, offsets=(0, 0), series=peer_label(peer)
    )
    reason = f"probe {peer} has failed; the host cannot reach it{more}"
    return fault(host, name="unreachable", evidence=evidence, reason=reason, opened_at=opened_at)


@pytest.mark.parametrize(
    ("views", "said"),
    [
        pytest.param([], "no peer misses it", id="agent"),
        pytest.param(
            [unreachable("host-2", "host-1"), unreachable("host-3", "host-1")],
            "host-2, host-3 cannot reach it either: the host is down, or cut off",
            id="host",
        ),
        pytest.param(
            [unreachable("host-2", "host-1", f"; {REFUSES}")],
            "its host is up, for it refuses connections: rather its agent",
            id="agent, with a port that is closed",
        ),
    ],
)  # fmt: skip
def test_peers_tell_a_dead_host_from_a_dead_agent(views: list[Fault], said: str) -> None:
    """What they say of a silent host belongs to its incident, and to the likely cause."""
    found = only(folded(*views, fault("host-1", name="silent", reason="nothing was heard of it")))
    assert found.root.latest.kind == "silent"
    assert said in found.causes[0].text
    assert ["its peer host-1 is silent"] * len(views) == [child.why for _, child in found.children]


def test_a_broken_way_between_two_that_are_heard_of() -> None:
    """A host that cannot reach a peer which is not silent has no more than that."""
    found = only(folded(unreachable("host-2", "host-1")))
    assert "nothing says that host-1 is gone: rather the way between them" in found.causes[0].text


def test_two_hosts_that_fall_silent_after_they_lost_each_other() -> None:
    """Both are roots: neither is the cause of the other, however early its peer missed it."""
    early = START_MS - SECOND
    journal = folded(
        unreachable("host-1", "host-2", opened_at=early),
        unreachable("host-2", "host-1", opened_at=early),
        fault("host-1", name="silent"),
        fault("host-2", name="silent"),
    )
    assert sorted(told(journal)) == [
        ["host-1 silent", "-host-2 unreachable"],
        ["host-2 silent", "-host-1 unreachable"],
    ]


def test_what_leads_is_open_yet() -> None:
    """The root while it is, then the most severe of those beside it; the likely cause says what is over."""
    web = fault(reason="killed", severity="warning")
    hung = fault(name="hung", opened_at=START_MS + 1, reason="it makes no progress")
    odd = fault(name="unusual", detector="z", opened_at=START_MS + 2, severity="info")
    over = fault(transition="resolved", revision=1, severity="warning", reason="killed")
    back = fault(id="again", opened_at=START_MS + 9000, earlier=web.id, again=1, severity="warning", reason="killed")
    records = [web, odd, hung]
    assert "host-1/web dead" == named(only(folded(*records)).lead)
    found = only(folded(*records, over, 9000, back))
    assert "host-1/web hung" == named(found.lead)
    assert ["host-1/web was dead: killed; with 2 faults beside it; back 1 time"] == [one.text for one in found.causes]
