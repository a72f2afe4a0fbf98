"""A member: outputs before offsets, restore, mute, ticks, progress, dead letters, back-pressure."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mendline.logs.base import Committed, LogRefusedError, LogUnavailableError
from mendline.runtime import member as member_module
from mendline.runtime import snapshots
from mendline.runtime.deadletters import StageStoppedError
from mendline.runtime.member import Member
from mendline.runtime.outbox import MOST_PENDING
from mendline.runtime.restore import Start
from mendline.runtime.restore import find_start as find_real_start
from mendline.runtime.spec import StageSpec
from mendline.schemas.stream import NewRecord, Partition
from tests.runtime.support import INPUT, Bench, RunningSum

METRICS = Partition(INPUT, 0)


@pytest.fixture(name="bench")
def _bench() -> Bench:
    return Bench()


def committed(bench: Bench) -> Committed | None:
    """Return the group's place."""
    return bench.log.consumer("x", group="t.sum").committed(METRICS)


def place_of(bench: Bench) -> str:
    """Return where the newest snapshot stands that counts."""
    return (committed(bench) or Committed(0)).metadata


def turns(member: Member, count: int = 3) -> None:
    """Let the member work."""
    for _ in range(count):
        member.turn()


def test_outputs_follow_inputs_in_order(bench: Bench) -> None:
    """What a stage says of each record stands on the output topic in the same order."""
    with bench.running() as member:
        bench.put(1, 2, 3)
        turns(member)
    assert [["a", 1], ["a", 3], ["a", 6]] == bench.totals()


def test_what_is_delivered_again_is_not_folded_again(bench: Bench) -> None:
    """However often the log says it, as after a connection that broke."""
    with bench.running() as member:
        bench.put(1, 2, 3)
        turns(member)
        consumer, _ = member._parts()
        consumer.start(METRICS, 1)
        bench.put(4)
        turns(member)
    assert [["a", 1], ["a", 3], ["a", 6], ["a", 10]] == bench.totals()


def test_offsets_are_committed_only_after_outputs_are_acknowledged(bench: Bench) -> None:
    """An output the log has not answered for keeps the offset where it was."""
    with bench.running() as member:
        bench.put(1)
        bench.log.hold_answers()
        turns(member)
        assert committed(bench) is None
        bench.log.release_answers()
        turns(member)
        assert 1 == (committed(bench) or Committed(0)).offset


def test_a_crash_before_the_acknowledgement_loses_nothing(bench: Bench) -> None:
    """The next life reads the record again and says what was not acknowledged."""
    dead = bench.member()
    dead.turn()
    bench.put(5)
    bench.log.fail_next()
    turns(dead)
    dead.close()
    with bench.running() as member:
        turns(member)
    assert [["a", 5]] == bench.totals()


def test_a_restart_goes_on_from_the_snapshot_without_repeating_anything(bench: Bench) -> None:
    """After a clean stop the state is there again and nothing is read twice."""
    with bench.running() as member:
        bench.put(1, 2)
        turns(member)
    with bench.running() as member:
        bench.put(3)
        turns(member)
    assert [["a", 1], ["a", 3], ["a", 6]] == bench.totals()
    assert [3] == [len(one.offsets) + 2 for one in bench.stages[-1].inputs]


def test_what_was_acknowledged_after_the_snapshot_is_folded_again_but_muted(bench: Bench) -> None:
    """A member that dies without a farewell costs re-reading, and no repeat."""
    dead = bench.member()
    dead.turn()
    bench.put(1)
    turns(dead)
    bench.clock.advance(11)
    turns(dead)
    bench.put(2)
    turns(dead)
    dead.close()
    with bench.running() as member:
        bench.put(4)
        turns(member)
    assert [["a", 1], ["a", 3], ["a", 7]] == bench.totals()
    assert [True, False] == [one.muted for one in bench.stages[-1].inputs]


def test_a_snapshot_that_the_log_did_not_take_whole_does_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before goes on counting, and the next is whole again."""
    monkeypatch.setattr(snapshots, "PORTION_BYTES", 1)
    with bench.running() as member:
        bench.put(1)
        bench.put(2, source="b")
        turns(member)
    place = place_of(bench)
    assert place
    cut_short = bench.member()
    cut_short.turn()
    bench.put(4)
    turns(cut_short)
    bench.clock.advance(11)
    bench.log.fail_next()
    turns(cut_short)
    assert place == place_of(bench)
    bench.clock.advance(60)
    turns(cut_short)
    assert place != place_of(bench)
    cut_short.close()
    with bench.running() as member:
        bench.put(8)
        turns(member)
    assert [["a", 1], ["b", 2], ["a", 5], ["a", 13]] == bench.totals()


def test_a_batch_that_crosses_the_muted_border_is_cut_there(bench: Bench) -> None:
    """Of one batch the acknowledged part is muted and the rest is not."""
    dead = bench.member()
    dead.turn()
    bench.put(1)
    turns(dead)
    dead.close()
    bench.put(2)
    with bench.running() as member:
        turns(member)
    assert [["a", 1], ["a", 3]] == bench.totals()


def test_new_settings_begin_with_a_warm_up_and_an_activation(bench: Bench) -> None:
    """State made under other settings is not taken over; the journal says from which offset the new ones count."""
    with bench.running(config="c1") as member:
        bench.put(1)
        turns(member)
    with bench.running(config="c2") as member:
        turns(member)
        bench.put(2)
        turns(member)
    activations: list[Any] = [one for one in bench.read("t.journal") if one["type"] == "activation"]  # type: ignore[index]
    assert [("c1", 0), ("c2", 1)] == [(one["config"], one["offset"]) for one in activations]
    assert [["a", 1], ["a", 3]] == bench.totals()


def test_log_time_goes_on_where_the_snapshot_left_it(bench: Bench) -> None:
    """A restart neither loses nor adds log time."""
    with bench.running() as member:
        bench.put(1)
        bench.clock.advance(1)
        bench.put(1)
        turns(member)
    bench.clock.advance(1.5)
    bench.put(1)
    with bench.running() as member:
        turns(member)
    assert [2500] == bench.stages[-1].inputs[-1].log_times.tolist()


def test_an_unreadable_record_is_dead_lettered_and_the_rest_goes_on(bench: Bench) -> None:
    """The bytes, the place and the reason are kept."""
    with bench.running() as member:
        bench.put(1)
        bench.put_bytes(b"\xff\x00 no record")
        bench.put(2)
        turns(member)
    letters: list[Any] = bench.read("t.deadletter")
    assert [["a", 1], ["a", 3]] == bench.totals()
    assert [(1, "/wAgbm8gcmVjb3Jk")] == [(one["offset"], one["value"]) for one in letters]
    assert letters[0]["reason"]


def letters_of(bench: Bench) -> list[tuple[int, str]]:
    """Return the dead letters: offset and reason."""
    letters: list[Any] = bench.read("t.deadletter")
    return [(one["offset"], one["reason"]) for one in letters]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stage fail on an interval of 7, 8 or 9, after it has spoilt its state."""
    monkeypatch.setattr(RunningSum, "poisoned_by", frozenset({7, 8, 9}))


@pytest.mark.usefixtures("poison")
def test_the_one_record_that_a_stage_fails_on_is_found_and_left_out(bench: Bench) -> None:
    """Whatever the stage had done by then is undone; the rest is as if the record had never been."""
    with bench.running() as member:
        bench.put(1, 2)
        turns(member)
        bench.put(3, 7, 4, 8, 5)
        turns(member, 12)
    said: list[Any] = bench.totals()
    assert [1, 3, 6, 10, 15] == sorted({total for _, total in said})
    assert {3, 5} == {offset for offset, _ in letters_of(bench)}
    assert "the stage sum failed on it: ZeroDivisionError: of this stage" == letters_of(bench)[0][1]


@pytest.mark.usefixtures("poison")
def test_poison_stays_out_over_a_restart(bench: Bench) -> None:
    """A snapshot before it and one behind it give the same sums."""
    dead = bench.member()
    dead.turn()
    bench.put(1, 7, 2)
    turns(dead, 8)
    dead.close()
    bench.put(3)
    with bench.running() as member:
        turns(member, 8)
    assert ["a", 6] == bench.totals()[-1]


@pytest.mark.usefixtures("poison")
def test_a_stage_that_fails_on_everything_stops_and_says_so(bench: Bench) -> None:
    """The fault is its own then; what it has not taken stays on the log."""
    member = bench.member()
    member.turn()
    bench.put(*[9] * 20)
    with pytest.raises(StageStoppedError, match=r"sum: failed on 11 records of t\.metrics partition 0"):
        turns(member, 40)
    assert 0 == len(letters_of(bench))
    member.close()


def test_a_stage_stops_before_it_drains_a_topic_into_the_dead_letters(bench: Bench) -> None:
    """It says how many of how many, and why; a few among many go on."""
    member = bench.member()
    member.turn()
    for _ in range(30):
        bench.put(1, 1, 1, 1, 1)
        bench.put_bytes(*[b"\xff"] * 4)
        turns(member)
    assert 120 == len(letters_of(bench))
    bench.put_bytes(*[b"\xff"] * 20)
    turns(member)
    bench.put_bytes(*[b"\xff"] * 300)
    with pytest.raises(StageStoppedError, match=r"sum: .* of the last .* records of t\.metrics partition 0 were unrea"):
        turns(member)
    assert 140 == len(letters_of(bench))
    member.close()


def test_a_quiet_partition_gets_a_tick(bench: Bench) -> None:
    """Log time goes on although nobody writes."""
    member = bench.member(ticks=True)
    member.turn()
    for _ in range(3):
        bench.clock.advance(1.1)
        turns(member)
    assert ["tick"] * 3 == [one["type"] for one in bench.read(INPUT)]  # type: ignore[index]
    member.close()


def test_progress_is_reported_once_a_second(bench: Bench) -> None:
    """The journal hears how far each partition is."""
    member = bench.member(progress=True)
    for _ in range(3):
        turns(member)
        bench.clock.advance(1)
    reports: list[Any] = [one for one in bench.read("t.journal") if one["type"] == "progress"]  # type: ignore[index]
    assert [0, 0, 0] == [one["offset"] for one in reports]
    member.close()


@pytest.mark.parametrize("progress", [True, False])
def test_every_member_tells_its_lag(bench: Bench, *, progress: bool) -> None:
    """Those too that report no progress on the journal: somebody watches whether they keep up."""
    member = bench.member(progress=progress)
    bench.put(1, 2)
    turns(member)
    bench.clock.advance(1)
    turns(member)
    assert 0 == member.metrics.snapshot()["mendline_lag_records", "sum", "0"]
    member.close()


def test_while_the_log_takes_nothing_a_member_stops_reading_and_later_goes_on(bench: Bench) -> None:
    """Outputs that wait are bounded, and none is lost."""
    with bench.running() as member:
        bench.log.hold_answers()
        for number in range(3 * MOST_PENDING):
            bench.put(1)
            member.turn()
            assert len(member._parts()[1]) <= MOST_PENDING + 1, number
        bench.log.release_answers()
        turns(member, 5)
    assert [["a", n + 1] for n in range(3 * MOST_PENDING)] == bench.totals()


def test_an_append_that_fails_is_tried_again_in_order(bench: Bench) -> None:
    """The log may refuse to answer for a while."""
    with bench.running() as member:
        bench.put(1, 2)
        bench.log.fail_next(LogUnavailableError("away"), times=2)
        for _ in range(5):
            turns(member)
            bench.clock.advance(1)
    assert [["a", 1], ["a", 3]] == bench.totals()
    assert 2 == member.metrics.snapshot()["mendline_append_retries", "sum", ""]


def test_a_refusal_for_good_ends_the_member(bench: Bench) -> None:
    """What will never be accepted is not tried for ever."""
    member = bench.member()
    member.turn()
    bench.put(1)
    bench.log.fail_next(LogRefusedError("not allowed"))
    with pytest.raises(LogRefusedError, match="not allowed"):
        turns(member)
    member.close()


def test_two_members_share_the_partitions_and_the_heir_has_the_state() -> None:
    """A partition that moves takes its sums along."""
    bench = Bench(partitions=2)
    first = bench.member("one")
    turns(first)
    bench.put(1, partition=0)
    bench.put(10, partition=1)
    turns(first)
    second = bench.member("two")
    for _ in range(4):
        turns(first)
        turns(second)
    assert {0, 1} == {one.number for one in (*first.partitions, *second.partitions)}
    assert 1 == len(second.partitions)
    bench.put(2, partition=0)
    bench.put(20, partition=1)
    turns(first)
    turns(second)
    totals = [bench.read("t.windows", number) for number in (0, 1)]
    assert [[["a", 1], ["a", 3]], [["a", 10], ["a", 30]]] == totals
    first.close()
    second.close()


def test_run_ends_soon_after_stop_and_wake(bench: Bench) -> None:
    """SIGTERM's way out: finish, commit, leave."""
    member = bench.member()
    member.close()
    stop = threading.Event()
    thread = threading.Thread(target=member.run, args=(stop,))
    thread.start()
    stop.set()
    member.wake()
    thread.join(10)
    assert not thread.is_alive()


def test_a_partition_that_cannot_be_opened_costs_no_records_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a poll brought is folded although opening another partition fails for now."""
    bench = Bench(partitions=2)
    away = [True]

    def find_start(spec: StageSpec, partition: Partition, *rest: Any) -> Start:
        if partition.number == 1 and away:
            raise LogUnavailableError("away")
        return find_real_start(spec, partition, *rest)

    monkeypatch.setattr(member_module, "find_start", find_start)
    member = bench.member()
    for _ in range(4):
        bench.put(1, partition=0)
        with pytest.raises(LogUnavailableError):
            member.turn()
    away.clear()
    turns(member)
    assert [["a", 1], ["a", 2], ["a", 3], ["a", 4]] == bench.totals()
    assert 2 == len(member.partitions)
    member.close()


def test_without_a_snapshot_all_that_is_left_is_read_again(bench: Bench) -> None:
    """A member that died before its first snapshot, and long ago, loses no state."""
    dead = bench.member()
    dead.turn()
    bench.put(1, 2)
    turns(dead)
    dead.close()
    bench.clock.advance(3600)
    with bench.running() as member:
        bench.put(4)
        turns(member)
    assert [["a", 1], ["a", 3], ["a", 7]] == bench.totals()


def test_a_dead_letter_of_a_record_with_a_huge_key_still_fits(bench: Bench) -> None:
    """What nobody can read must not stop the stage because it is large, too."""
    with bench.running() as member:
        bench.log.producer("p").append([NewRecord(INPUT, b"junk" * 1000, b"k" * 900_000, 0)])
        bench.put(1)
        turns(member)
    assert [["a", 1]] == bench.totals()
    assert 1 == len(bench.read("t.deadletter"))
