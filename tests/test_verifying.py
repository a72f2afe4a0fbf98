"""A journal is compared with its seals: whatever was changed is found, and what planners go through is no alarm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mendline.responders.planner import PlannerStage
from mendline.responders.sealing import SEALED_EVERY_MS, Placed, placed
from mendline.responders.signing import KeyRing
from mendline.schemas.records import Seal, decode_record, encode_record
from mendline.schemas.stream import Batch
from mendline.verifying import Verdict, compare
from tests.responders.support import JOURNAL, SECOND, Entry, Scene, batch_of, raw_of

MINUTES = 4

Rows = list[Placed]


@cache
def keys() -> KeyRing:
    """Return the keys of the planner and of whoever verifies."""
    return KeyRing(Path(mkdtemp(prefix="mendline-")))


def planner(scene: Scene) -> PlannerStage:
    """Return a planner that signs in earnest."""
    return PlannerStage(scene.settings, JOURNAL, keys().sign, lambda _: None)


def lived(minutes: int = MINUTES) -> Scene:
    """Return a journal of some minutes, sealed up to the last of them."""
    scene = Scene()
    scene.stage = planner(scene)
    scene._read = 0
    scene.tick(minutes * SEALED_EVERY_MS)
    return scene


def rows_of(entries: Sequence[Entry]) -> Rows:
    """Return a journal as it stands on the log."""
    return list(placed(raw_of(entries)))


def batches(rows: Rows, size: int = 50) -> Iterator[Batch]:
    """Yield the rows in batches."""
    for begin in range(0, len(rows), size):
        columns = [list(column) for column in zip(*rows[begin : begin + size], strict=True)]
        yield Batch(JOURNAL, *columns)


def verdict_of(rows: Rows, noted: str | None = None, oldest: int = 0) -> Verdict:
    """Return what is found in a journal whose log says that it begins at `oldest`."""
    return compare(batches(rows), batches(rows, 7), oldest, keys().why_not, lambda _: None, noted)


def seals_in(rows: Rows) -> list[tuple[int, Seal]]:
    """Return the seals with their places in `rows`."""
    found = ((at, decode_record(row.value)) for at, row in enumerate(rows))
    return [(at, one) for at, one in found if isinstance(one, Seal)]


def says(rows: Rows, kind: str, *words: str) -> None:
    """Fail unless the first problem is of this kind and its text has these words."""
    problem = verdict_of(rows).problem
    assert problem
    assert problem.kind == kind, problem
    for word in words:
        assert word in problem.text


@cache
def journal() -> tuple[Placed, ...]:
    """Return the rows of a journal that nobody touched."""
    return tuple(rows_of(lived().entries))


@pytest.fixture
def rows() -> Rows:
    """Return such a journal to be touched."""
    return list(journal())


def reseal(row: Placed, **changes: object) -> Placed:
    """Return the row with another seal in it, signed by the planner's key."""
    seal = decode_record(row.value)
    assert isinstance(seal, Seal)
    return row._replace(value=encode_record(keys().sign(seal.model_copy(update=changes))))


def test_a_journal_that_nobody_touched_is_as_sealed(rows: Rows) -> None:
    """Every record is verified, or counted as younger than the last seal."""
    found = verdict_of(rows)
    *_, (_, last) = seals_in(rows)
    assert found.problem is None
    assert (found.seals, found.records, found.last, found.digest) == (MINUTES, last.last + 1, last.last, last.digest)
    assert (found.older, found.left_out, found.younger) == (0, 0, len(rows) - last.last - 1)
    assert found.since == rows[0].append_time


def altered(row: Placed) -> Placed:
    """Return the row with one letter of its value changed."""
    return row._replace(value=row.value.replace(b'"lag":0', b'"lag":1'))


@pytest.mark.parametrize(
    "change",
    [
        altered,
        lambda row: row._replace(key=b"other"),
        lambda row: row._replace(append_time=row.append_time + 1),
        lambda row: row._replace(headers=()),
    ],
)
def test_a_record_that_was_altered_is_found_with_its_range(rows: Rows, change: Callable[[Placed], Placed]) -> None:
    """Value, key, time or headers; the range is named by offsets and times."""
    _, (_, second), *_ = seals_in(rows)
    place = second.first + 5
    assert rows[place] != change(rows[place])
    rows[place] = change(rows[place])
    says(
        rows, "altered", f"offsets {second.first} to {second.last}, appended 2023-11-14 22:", "at least one was changed"
    )


def test_a_record_that_was_removed_is_found(rows: Rows) -> None:
    """And how many are left."""
    (_, first), *_ = seals_in(rows)
    del rows[10]
    says(
        rows, "altered", f"offsets 0 to {first.last}", f"{first.records} records were there and {first.records - 1} are"
    )


def test_a_record_that_was_inserted_is_found(rows: Rows) -> None:
    """All that follow it moved by one."""
    rows[10:] = [rows[10], *(row._replace(offset=row.offset + 1) for row in rows[10:])]
    says(rows, "altered", "offsets 0 to ")


def test_records_that_changed_places_are_found(rows: Rows) -> None:
    """Their offsets and times stayed."""
    rows[10], rows[11] = (
        rows[10]._replace(value=rows[11].value),
        rows[11]._replace(value=rows[10].value),
    )
    says(rows, "altered", "offsets 0 to ")


def test_a_seal_that_was_removed_is_found(rows: Rows) -> None:
    """The next one names it."""
    _, (place, second), *_ = seals_in(rows)
    del rows[place]
    says(rows, "missing", f"the seal of offsets {second.first} to {second.last} is missing")


def test_a_seal_that_was_altered_is_not_believed(rows: Rows) -> None:
    """Its signature does not fit any more."""
    place, _ = seals_in(rows)[1]
    rows[place] = rows[place]._replace(value=rows[place].value.replace(b'"records":', b'"records":1'))
    says(rows, "untrusted", f"the seal at offset {place}", "its signature with key")


@pytest.mark.parametrize(
    ("signature", "word"),
    [("removed", "it is not signed"), ("a stranger's", "is not trusted here: add the public key")],
)
def test_a_seal_of_a_stranger_is_not_believed(rows: Rows, tmp_path: Path, signature: str, word: str) -> None:
    """Whoever changes records can make new seals, but not with a key that is trusted."""
    place, seal = seals_in(rows)[2]
    other = seal.model_copy(update={"signature": None}) if signature == "removed" else KeyRing(tmp_path).sign(seal)
    rows[place] = rows[place]._replace(value=encode_record(other))
    says(rows, "untrusted", f"the seal at offset {place}", word)


def test_a_seal_that_follows_on_another_one_breaks_the_chain(rows: Rows) -> None:
    """Even if it is signed: part of the journal is of another one."""
    place, _ = seals_in(rows)[1]
    rows[place] = reseal(rows[place], previous="f" * 64)
    says(rows, "chain", f"the seal at offset {place}", "breaks the chain")


def test_a_seal_before_what_it_covers_is_out_of_order(rows: Rows) -> None:
    """No planner seals what it has not read."""
    place, _ = seals_in(rows)[1]
    rows[place] = reseal(rows[place], last=place)
    says(rows, "order", "it does not stand behind what it covers")


def test_seals_that_overlap_are_out_of_order(rows: Rows) -> None:
    """A planner cuts at the same places as the one before."""
    place, seal = seals_in(rows)[1]
    rows[place] = reseal(rows[place], first=seal.first - 1)
    says(rows, "order", f"the one before covers up to {seal.first - 1}")


def test_the_first_difference_is_told(rows: Rows) -> None:
    """Further ones may follow from it."""
    (_, first), *_, (place, _) = seals_in(rows)
    del rows[place]
    rows[3] = altered(rows[3])
    rows[0] = rows[0]._replace(key=b"other")
    says(rows, "altered", f"offsets 0 to {first.last}")


def test_a_journal_without_seals_is_not_taken_for_verified(rows: Rows) -> None:
    """As one of an earlier version; nor one of which all seals were removed, nor an empty one."""
    says([row for row in rows if b'"seal"' not in row.value], "unsealed", "written before there were seals")
    says([], "unsealed", "it is empty")


def test_what_retention_let_go_of_is_no_difference(rows: Rows) -> None:
    """Verification begins with the first seal whose records are all there."""
    _, (_, second), (_, third), *_ = seals_in(rows)
    found = verdict_of(rows[second.first + 3 :], oldest=second.first + 3)
    assert found.problem is None
    assert (found.seals, found.older) == (MINUTES - 2, third.first - second.first - 3)


def test_what_was_cut_off_the_end_is_found_by_a_digest_that_was_noted(rows: Rows) -> None:
    """Without one, a journal that ends earlier is as good as any."""
    *_, (_, last) = seals_in(rows)
    cut = rows[: last.first]
    assert verdict_of(rows, last.digest).problem is None
    assert verdict_of(cut).problem is None
    problem = verdict_of(cut, last.digest).problem
    assert problem
    assert problem.kind == "cut"


def test_a_journal_that_was_sealed_late_is_as_sealed() -> None:
    """It was written by an earlier version, or while no planner ran."""
    scene = lived()
    entries = [one for one in scene.entries if not isinstance(one.record, Seal)]
    scene.entries = [Entry(one.record, at, one.log_time, one.append_time) for at, one in enumerate(entries)]
    scene.stage = planner(scene)
    scene._read = 30
    scene.run()
    found = verdict_of(rows_of(scene.entries))
    assert found.problem is None
    assert (found.seals, found.older) == (MINUTES, 30)


def go_on(scene: Scene, minutes: int = 2) -> Rows:
    """Let the planner work on, and return the journal."""
    scene.tick(minutes * SEALED_EVERY_MS)
    return rows_of(scene.entries)


def test_a_restarted_planner_continues_the_chain() -> None:
    """From its snapshot, in the middle of a range."""
    scene = lived()
    scene.tick(20 * SECOND)
    blocks = list(scene.stage.dump())
    scene.stage = planner(scene)
    scene.stage.load(blocks)
    found = verdict_of(go_on(scene))
    assert (found.problem, found.seals, found.left_out) == (None, MINUTES + 2, 0)


def test_a_planner_that_lost_its_snapshots_is_no_alarm() -> None:
    """Wherever it begins to read back, and wherever the one before it stood."""
    whole = lived()
    for begin, stood in ((0, 100), (70, 100), (65, 240), (100, 105), (100, 200)):
        scene = Scene()
        scene.entries, scene.now = list(whole.entries), whole.now
        scene.stage = planner(scene)
        scene.stage.fold(batch_of(scene.entries[begin:stood], muted=True))
        scene._read = stood
        found = verdict_of(go_on(scene))
        assert (found.problem, found.left_out) == (None, 0)
        assert found.records > len(whole.entries)


def test_two_planners_at_once_are_no_alarm() -> None:
    """What the second says, late and again, is covered already."""
    scene = lived()
    zombie = planner(scene)
    scene.take(zombie.fold(batch_of(scene.entries[:-70])))
    scene.take(zombie.fold(batch_of(scene.entries[-70:])))
    found = verdict_of(go_on(scene))
    assert (found.problem, found.seals) == (None, MINUTES + 2)
    assert len(seals_in(rows_of(scene.entries))) > found.seals


def test_what_the_planner_never_saw_is_counted() -> None:
    """It does not claim to have sealed a record that it was not given; those around it are sealed."""
    scene = Scene()
    stage = planner(scene)
    scene.tick(SEALED_EVERY_MS // 2)
    said = list(stage.fold(batch_of(scene.entries[:10])))
    scene.tick(SEALED_EVERY_MS)
    said += stage.fold(batch_of(scene.entries[12:]))
    scene.entries = [one for one in scene.entries if not isinstance(one.record, Seal)]
    scene.take(said)
    found = verdict_of(rows_of(scene.entries))
    assert (found.problem, found.left_out) == (None, 2)


def edit(name: str, rows: Rows, at: int, content: bytes) -> None:
    """Make one change to the journal at place `at`."""
    row = rows[at]
    if name == "remove":
        del rows[at]
    elif name == "insert":
        rows[at:] = [row._replace(value=content), *(one._replace(offset=one.offset + 1) for one in rows[at:])]
    else:
        changed = {
            "value": row._replace(value=content),
            "key": row._replace(key=content),
            "headers": row._replace(headers=(("content-type", content),)),
            "append_time": row._replace(append_time=row.append_time - 1 - len(content)),
        }
        rows[at] = changed[name]


EDITS = ("value", "key", "headers", "append_time", "remove", "insert")


@pytest.mark.slow
@given(data=st.data(), name=st.sampled_from(EDITS), content=st.binary(max_size=30))
def test_any_single_change_of_what_is_sealed_is_found(data: st.DataObject, name: str, content: bytes) -> None:
    """Wherever it is: in a record, in a seal, between two."""
    rows = list(journal())
    *_, (_, last) = seals_in(rows)
    edit(name, rows, data.draw(st.integers(0, last.last)), content)
    assume(tuple(rows) != journal())
    assert verdict_of(rows).problem
