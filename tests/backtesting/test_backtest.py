"""What would have been different: faults, and what would have been done about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.backtesting import Terms, running
from mendline.backtesting.comparing import Comparison, counts
from mendline.backtesting.executing import TAKEN_MS, Executor
from mendline.backtesting.orders import hidden_by, parse_order
from mendline.backtesting.past import OTHER_POLICIES, Done
from mendline.backtesting.told import mends_lost_told
from mendline.reading import read_batches
from mendline.replaying.errors import ReplayError
from mendline.schemas.records import Activation, Command, Intent, Outcome, decode_record, encode_record
from mendline.schemas.stream import NewRecord, Partition
from tests.backtesting.support import LOAD, QUEUE, QUEUES, REST, UNUSUAL, Keys, after, answered, compared, run
from tests.replaying.support import HOSTS, Studio, recorded

CUT = 60


@pytest.mark.slow
def test_the_settings_that_were_there_change_nothing(studio: Studio) -> None:
    """The faults are those that were recorded, and so are the intents about them, by their ids."""
    found = compared(studio)
    assert (found.faults, found.deeds, found.after.gaps) == ([], [], [])
    recorded = [intent.id for intent in _recorded_intents(studio)]
    assert sorted(one.intent.id for one in found.after.decided.deeds) == sorted(recorded)
    assert (len(found.after.courses), len(recorded)) == (6, 4)


def _recorded_intents(studio: Studio) -> list[Intent]:
    journal = Partition("mendline.journal", 0)
    batches = read_batches(studio.log, journal, 0, studio.ends()[journal])
    return [one for batch in batches for one in map(decode_record, batch.values) if isinstance(one, Intent)]


@pytest.mark.slow
def test_a_higher_threshold_loses_faults_and_what_was_done_about_them(studio: Studio) -> None:
    """On both sides are only those that no detector misses."""
    found = compared(studio, detectors=[{**LOAD, "open": {"above": 95}}, QUEUE, UNUSUAL])
    lost = [(one.ways, one.change.recorded.last.target) for one in found.faults if one.change.recorded]
    assert lost == [(("lost",), host) for host in HOSTS]
    deeds = [(one.before.course, one.before.intent.target, one.after) for one in found.deeds if one.before]
    assert deeds == [("shadow", host, None) for host in HOSTS]
    assert {name: counts(found)[name] for name in ("faults_before", "faults", "lost", "added", "actions_lost")} == {
        "faults_before": 6, "faults": 4, "lost": 2, "added": 0, "actions_lost": 0,
    }  # fmt: skip


@pytest.mark.slow
def test_a_fault_that_lasts_longer_or_begins_later_tells_by_how_much(studio: Studio) -> None:
    """In ms, and of another severity where it is."""
    later = {**LOAD, "open": {"above": 80, "for": "2s"}, "severity": "critical"}
    for one in compared(studio, detectors=[later, QUEUE, UNUSUAL]).faults:
        assert (one.ways, one.moved_ms, one.longer_ms) == (("moved", "shorter", "severity"), 2_000, -2_000)
    longer = {**QUEUE, "clear": {"below": 5}}
    for one in compared(studio, detectors=[LOAD, longer, UNUSUAL]).faults:
        assert (one.ways, one.moved_ms, one.longer_ms) == (("longer",), 0, None)


@pytest.mark.slow
def test_windows_that_were_not_recorded_are_made_of_the_rounds(studio: Studio) -> None:
    """A detector on windows of another width finds what it would have found, at the moments it would have."""
    wide = {**QUEUE, "name": "wide", "window": "4s"}
    found = compared(studio, detectors=[LOAD, wide], windows={"pane": "4s", "widths": ["4s"]})
    began = {(one.last.target, one.begin - after(0)) for one in found.after.courses.values()}
    assert began == {(host, 21_000) for host in HOSTS} | {(f"{host}/web", 48_000) for host in HOSTS}
    assert found.ways() == {"added": 2, "lost": 4}


@pytest.mark.slow
def test_policies_and_guards_decide_otherwise_about_the_same_faults(studio: Studio) -> None:
    """What was noted runs, what ran is asked for, and what was held is not."""
    auto = compared(studio, policies=[QUEUES, {**REST, "mode": "auto"}])
    assert [(one.before.course, one.after.course) for one in auto.deeds if one.before and one.after] == [
        ("shadow", "ran")
    ] * 2
    ask = compared(studio, policies=[{**QUEUES, "mode": "ask"}, REST])
    assert (counts(ask)["asked"], counts(ask)["actions"], counts(ask)["actions_lost"]) == (4, 0, 2)
    eager = compared(studio, guards={"cooldown": "1s"})
    assert (eager.before.held["cooldown"], eager.after.held["cooldown"], counts(eager)["actions_added"]) == (2, 0, 2)


@pytest.mark.slow
def test_old_settings_can_stand_for_what_was_recorded(studio: Studio) -> None:
    """Both sides are replayed then, in the same way."""
    found = compared(studio, {"detectors": [LOAD]}, detectors=[LOAD, QUEUE])
    assert ([one.ways for one in found.faults], len(found.before.courses)) == ([("added",)] * 2, 2)


@pytest.mark.slow
def test_a_silence_tells_what_it_would_have_hidden(studio: Studio) -> None:
    """The faults of its targets while it stood, and the actions that it held."""
    order = parse_order("silence", f"web@{after(30)}/{after(60)}", int)
    found = compared(studio, terms=Terms(orders=[order]))
    hidden = hidden_by(order, found.after)
    assert {one.last.target for one in hidden.faults} == {f"{host}/web" for host in HOSTS}
    assert (len(hidden.faults), len(hidden.holds), found.after.held["orders"]) == (4, 4, 4)
    assert (counts(found)["actions"], counts(found)["actions_lost"], found.faults) == (0, 2, [])


@pytest.mark.slow
@pytest.mark.parametrize("begin", [-400, 1])
def test_a_silence_ends_when_it_is_to_end_though_it_began_before_the_recording(studio: Studio, begin: int) -> None:
    """Nothing is held after it, as after one that began later."""
    order = parse_order("silence", f"web@{after(begin)}/{after(20)}", int)
    assert hidden_by(order, compared(studio, terms=Terms(orders=[order])).after).holds == []


@pytest.mark.slow
def test_an_action_may_be_taken_to_end_its_fault(studio: Studio) -> None:
    """Soon after it, where otherwise the target is busy until the recorded end; what was really done keeps its own."""
    policies = [QUEUES, {**REST, "mode": "auto"}]
    as_recorded, mended = (compared(studio, policies=policies, terms=Terms(mending=one)) for one in (False, True))
    assert _took(as_recorded) == {True: [6_000] * 2, False: [4_000] * 2}
    assert _took(mended) == {True: [6_000] * 2, False: [1_000] * 2}
    shadow = compared(studio, {"policies": policies}, Terms(mending=True), policies=[QUEUES, REST])
    assert (counts(shadow)["actions_lost"], counts(shadow)["mends_lost"]) == (2, 2)
    assert "2 of these actions, which are not done, mended their faults" in mends_lost_told(shadow)


def _took(found: Comparison) -> dict[bool, list[int]]:
    """Return how long (ms) actions were at work, by whether they were really done."""
    took: dict[bool, list[int]] = {True: [], False: []}
    for one in found.after.decided.ran:
        took[one.known].append((one.ended or 0) - one.at)
    return took


@pytest.mark.slow
def test_faults_of_before_the_time_asked_for_are_left_out(studio: Studio) -> None:
    """On both sides; what detectors had learned before is known."""
    found = run(studio, [{}], Terms(begin=after(35)))
    assert (found.period.begin, found.comparisons()[0].faults) == (after(35), [])
    assert {one.last.target for one in found.before.courses.values()} == {f"{host}/web" for host in HOSTS}


@pytest.mark.slow
def test_where_retention_left_less_both_sides_are_compared_over_what_is_left(tmp_path: Path) -> None:
    """And it is said that the new side did not know what was before."""
    studio = recorded(tmp_path, 60, topics={"partitions": 1, "snapshots_every": 0})
    metrics = Partition("mendline.metrics", 0)
    studio.log.delete_before(metrics, CUT)
    begun = next(iter(read_batches(studio.log, metrics, CUT, studio.ends()[metrics]))).timestamps[0]
    keys = {"topics": {"partitions": 1}, "detectors": [{**LOAD, "open": {"above": 81}}, QUEUE, UNUSUAL]}
    found = run(studio, [keys], Terms())
    assert (found.period.begin, found.comparisons()[0].ways()["lost"]) == (begun, 0)
    (gap,) = found.after[0].gaps
    assert gap.startswith(f"rounds on mendline.metrics partition 0 before offset {CUT}: neither a snapshot nor ")


@pytest.mark.slow
def test_policies_of_another_version_are_told(tmp_path: Path) -> None:
    """What was decided under them then cannot be decided again; what follows from the new ones can."""
    studio = recorded(tmp_path, 30)
    policies = {"from_the_future": True}
    other = Activation(
        id="other", source="planner", time=after(30), stage="policies", topic="t", partition=0, offset=0, config="1",
        settings=policies,
    )  # fmt: skip
    producer = studio.log.producer("younger")
    producer.append([NewRecord("mendline.journal", encode_record(other), b"default", 0)]).result(10)
    producer.close()
    found = compared(studio)
    assert (found.before.gaps, found.after.gaps) == ([OTHER_POLICIES], [])


def test_a_time_of_which_nothing_was_recorded_is_refused(studio: Studio) -> None:
    """With where it was looked for."""
    with pytest.raises(ReplayError, match=r"memory:.*: nothing was recorded in that time"):
        run(studio, [{}], Terms(begin=after(3_600)))


@pytest.mark.slow
def test_a_plug_in_that_is_not_deterministic_is_named(studio: Studio) -> None:
    """Instead of a result that is chance."""
    theirs = {**QUEUE, "name": "theirs", "use": "tests.replaying.moods:Chance", "open": {"above": 4}}
    with pytest.raises(ReplayError, match=r"the detector theirs \(tests.replaying.moods:Chance\).*is chance"):
        run(studio, [{"detectors": [LOAD, theirs]}], Terms())


@pytest.mark.slow
def test_processes_change_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a share of the settings, some at once, and the answers come in the order of these."""
    monkeypatch.setattr(running, "AT_ONCE", 2)
    candidates: list[Keys] = [{"guards": {"cooldown": "1s"}}, {"detectors": [LOAD]}, {}]
    alone, together = (run(studio, candidates, Terms(processes=count)) for count in (1, 2))
    assert [counts(one) for one in together.comparisons()] == [counts(one) for one in alone.comparisons()]
    assert [one.name for one in together.after] == ["new-1", "new-2", "new-3"]


# What stands in the place of hosts ------------------------------------------------------------------------------------

COMMAND = Command(
    source="planner", time=0, intent="i", host="h", target="h/web", service="web", action="restart", deadline=9,
    timeout_ms=9,
)  # fmt: skip
DONE = Outcome(source="h", time=0, intent="i", host="h", target="h/web", action="restart", status="failed")


def test_what_was_really_done_ends_as_it_did() -> None:
    """After the same time."""
    assert Executor({"i": Done(300, DONE)}).take(COMMAND, 1_000) == (1_300, DONE, True)


def test_what_its_host_said_nothing_of_has_no_outcome() -> None:
    """As a host that is gone, or a recording that ended before."""
    assert Executor({}, {"i"}).take(COMMAND, 1_000) is None


def test_what_was_not_done_succeeds_after_what_others_took() -> None:
    """In the middle, or a second where there are none."""
    succeeded = DONE.model_copy(update={"status": "succeeded"})
    done = {name: Done(took, succeeded) for name, took in (("a", 100), ("b", 250), ("c", 900))}
    due = Executor(done).take(COMMAND, 1_000)
    assert due
    assert (due.at, due.outcome.status, due.known) == (1_250, "succeeded", False)
    other = Executor(done).take(COMMAND.model_copy(update={"action": "diagnose"}), 0)
    assert other
    assert other.at == TAKEN_MS


@pytest.mark.parametrize("text", ["web", "web@2", "@1/2", "web@2/1"])
def test_a_silence_without_a_time_is_refused(text: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match=text):
        parse_order("silence", text, int)


# Against the truth ----------------------------------------------------------------------------------------------------

OTHERS: dict[str, Keys] = {
    "detectors": {
        "detectors": [{**LOAD, "open": {"above": 85, "for": "1s"}}, {**QUEUE, "clear": {"below": 5}}, UNUSUAL]
    },
    "windows": {"windows": {"pane": "2s", "widths": ["2s", "4s"]}, "detectors": [LOAD, {**QUEUE, "window": "4s"}]},
    "policies": {"policies": [{**QUEUES, "mode": "ask"}, {**REST, "mode": "auto"}], "guards": {"concurrent": 1}},
    "guards": {"guards": {"cooldown": "1s", "attempts": 2}},
}


@pytest.mark.slow
@pytest.mark.parametrize("keys", OTHERS.values(), ids=OTHERS)
def test_what_would_have_been_is_what_is_when_the_same_happens_under_the_other_settings(
    studio: Studio, tmp_path: Path, keys: Keys
) -> None:
    """The faults begin and end at the same moments, and the same is decided about them, to the ids."""
    other = answered(tmp_path, 70, **keys)
    recorded_there, found = compared(other, **keys).before, compared(studio, **keys).after
    assert {name: (one.begin, one.end) for name, one in found.courses.items()} == {
        name: (one.begin, one.end) for name, one in recorded_there.courses.items()
    }
    intents = [(one.id, one.mode) for one in _recorded_intents(other)]
    assert sorted((one.intent.id, one.intent.mode) for one in found.decided.deeds) == sorted(intents)
    assert len(intents) > 1
