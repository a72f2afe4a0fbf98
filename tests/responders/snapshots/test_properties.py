"""Any tree of files comes back as it was, whatever became of it; what is kept is what a naive model keeps."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mendline.responders.snapshots.manifest import Manifest, digest_of
from mendline.responders.snapshots.restoration import Restoration
from mendline.responders.snapshots.store import DAY_MS, Store, snapshot_id
from tests.responders.snapshots.support import NOW_MS, Place, soon

NAMES = st.sampled_from(["a", "b", "ä b", "x\n", "\udcff"])
CONTENT = st.binary(max_size=40)
MODES = st.sampled_from([0o600, 0o640, 0o755])
TREES = st.dictionaries(st.tuples(NAMES, NAMES), st.one_of(st.tuples(CONTENT, MODES), NAMES), max_size=6)

Tree = Mapping[tuple[str, str], tuple[bytes, int] | str]


def grow(root: Path, tree: Tree) -> None:
    """Make the tree: names of folder and file, each with content and mode, or with the target of a link."""
    root.mkdir(exist_ok=True)
    for (folder, name), what in tree.items():
        path = root / folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(what, str):
            path.symlink_to(what)
        else:
            path.write_bytes(what[0])
            path.chmod(what[1])


def seen(root: Path) -> Mapping[str, object]:
    """Return all there is below the folder, as `ls` and `cat` would show it."""
    return {
        str(path.relative_to(root)): (
            stat.filemode(path.lstat().st_mode),
            path.lstat().st_mtime_ns,
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in root.rglob("*")
    }


@pytest.mark.slow
@given(good=TREES, bad=TREES)
@settings(max_examples=10)
def test_any_tree_comes_back(good: Tree, bad: Tree) -> None:
    """Names of any bytes, modes, times and links, whether files were changed, added or lost."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.path.parent.mkdir()
        grow(place.path, good)
        before = seen(place.path)
        place.save()
        shutil.rmtree(place.path)
        grow(place.path, bad)
        Restoration(place.store, place.settings(), place.service, soon()).run()
        assert before == seen(place.path)


@pytest.mark.slow
@given(
    hours=st.lists(st.integers(0, 24 * 9), unique=True, min_size=1, max_size=12),
    keep=st.integers(1, 4),
    daily=st.integers(0, 4),
)
@settings(max_examples=10)
def test_what_is_kept_is_what_a_naive_model_keeps(hours: Sequence[int], keep: int, daily: int) -> None:
    """The newest, and the last of each of the newest days that have any."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), "web", "stock")
        times = sorted(NOW_MS + hour * 3_600_000 for hour in hours)
        with store.locked():
            for time in times:
                name = snapshot_id(time, digest_of(()))
                store.publish(Manifest(name, "web", "stock", "files", time, digest_of(()), ()))
            store.thin_out(keep, daily)
        days = sorted({time // DAY_MS for time in times}, reverse=True)[:daily]
        last = [max(time for time in times if time // DAY_MS == day) for day in days]
        expected = sorted({*times[-keep:], *last}, reverse=True)
        assert [snapshot_id(time, digest_of(())) for time in expected] == list(store.ids())
