"""Why something was done, or nothing: by a recording of the stages at work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mendline.dumps.recording import LogRecording
from mendline.explaining import Link, NothingRecordedError, Subject, explain, explain_moment, subjects_of
from mendline.explaining.deciding import admitted, folds
from mendline.explaining.scoring import Recomputed, detector_link
from mendline.replaying.inputs import Source, Wanted
from mendline.responders.guards import GUARDS
from mendline.schemas.records import Hold, Intent
from mendline.schemas.stream import Partition
from mendline.testing.clock import ManualClock
from tests.backtesting.support import Answered
from tests.replaying.support import Studio, recorded, settings_of

pytestmark = pytest.mark.slow

SECONDS = 70


@pytest.fixture(scope="module", name="studio")
def _studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return recorded(tmp_path_factory.mktemp("studio"), SECONDS)


@pytest.fixture(name="source")
def _source(studio: Studio) -> Iterator[Source]:
    with LogRecording(studio.log) as recording:
        yield Source(recording, studio.settings, Wanted())


def fault_of(source: Source, detector: str) -> Subject:
    """Return the first fault of a detector."""
    return next(one for one in subjects_of(source, "") if one.kind == "fault" and one.opened.detector == detector)


def link(links: list[Link], name: str) -> Link:
    """Return the first link of a name."""
    return next(one for one in links if one.name == name)


def at(studio: Studio, second: int) -> int:
    """Return the time (ms) of a second of the recording."""
    return studio.clock.now - (SECONDS - second) * 1000


def test_the_chain_of_a_fault_goes_from_the_rounds_to_what_came_of_it(source: Source) -> None:
    """Each link in its order, each with what it rests on."""
    links = explain(source, fault_of(source, "queue-unusual"))
    names = [
        "rounds",
        "windows",
        "detector",
        "lifecycle",
        "incident",
        "policy",
        "intent",
        "command",
        "cancel",
        "outcome",
    ]
    assert names == [one.name for one in links]
    window = link(links, "windows").facts["windows"][-1]
    assert (2, 52.75) == (window["rounds"], window["statistics"]["mean"])
    rounds = link(links, "rounds").facts
    assert ("host-1", window["rounds"]) == (rounds["source"], len(rounds["offsets"]))
    assert "queues: it is about this fault" in link(links, "policy").lines
    assert "signed by key" in link(links, "command").lines[1]


def test_every_score_is_worked_out_again_to_the_last_bit(source: Source) -> None:
    """The stage runs once more, on rounds and on windows, and opens the very same fault."""
    faults = [one for one in subjects_of(source, "") if one.kind == "fault"]
    assert {"load-limit", "queue-limit", "queue-unusual"} == {one.opened.detector for one in faults}
    for one in faults:
        facts = link(explain(source, one), "detector").facts
        assert (True, True) == (facts["recomputed"], facts["same"])
        evidence, score = one.opened.evidence, facts["scores"][-1]
        assert (evidence.value, evidence.offsets[1]) == (score["value"], score["offset"])
        assert ["normal", "open"] == [score["state"] for score in facts["scores"][-2:]]


def test_guards_say_again_what_they_said(source: Source) -> None:
    """At an intent none objects; at a hold the first that objects is the one that is named, with its reason."""
    decisions = [one for one in subjects_of(source, "") if one.kind != "fault"]
    assert {"intent", "hold"} == {one.kind for one in decisions}
    for one in decisions:
        links = [each for each in explain(source, one) if each.name in ("intent", "hold")]
        [record] = [entry.record for entry in one.told if entry.record.id == one.id]
        objections = [answer for answer in links[0].facts["guards"] if not answer["agrees"]]
        assert (1, len(GUARDS)) == (len(links), len(links[0].facts["guards"]))
        if isinstance(record, Intent):
            assert (True, []) == (links[0].facts["admitted"], objections)
        elif isinstance(record, Hold):
            assert (record.guard, record.reason) == (objections[0]["name"], objections[0]["why"])


def test_a_pause_is_as_long_as_it_was_when_it_was_decided(tmp_path: Path) -> None:
    """In every line: the hold was appended a moment later, when less of it was left."""
    studio = Answered(settings_of(tmp_path), Running())
    studio.record(SECONDS)
    studio.end()
    with LogRecording(studio.log) as recording:
        source = Source(recording, studio.settings, Wanted())
        decisions = [one for one in subjects_of(source, "") if one.kind == "hold"]
        links = [link(explain(source, one), "hold") for one in decisions]
    told = [re.findall(r"([0-9.]+ s) (?:to go|more)", "\n".join(one.lines[:2])) for one in links]
    pauses = [one for one in told if len(one) == 2]
    assert pauses
    assert [] == [(said, again) for said, again in pauses if said != again]


class Running(ManualClock):
    """A clock that goes on whenever it is looked at."""

    def __call__(self) -> int:
        """Return the time (ms)."""
        self.advance(0.002)
        return super().__call__()


def test_a_policy_that_is_not_meant_says_by_what(source: Source) -> None:
    """The first that is about the fault counts, and those before it name the key by which they are not."""
    policy = link(explain(source, fault_of(source, "load-limit")), "policy")
    expected = ["queues: not: its target is web, and the fault's host-1", "rest: it is about this fault"]
    assert (expected, "rest") == (list(policy.lines[:2]), policy.facts["policy"])


def test_an_intent_under_other_policies_is_not_judged(source: Source) -> None:
    """Policies that another version wrote have another hash here: nothing is claimed of what they allowed."""
    subject = next(one for one in subjects_of(source, "") if one.kind == "intent")
    [entry] = [one for one in subject.told if one.record.id == subject.id]
    assert isinstance(entry.record, Intent)
    _, journal = next(folds(source, [entry.offset], entry.offset))
    strange = entry.record.model_copy(update={"policy_hash": "0" * 16})
    assert admitted(journal, strange, entry.offset)[0] is None
    done = journal.model_copy(update={"faults": {}})
    assert admitted(done, entry.record, entry.offset) == (False, "it does not count: its fault is not open")


def test_what_a_rule_found_is_told_without_a_series(source: Source) -> None:
    """Its value, such as how long a probe has failed, stands in its reason."""
    fault = fault_of(source, "queue-unusual").opened
    evidence = fault.evidence.model_copy(update={"series": "", "value": 3004.0})
    hung = fault.model_copy(update={"evidence": evidence, "reason": "probe health has not succeeded for 3.0 s"})
    line = detector_link(hung, Recomputed("not here")).lines[0]
    assert line.endswith(f"settings {hung.config}: probe health has not succeeded for 3.0 s")


def test_a_detector_of_one_series_at_a_time_is_worked_out_again(tmp_path: Path) -> None:
    """What it remembers is what it dumps."""
    theirs = {
        "name": "theirs", "use": "tests.detectors.support:Jump", "window": "2s", "match": {"metric": "queue"},
        "open": {"above": 20},
    }  # fmt: skip
    studio = recorded(tmp_path, SECONDS, detectors=[theirs])
    with LogRecording(studio.log) as recording:
        source = Source(recording, studio.settings, Wanted())
        found = link(explain(source, fault_of(source, "theirs")), "detector")
    assert found.lines[1].endswith(": the same, to the last bit")
    assert found.lines[-1] == f"it remembers by then: before {found.facts['scores'][-1]['value']:g}"
    assert found.facts["learned"] == {"before": found.facts["scores"][-1]["value"]}


def verdict(source: Source, subject: Subject) -> str:
    """Return what is said about working the score out again."""
    return link(explain(source, subject), "detector").lines[1]


def test_what_does_not_come_again_is_told(source: Source) -> None:
    """An altered fault differs by what was altered; one that was never opened there is told as that."""
    subject = fault_of(source, "queue-limit")
    entry = subject.told[0]
    altered = entry.record.model_copy(update={"reason": "because I say so"})
    other = replace(subject, told=[entry._replace(record=altered), *subject.told[1:]])
    assert verdict(source, other).endswith("differs in reason; `mendline replay --verify` looks for the cause")
    moved = entry.record.model_copy(update={"id": "0" * 32})
    nowhere = replace(subject, told=[entry._replace(record=moved), *subject.told[1:]])
    assert "it does not open there" in verdict(source, nowhere)


def test_other_settings_cannot_work_it_out_again(source: Source, tmp_path: Path) -> None:
    """The score is that of the settings which counted then, and is not told by others."""
    bounds = [{**one, "open": {"above": 3}} for one in settings_of(tmp_path).model_dump(mode="json")["detectors"]]
    plain: list[dict[str, Any]] = [
        {key: one[key] for key in ("name", "use", "window", "match", "open")} for one in bounds
    ]
    changed = replace(source, settings=settings_of(tmp_path, detectors=plain))
    text = verdict(changed, fault_of(source, "queue-limit"))
    assert text.startswith("cannot be worked out again: other settings counted there")


def test_what_is_no_longer_kept_is_told(tmp_path: Path) -> None:
    """The rest of the chain stands all the same."""
    studio = recorded(tmp_path, 60)
    with LogRecording(studio.log) as recording:
        source = Source(recording, studio.settings, Wanted())
        subject = fault_of(source, "queue-limit")
        for number in range(2):
            for short in ("windows", "metrics"):
                place = Partition(source.name(short), number)
                studio.log.delete_before(place, recording.extent(place).end)
        links = explain(source, subject)
        assert "no longer kept" in link(links, "evidence").lines[0]
        assert "no longer kept" in link(links, "detector").lines[1]
        assert {"lifecycle", "policy", "hold"} <= {one.name for one in links}


def test_a_moment_in_which_nothing_was_wrong(studio: Studio, source: Source) -> None:
    """What was heard, what each detector made of it, and from where on it would have opened a fault."""
    links = explain_moment(source, at(studio, 30), "web")
    assert "no fault of web was open" in link(links, "faults").lines[0]
    assert {"host-1": 29, "host-2": 29} == link(links, "heard").facts["rounds"]
    said = {one.facts["name"]: one for one in links if one.name == "detector"}
    assert {"queue-limit", "queue-unusual"} == set(said)
    assert said["queue-limit"].lines[0].endswith("opens above 80")
    assert "opens at a surprise above " in said["queue-unusual"].lines[0]
    assert {"normal"} == {score["state"] for one in said.values() for score in one.facts["scores"]}


def test_a_moment_in_which_a_guard_held(studio: Studio, source: Source) -> None:
    """An open fault has its policy, and what is under way or what would be next with the guards against it."""
    links = [one for one in explain_moment(source, at(studio, 45), "host-1/web") if one.name == "fault"]
    assert 2 == len(links)
    assert any("under way: " in line for line in links[0].lines)
    assert any(line.startswith("guard busy: another action") for line in links[1].lines)


@pytest.mark.parametrize("second", [-1, SECONDS + 62])
def test_a_moment_beyond_the_recording_is_refused(studio: Studio, source: Source, second: int) -> None:
    """It is told from when to when there is something."""
    with pytest.raises(
        NothingRecordedError, match=r"holds nothing of .* UTC: its records are of 2023-.* to 2023-.* UTC"
    ):
        explain_moment(source, at(studio, second), "web")


def test_a_target_of_which_nothing_is_known_is_refused(studio: Studio, source: Source) -> None:
    """It is told what there is."""
    with pytest.raises(NothingRecordedError, match=r"nothing of 'nobody' .*; known then: host-1, host-1/web, host-2"):
        explain_moment(source, at(studio, 30), "nobody")


def test_a_target_that_fell_silent_is_explained(
    studio: Studio, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an hour, though nothing was heard of it lately."""
    monkeypatch.setattr("mendline.explaining.moments.LATELY_MS", 0)
    links = explain_moment(source, at(studio, 30), "web")
    assert "no round with web came" in link(links, "heard").lines[0]
