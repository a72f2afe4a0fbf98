"""The planner's seals: where they are cut, what they cover, and that every planner makes the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.responders.planner import PlannerStage
from mendline.responders.sealing import NOTHING, SEALED_EVERY_MS, Placed, Range, chain
from mendline.schemas.records import Seal, decode_record
from mendline.schemas.stream import JSON_HEADERS
from tests.responders.support import Entry, Scene, batch_of, order, progress

MINUTES = 3
RECORD = Placed(7, 1_000, b"key", b"value", JSON_HEADERS)


def lived() -> Scene:
    """Return a journal of some minutes."""
    scene = Scene()
    scene.tick(MINUTES * SEALED_EVERY_MS)
    return scene


LIVED = lived()


def seals_of(stage: PlannerStage, entries: Sequence[Entry], *, muted: bool = False) -> list[Seal]:
    """Return the seals that a planner says of the records."""
    said = [decode_record(new.value) for new in stage.fold(batch_of(entries, muted=muted))]
    return [one for one in said if isinstance(one, Seal)]


def digest_of(entries: Sequence[Entry]) -> str:
    """Return the digest over the records, worked out one by one."""
    raw = batch_of(entries).raw
    assert raw
    digest = NOTHING
    for row in zip(raw.offsets, raw.timestamps, raw.keys, raw.values, raw.headers, strict=True):
        digest = chain(digest, Placed(*row))
    return digest


def test_every_minute_of_the_journal_is_sealed_once_without_a_gap() -> None:
    """Ranges follow one on another, seals of earlier ranges in them, and each names the digest before."""
    scene = lived()
    seals = scene.all(Seal)
    assert len(seals) == MINUTES
    assert [one.first for one in seals] == [0, *(one.last + 1 for one in seals[:-1])]
    assert [one.previous for one in seals] == ["", *(one.digest for one in seals[:-1])]
    for seal in seals:
        covered = scene.entries[seal.first : seal.last + 1]
        assert (seal.records, seal.digest) == (len(covered), digest_of(covered))
        assert len({entry.append_time // SEALED_EVERY_MS for entry in covered}) == 1
        assert seal.signature


def test_nothing_is_sealed_while_nothing_is_written() -> None:
    """A seal is a record too: it must not call for the next one for ever."""
    scene = Scene()
    scene.now += 10 * SEALED_EVERY_MS
    scene.say(order("note"))
    assert len(scene.all(Seal)) == 1


def test_a_planner_that_was_killed_goes_on_from_its_snapshot() -> None:
    """In the middle of a range, and whatever was said since is said again with the same bytes."""
    scene = lived()
    for cut in range(1, len(scene.entries), 7):
        before, after = scene.new_planner(), scene.new_planner()
        said = seals_of(before, scene.entries[:cut])
        after.load(list(before.dump()))
        assert scene.all(Seal) == said + seals_of(after, scene.entries[cut:])


@pytest.mark.slow
@given(cuts=st.lists(st.integers(1, MINUTES * 60), max_size=20, unique=True).map(sorted))
def test_seals_do_not_depend_on_where_batches_end(cuts: list[int]) -> None:
    """One batch or hundreds."""
    stage = LIVED.new_planner()
    borders = [0, *cuts, len(LIVED.entries)]
    said = [seal for begin, end in pairwise(borders) for seal in seals_of(stage, LIVED.entries[begin:end])]
    assert LIVED.all(Seal) == said


def test_a_planner_without_a_snapshot_makes_the_same_seals_from_the_second_range_on() -> None:
    """It reads back a day, muted up to where the earlier one stood; what it does not know it does not claim."""
    scene = lived()
    first, second, _ = scene.all(Seal)
    stage = scene.new_planner()
    assert not seals_of(stage, scene.entries[5 : first.last + 10], muted=True)
    again, last = seals_of(stage, scene.entries[first.last + 10 :])
    assert again == second.model_copy(update={"previous": ""})
    assert last == scene.all(Seal)[-1]


def test_a_record_that_the_planner_was_not_given_ends_the_range() -> None:
    """It was left out for what it did to the planner, or retention was faster: nobody claims to have seen it."""
    scene = lived()
    first, *_ = scene.all(Seal)
    said = seals_of(scene.new_planner(), scene.entries[:10] + scene.entries[11:])
    assert [(one.first, one.last) for one in said[:2]] == [(0, 9), (11, first.last)]
    assert said[1].previous == said[0].digest


def test_two_planners_at_once_say_the_same() -> None:
    """A frozen one that wakes up repeats what is there already, and its repeats are sealed like any record."""
    scene = lived()
    other = scene.new_planner()
    scene.take([new for new in other.fold(batch_of(scene.entries)) if decode_record(new.value).type == "seal"])
    scene.run()
    seals = scene.all(Seal)
    assert seals[:MINUTES] == seals[MINUTES:]
    scene.now += SEALED_EVERY_MS
    scene.say(progress(scene))
    assert scene.all(Seal)[-1].first == seals[MINUTES - 1].last + 1


@pytest.mark.parametrize(
    "other",
    [
        RECORD._replace(offset=8),
        RECORD._replace(append_time=1_001),
        RECORD._replace(key=None),
        RECORD._replace(key=b""),
        RECORD._replace(key=b"ke", value=b"yvalue"),
        RECORD._replace(value=b"Value"),
        RECORD._replace(headers=()),
        RECORD._replace(headers=[("content-type", b"application/json"), ("", b"")]),
        RECORD._replace(headers=[("content-typ", b"eapplication/json")]),
    ],
)
def test_all_of_a_record_is_in_the_digest(other: Placed) -> None:
    """And no byte can move from one part to the next."""
    digests = [chain(NOTHING, one) for one in (RECORD, other, RECORD._replace(key=None), RECORD._replace(key=b""))]
    assert digests[0] != digests[1]
    assert digests[2] != digests[3]


def test_headers_are_the_same_as_list_and_as_tuple() -> None:
    """Each log gives them in its own way."""
    assert chain(NOTHING, RECORD) == chain(NOTHING, RECORD._replace(headers=list(JSON_HEADERS)))


def test_a_range_begins_with_its_first_record() -> None:
    """And counts what it covers."""
    found = Range()
    for offset in (7, 9):
        found.add(RECORD._replace(offset=offset))
    assert (found.first, found.last, found.records) == (7, 9, 2)
