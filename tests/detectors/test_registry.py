"""Finding and configuring detectors: what is refused, and with which words."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mendline.detectors import DetectorError, check, find, registered
from mendline.detectors.conditions import Bounds, open_surprise
from mendline.detectors.configuring import Configured, configure, refuse_namesakes
from mendline.detectors.registry import (
    BUILT_IN,
    DetectorParametersError,
    DuplicateDetectorError,
    EntryPoint,
    UnknownDetectorError,
    installed,
)
from mendline.detectors.threshold import Threshold
from mendline.detectors.zscore import ZScore
from tests.detectors.support import settings


def configured(**fields: Any) -> Configured:
    """Return the detector of settings with these fields."""
    made = settings({"name": "d", "use": "zscore", **fields})
    return configure(made.detectors[0], made)


def refused(**fields: Any) -> str:
    """Return why settings with these fields are refused."""
    with pytest.raises(DetectorError) as caught:
        configured(**fields)
    return str(caught.value)


def test_find() -> None:
    """A detector is found by its name, by its dotted path, and by an entry point of a package."""
    assert find("zscore") is ZScore
    assert find("mendline.detectors.threshold:Threshold") is Threshold
    assert find("mine", [EntryPoint("mine", "mendline.detectors.zscore:ZScore", "acme")]) is ZScore


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import sys\nsys.exit(4)\n", "SystemExit: 4"),
        ("raise RuntimeError('no licence')\n", "RuntimeError: no licence"),
        ("from mendline.detectors import Detector\nclass Mine(Detector):\n    pass\n", "is abstract; define "),
        (
            "from mendline.detectors import Detector\nclass Mine(Detector):\n    step = print\n    arrays = {}.popitem",
            "cannot be made: KeyError: ",
        ),
    ],
)
def test_a_module_that_fails_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    """Whatever it does when it is imported or made; it is named, and the program goes on."""
    name = f"mine_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    said = refused(use=f"{name}:Mine")
    assert (told in said, name in said, "\n" in said) == (True, True, False)


@pytest.mark.parametrize("use", [":", "a:", ":A"])
def test_half_a_path_is_refused(use: str) -> None:
    """The message shows a whole one."""
    assert "write package.module:Class" in refused(use=use)


def test_registered_by_packages() -> None:
    """What packages register stands beside what is built in, by name."""
    assert list(registered([EntryPoint("mine", "acme.mine:Mine", "acme")])) == sorted([*BUILT_IN, "mine"])


def test_a_package_that_is_installed_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though what was found is kept as long as no folder of packages changes."""
    monkeypatch.syspath_prepend(tmp_path)
    before = installed()
    assert installed() is before
    _install(tmp_path, "theirs")
    assert [one for one in installed() if one not in before] == [EntryPoint("theirs", "theirs:Mine", "theirs")]


def _install(folder: Path, package: str) -> None:
    about = folder / f"{package}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n", encoding="utf-8")
    points = f"[mendline.detectors]\n{package} = {package}:Mine\n"
    (about / "entry_points.txt").write_text(points, encoding="utf-8")
    changed = folder.stat().st_mtime_ns + 1_000_000_000
    os.utime(folder, ns=(changed, changed))


def test_duplicate() -> None:
    """Two classes under one name are refused, with both packages named; one class named twice is fine."""
    again = EntryPoint("zscore", "mendline.detectors.zscore:ZScore", "mendline")
    assert registered([again])["zscore"] == "mendline.detectors.zscore:ZScore"
    with pytest.raises(DuplicateDetectorError, match=r"package mendline.*package acme"):
        registered([EntryPoint("zscore", "acme.z:Z", "acme")])


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("zscor", "did you mean zscore?.*registered: .*threshold, zscore"),
        ("nowhere.at.all:X", "nowhere.*PYTHONPATH"),
        ("mendline.detectors.zscore:Nothing", "Nothing"),
        ("mendline.detectors.zscore:LARGEST", "neither a subclass"),
        ("mendline.detectors.pools:Pool", "neither a subclass"),
    ],
)
def test_unknown(use: str, words: str) -> None:
    """An unknown detector is refused with what is known, the nearest name, or what to do."""
    with pytest.raises(UnknownDetectorError, match=words):
        find(use)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"parameters": {"window": 5}}, "it has no parameter 'window'; did you mean windows? known: floor, "),
        ({"parameters": {"windows": 1}}, "parameter windows = 1: Input should be greater than or equal to 2"),
        ({"use": "threshold"}, "give above or below"),
        ({"use": "threshold", "open": {"above": 5}, "clear": {"below": 6}}, "a value in both would open and clear"),
        ({"open": {"above": 5}, "clear": {"below": 1, "above": 2}}, "no value is below 1 and above 2"),
        ({"window": "7s"}, "no windows of 7000 ms are made; windows.widths and hopping give 10000 ms, 60000 ms"),
        ({"statistic": "p99"}, "statistic 'p99' is not among auto, count, "),
    ],
)
def test_refused(fields: dict[str, Any], words: str) -> None:
    """Settings that cannot work are refused in words that say what to do, beginning with whose they are."""
    message = refused(**fields)
    assert words in message
    assert message.startswith("detector d (")


def test_namesakes() -> None:
    """Two detectors of one name are refused, and so is one that takes the name of liveness."""
    one = {"name": "a", "use": "zscore"}
    for names in ([one, one], [{**one, "name": "liveness"}]):
        with pytest.raises(DetectorError, match="more than one detector"):
            refuse_namesakes(settings(*names))


def test_check_tells_all() -> None:
    """`check` tells of every detector what is wrong with it."""
    made = settings({"name": "a", "use": "zscor"}, {"name": "b", "use": "threshold"}, {"name": "c", "use": "zscore"})
    assert [problem.split(":")[0].split(";")[0] for problem in check(made)] == [
        "no detector is called 'zscor'",
        "detector b (threshold)",
    ]


def test_quantiles() -> None:
    """A quantile may be looked at where it is made: in the base window."""
    made = settings({"name": "d", "use": "zscore", "statistic": "p99"}, windows={"quantiles": [0.99]})
    assert configure(made.detectors[0], made).settings.statistic == "p99"
    wide = settings({"name": "d", "use": "zscore", "statistic": "p99", "window": "60s"}, windows={"quantiles": [0.99]})
    with pytest.raises(DetectorParametersError, match="base window only"):
        configure(wide.detectors[0], wide)


def test_budget() -> None:
    """The level at which a fault opens follows from the budget, and is never below 3."""
    assert open_surprise(settings(budget=1, series=10_000), 10_000) == pytest.approx(-math.log10(1 / (10_000 * 8640)))
    assert open_surprise(settings(budget=1e9, series=1), 10_000) == 3.0
    assert open_surprise(settings(host={"interval": "1s"}), 0) == pytest.approx(-math.log10(1 / (10_000 * 86_400)))


def test_bounds_of_surprise() -> None:
    """Without conditions the budget opens, and 0.7 of what opens clears."""
    assert configured(open={"above": 6}).bounds == Bounds(open_above=6.0, clear_below=0.7 * 6.0)
    level = open_surprise(settings(), 10_000)
    assert configured(open={"for": "20s"}).bounds == Bounds(open_above=level, clear_below=0.7 * level, open_hold=20_000)
    assert configured(clear={"below": 1, "for": "5s"}).bounds == Bounds(level, clear_below=1.0, clear_hold=5000)


def test_bounds_of_a_rule() -> None:
    """A rule opens outside of its bounds, clears inside of them, and neither on the other side of a wider clear."""
    bounds = configured(use="threshold", open={"above": 10, "below": 2}).bounds
    values = np.array([1.0, 2.0, 5.0, 10.0, 11.0, math.nan])
    assert bounds.bad(values).tolist() == [True, False, False, False, True, False]
    assert bounds.good(values).tolist() == [False, True, True, True, False, False]


def test_rule_by_parameters() -> None:
    """A rule may have its bounds as parameters instead, and then opens at once."""
    made = configured(use="threshold", parameters={"above": 5.0})
    assert (made.bounds.open_above, made.bounds.open_hold, made.kind) == (5.0, 0, "threshold")


def test_kind() -> None:
    """The settings may give a fault another word."""
    assert configured(kind="hot").kind == "hot"
