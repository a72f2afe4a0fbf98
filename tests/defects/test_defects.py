"""The kept defects: each applies and names a check that there is, a few are tried, and the trial is honest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.defects.kept import FOLDER, Defect, HeaderError, kept, read
from tests.defects.trial import TREE, applies, fail_without, shortcoming
from tests.simulation.fleet.world import Fleet
from tests.simulation.world import World

FEW = (
    "a-host-does-not-wait-for-its-disk",
    "a-member-commits-before-it-has-sent",
    "an-id-has-a-random-part",
)
"""Those that every build tries; `make defects` tries all."""

KEPT = kept()
PRODUCT = "def one() -> int:\n    return 1\n"
TEST = "from product import one\n\n\ndef test_one():\n    assert one() == 1\n"


def test_every_patch_applies_to_the_tree_as_it_is() -> None:
    """Whoever changes what a defect is made of makes the defect anew: `make defects` would find nothing by it."""
    assert {one.name: why for one in KEPT if (why := applies(one))} == {}


def test_every_patch_names_a_check_that_there_is() -> None:
    """A test that is defined, or a promise and harm that the simulation knows."""
    assert [one.name for one in KEPT if not _has_check(one)] == []


def _has_check(defect: Defect) -> bool:
    if defect.breaks:
        known = "".join((TREE / "tests/simulation" / name).read_text() for name in ("harm.py", "fleet/harm.py"))
        kinds = Fleet.kinds if defect.fleet else World.kinds
        if defect.breaks not in kinds or any(f'"{name}"' not in known for name in defect.amid):
            return False
    if not defect.node:
        return bool(defect.breaks)
    path, _, test = defect.node.partition("::")
    name = re.escape(test.partition("[")[0])
    return bool(re.search(rf"^def {name}\(", (TREE / path).read_text(), re.MULTILINE))


@pytest.mark.heavy
@pytest.mark.parametrize("name", FEW)
def test_a_defect_is_caught(name: str) -> None:
    """The check fails with it, by an assertion, and passes without it."""
    defect = read(FOLDER / f"{name}.patch")
    assert (shortcoming(defect), fail_without([defect])) == ("", "")


# The trial itself -----------------------------------------------------------------------------------------------------


def made(folder: Path, instead: str) -> tuple[Defect, Path]:
    """Return a defect that has another line in a product of one function, and that product's tree."""
    tree = folder / "tree"
    tree.mkdir()
    (tree / "product.py").write_text(PRODUCT)
    (tree / "test_product.py").write_text(TEST)
    diff = f"--- a/product.py\n+++ b/product.py\n@@ -1,2 +1,2 @@\n def one() -> int:\n-    return 1\n+{instead}\n"
    (folder / "it.patch").write_text(f"It is wrong.\n\nFound-by: test_product.py::test_one\n\n{diff}")
    return read(folder / "it.patch"), tree


@pytest.mark.slow
@pytest.mark.parametrize(
    ("instead", "told"),
    [
        ("    return 2", ""),
        ("    return True", "the test passes all the same"),
        ("    return 1 / 0", "it fails, and not by an assertion:"),
        ("    return (", "the test could not be run (status 4):"),
    ],
)  # fmt: skip
def test_only_an_assertion_catches_a_defect(tmp_path: Path, instead: str, told: str) -> None:
    """What nobody notices, and what breaks the test itself, is told."""
    assert shortcoming(*made(tmp_path, instead)).partition("\n")[0] == told


def test_a_patch_that_does_not_apply_is_told(tmp_path: Path) -> None:
    """It is no defect by which anything is shown."""
    defect, tree = made(tmp_path, "    return 2")
    (tree / "product.py").write_text("one = None\n")
    assert "patch failed: product.py:1" in applies(defect, tree)
    assert shortcoming(defect, tree).startswith("the patch does not apply: error: patch failed: product.py:1")


def test_a_patch_may_name_a_test_and_a_promise(tmp_path: Path) -> None:
    """Of incidents, or of a whole fleet."""
    head = "It is wrong.\n\nFound-by: test_product.py::test_one\nFound-by: fleet lost\nAmid: log silent\nWorld: 4\n"
    (tmp_path / "it.patch").write_text(f"{head}\n--- a/product.py\n")
    wanted = Defect(
        tmp_path / "it.patch",
        "It is wrong.",
        "test_product.py::test_one",
        "lost",
        fleet=True,
        amid=("log silent",),
        world=4,
    )
    assert wanted == read(tmp_path / "it.patch")


@pytest.mark.parametrize("head", ["Found-by: test_product.py::test_one\n", "It is wrong.\n"])
def test_a_patch_without_a_header_is_refused(tmp_path: Path, head: str) -> None:
    """Of what is wrong, and what must find it."""
    (tmp_path / "it.patch").write_text(f"{head}\n--- a/product.py\n")
    with pytest.raises(HeaderError, match="a patch begins with what is wrong and `Found-by: TEST`"):
        kept(tmp_path)
