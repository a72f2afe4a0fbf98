"""Drift: hosts that have another version of a configuration than their group, by hashes that agents tell."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from mendline.responders.configurations import HEARD_WITHIN_MS, ConfigurationFact, Configurations
from mendline.responders.drift import PATIENCE
from mendline.responders.playbook import Policies
from mendline.responders.standing import standing
from mendline.schemas.records import ConfigurationChange, Fault
from mendline.schemas.settings import PolicySettings, Settings
from mendline.schemas.versions import version_hash
from tests.responders.fleet import through_json
from tests.responders.support import SECOND, Scene, batch_of, fault, order, outcome

PATH, OTHER = "/etc/web.conf", "/etc/web.d/limits"
HOLD_MS = 10 * SECOND
NAMES = {hash_: version_hash({PATH: hash_}) for hash_ in "abc"}

DRIFT_PLAY = {"name": "web-drift", "when": {"target": "web"}, "mode": "auto", "playbook": "drift"}


class Fleet(Scene):
    """A scene in which hosts tell what they have."""

    sequence = 0

    def told(
        self, host: str, content: str, path: str = PATH, *, service: str = "web", known: bool | None = True
    ) -> ConfigurationChange:
        """Return that a host has a file with this hash."""
        self.sequence += 1
        return ConfigurationChange(
            source=host,
            time=self.time(),
            service=service,
            path=path,
            hash=content,
            known=known,
            epoch=1,
            sequence=self.sequence,
        )

    def have(self, contents: str, service: str = "web") -> None:
        """Let host 1, 2 … tell what they have."""
        self.say(*(self.told(f"host-{number}", one, service=service) for number, one in enumerate(contents, start=1)))

    def drift(self) -> list[tuple[str, str]]:
        """Return all revisions of faults of drift: target and transition."""
        return [(one.target, one.transition) for one in self.all(Fault) if one.kind == "drift"]

    @property
    def latest(self) -> Fault:
        """The newest revision of a fault of drift."""
        return [one for one in self.all(Fault) if one.kind == "drift"][-1]


def fleet(*policies: object, entries: tuple[dict[str, object], ...] = ({"service": "web"},)) -> Fleet:
    """Return a fleet whose web services should be equal, with these policies."""
    drift = [{"hold": HOLD_MS, **entry} for entry in entries]
    return Fleet(Settings.model_validate({"drift": drift, "policies": policies}))


def test_a_host_that_differs_for_long_is_a_fault_with_the_difference() -> None:
    """Of the kind drift, a warning; the files are named, by their hashes alone."""
    scene = fleet()
    scene.have("aaba")
    scene.tick(HOLD_MS - SECOND)
    assert [] == scene.drift()
    scene.tick(SECOND)
    assert [("host-3/web", "opened")] == scene.drift()
    found = scene.latest
    assert ("warning", "drift", "planner", "host-3") == (found.severity, found.detector, found.stage, found.host)
    assert f"{PATH}: b here, a there" == found.evidence.text
    assert f"its configuration is version {NAMES['b'][:12]}; 3 of 4 hosts have {NAMES['a'][:12]}" == found.reason
    assert NAMES["a"] == found.expected
    scene.tick(5 * HOLD_MS)
    assert 1 == len(scene.drift())


def test_it_is_over_when_the_host_has_what_the_others_have() -> None:
    """At once, whoever changed it."""
    scene = fleet()
    scene.have("aab")
    scene.tick(HOLD_MS)
    scene.say(scene.told("host-3", "a", known=None))
    assert [("host-3/web", "opened"), ("host-3/web", "resolved")] == scene.drift()
    assert f"it has version {NAMES['a'][:12]}, as it should" == scene.latest.ended
    scene.tick(2 * HOLD_MS)
    assert 2 == len(scene.drift())


def test_a_roll_out_in_progress_is_no_drift() -> None:
    """As long as hosts go on changing nobody is wrong, before the change has the majority and after."""
    scene = fleet()
    scene.have("aaaaaa")
    for number in range(1, 7):
        scene.tick(HOLD_MS - SECOND)
        scene.say(scene.told(f"host-{number}", "b", known=None))
    scene.tick(2 * HOLD_MS)
    assert [] == scene.drift()


def test_who_was_left_out_of_a_roll_out_differs() -> None:
    """The majority has turned; since then, and since the last change, for the time of the hold."""
    scene = fleet()
    scene.have("aaa")
    scene.tick(HOLD_MS)
    scene.have("bb")
    scene.tick(HOLD_MS)
    assert [("host-3/web", "opened")] == scene.drift()
    assert NAMES["b"] == scene.latest.expected


def test_of_two_versions_that_equally_many_have_the_older_is_the_right_one() -> None:
    """Of two hosts, the one that was changed last differs."""
    scene = fleet()
    scene.have("aa")
    scene.tick(HOLD_MS)
    scene.say(scene.told("host-1", "b", known=None))
    scene.tick(HOLD_MS)
    assert [("host-1/web", "opened")] == scene.drift()


def test_one_that_changes_all_the_time_does_not_hide_the_others() -> None:
    """Nothing is ever quiet for the time of the hold; those who have been for six times as long are judged."""
    scene = fleet()
    scene.have("aab")
    for turn in range(PATIENCE * HOLD_MS // (5 * SECOND)):
        assert [] == scene.drift()
        scene.say(scene.told("host-4", "cd"[turn % 2], known=None))
        scene.tick(5 * SECOND)
    assert [("host-3/web", "opened")] == scene.drift()


def test_a_declared_version_counts_more_than_the_majority() -> None:
    """Whether any host has it or not."""
    scene = fleet(entries=({"service": "web", "declared": NAMES["b"][:8]},))
    scene.have("aab")
    scene.tick(HOLD_MS)
    assert [("host-1/web", "opened"), ("host-2/web", "opened")] == scene.drift()
    assert NAMES["b"] == scene.latest.expected
    nobody = fleet(entries=({"service": "web", "declared": NAMES["c"][:8]},))
    nobody.have("a")
    nobody.tick(HOLD_MS)
    assert ("host-1/web", NAMES["c"][:8]) == (nobody.latest.target, nobody.latest.expected)
    assert f"version {NAMES['a'][:12]}" == nobody.latest.evidence.text


def test_groups_are_told_apart_by_the_first_entry_that_means_a_host() -> None:
    """Hosts of no group are not judged, nor are services that no entry names."""
    scene = fleet(entries=({"service": "web", "hosts": "host-[123]"}, {"service": "web", "hosts": "host-[3456]"}))
    scene.have("aabbbbccc")
    scene.have("abcabc", service="db")
    scene.tick(HOLD_MS)
    assert [("host-3/web", "opened")] == scene.drift()


def test_a_fault_is_updated_when_the_difference_is_another() -> None:
    """The same fault, with what differs now."""
    scene = fleet()
    scene.have("aab")
    scene.tick(HOLD_MS)
    name = scene.latest.id
    scene.say(scene.told("host-3", "x", OTHER, known=None))
    assert [("host-3/web", "opened"), ("host-3/web", "updated")] == scene.drift()
    assert f"{PATH}: b here, a there\n{OTHER}: x here, undeclared there" == scene.latest.evidence.text
    assert (name, 1) == (scene.latest.id, scene.latest.revision)


def test_a_host_that_is_not_heard_of_any_more_is_not_judged() -> None:
    """Its fault is orphaned after a day; agents tell every six hours."""
    scene = fleet()
    scene.have("aab")
    scene.tick(HOLD_MS)
    scene.now += HEARD_WITHIN_MS // 2
    scene.have("aa")
    scene.now += HEARD_WITHIN_MS // 2
    scene.tick(SECOND)
    assert [("host-3/web", "opened"), ("host-3/web", "orphaned")] == scene.drift()


def test_without_its_entry_a_fault_is_orphaned() -> None:
    """The planner of new settings says so, and what it says is no second fault when the entry is back."""
    scene = fleet()
    before = scene.settings
    scene.have("aab")
    scene.tick(HOLD_MS)
    for settings in (Settings(), before):
        blocks = list(scene.stage.dump())
        scene.stage = scene.new_planner(settings)
        scene.stage.load(blocks)
        scene.tick(SECOND)
    assert [("host-3/web", one) for one in ("opened", "orphaned", "opened")] == scene.drift()
    assert 2 == scene.latest.revision


def test_what_is_told_again_is_no_change() -> None:
    """It is no cause of a fault, and does not make a group wait anew."""
    scene = fleet()
    scene.have("aab")
    scene.tick(HOLD_MS - SECOND)
    scene.have("aab")
    assert [] == scene.journal.changes
    scene.tick(SECOND)
    assert [("host-3/web", "opened")] == scene.drift()


# What is done about it ----------------------------------------------------------------------------------------------


def test_the_playbook_puts_the_expected_version_in_place() -> None:
    """What the others have goes into the command, and the fault's own end is the proof."""
    scene = fleet(DRIFT_PLAY)
    scene.have("aaab")
    scene.tick(HOLD_MS)
    (intent,) = scene.intents
    assert ("update_config", {"version": NAMES["a"]}) == (intent.action, intent.parameters)
    assert [("update_config", {"version": NAMES["a"]})] == [
        (one.action, one.parameters) for one in scene.commands if one.type == "command"
    ]
    scene.say(outcome(intent), scene.told("host-4", "a", known=None))
    assert [True] == [one.mended for one in scene.verifications]


def test_a_policy_that_does_not_name_drift_leaves_it_to_a_person() -> None:
    """A service that works is not restarted because its configuration is another one."""
    restart = PolicySettings.model_validate({"name": "web", "mode": "auto", "play": [{"action": "restart"}]})
    scene = fleet(restart)
    scene.have("aaab")
    scene.tick(HOLD_MS)
    assert (["kind"], []) == (scene.holds, scene.intents)


def test_drift_does_not_make_a_service_sick() -> None:
    """Guard blast_radius holds no repair because of it, and holds what would change half of a fleet."""
    restart = {"name": "web", "mode": "auto", "when": {"kind": ["dead"]}, "play": [{"action": "restart"}]}
    scene = fleet(restart, DRIFT_PLAY)
    scene.have("aaaabbb")
    scene.tick(HOLD_MS)
    assert 3 == len(scene.drift())
    assert ({"blast_radius"}, []) == (set(scene.holds), scene.intents)
    scene.say(fault("host-1/web"))
    assert ["restart"] == [one.action for one in scene.intents]


def test_a_stop_of_people_holds_it_too() -> None:
    """As everything that is done."""
    scene = fleet(DRIFT_PLAY)
    scene.say(order("stop"))
    scene.have("aaab")
    scene.tick(HOLD_MS)
    assert (["stop"], []) == (scene.holds, scene.intents)


# The fold -----------------------------------------------------------------------------------------------------------


def history(seed: int) -> Iterator[tuple[int, str, str]]:
    """Yield pauses (s), hosts and what they have then."""
    draw = random.Random(seed)
    for _ in range(40):
        yield draw.choice((0, 1, 4, 12)), f"host-{draw.randrange(1, 6)}", draw.choice("aaab")


@pytest.mark.parametrize("seed", range(5))
def test_a_planner_that_begins_anew_says_the_same(seed: int) -> None:
    """Whether it goes on from a snapshot, or reads the whole journal again, silently first."""
    scene, again = fleet(), fleet()
    for pause, host, content in history(seed):
        for one in (scene, again):
            one.say(one.told(host, content, known=None))
            one.tick(pause * SECOND)
        other = again.new_planner()
        other.load(through_json(list(again.stage.dump())))
        assert again.journal == other.journal
        again.stage = other
    assert scene.drift() == again.drift()
    assert scene.drift()
    late = scene.new_planner()
    late.fold(batch_of(scene.entries, caught_up=False))
    assert scene.journal == late.journal


def test_repeats_and_old_words_change_nothing() -> None:
    """A host's records are taken in its own order: a detector that begins anew may say some again."""
    scene = fleet()
    first, second = scene.told("host-1", "a"), scene.told("host-1", "b")
    fold = Configurations()
    for offset, record in enumerate((first, second, first, second)):
        fold.take(record, offset, offset)
    fact = fold.services["web"]["host-1"]
    assert (NAMES["b"], 1) == (fact.version, fact.since)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hosts and files those stay that were heard of last; a file that is told of no more leaves after a day."""
    monkeypatch.setattr("mendline.responders.configurations.MOST_HOSTS", 2)
    monkeypatch.setattr("mendline.responders.configurations.MOST_FILES", 3)
    scene, fold = fleet(), Configurations()
    for number in range(5):
        fold.take(scene.told(f"host-{number}", "a"), number, number)
        fold.take(scene.told("host-9", "a", f"/{number}"), number, number)
    assert ["host-4", "host-9"] == list(fold.services["web"])
    assert ["/2", "/3", "/4"] == list(fold.services["web"]["host-9"].files)
    fold.take(scene.told("host-9", "a"), HEARD_WITHIN_MS + 5, 9)
    assert [PATH] == list(fold.services["web"]["host-9"].files)
    fold.take(scene.told("host-9", "a"), 3 * HEARD_WITHIN_MS, 10)
    assert ["host-9"] == list(fold.services["web"])


def test_people_see_who_differs_without_an_entry() -> None:
    """All hosts of a service are compared; what an entry groups is compared within the group."""
    scene = fleet(entries=({"service": "web", "hosts": "host-[12]", "declared": NAMES["b"][:8]},))
    scene.have("abcc")
    declared, rest = standing(scene.journal, Policies.of(scene.settings), ["web"])
    assert (True, ["host-2"], ["host-1"]) == (declared.declared, declared.hosts, list(declared.differing))
    assert (NAMES["c"], ["host-3", "host-4"], {}) == (rest.version, rest.hosts, rest.differing)


def test_an_entry_may_mean_a_group_of_hosts() -> None:
    """Those of the group are compared with one another, and with no others."""
    drift = [{"service": "web", "group": "shop", "hold": HOLD_MS}]
    scene = Fleet(Settings.model_validate({"drift": drift, "groups": {"shop": ["host-[123]"]}}))
    scene.have("aabbbb")
    scene.tick(HOLD_MS)
    assert [("host-3/web", "opened")] == scene.drift()


def test_the_entries_stand_in_the_journal_with_the_policies() -> None:
    """Every reader judges by the same ones: others have another hash."""
    assert Policies.of(fleet().settings).hash != Policies.of(Settings()).hash
    assert fleet().settings.drift == fleet().journal.policies.drift  # type: ignore[union-attr]
    assert ConfigurationFact() == ConfigurationFact.model_validate(ConfigurationFact().model_dump(mode="json"))
