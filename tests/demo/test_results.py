from __future__ import annotations

import json

from mendline.demo.results import Round, all_good, report
from mendline.demo.scenario import Finding


def test_report_has_the_promised_shape() -> None:
    """Other programs read the JSON: every key stands there, times in seconds, null where nothing happened."""
    kills = [
        Round(mended=True, actions=1, needed=1, detected_s=0.002, commanded_s=0.01, answering_s=0.05),
        Round(mended=True, actions=1, needed=1, detected_s=0.004, commanded_s=0.02, answering_s=0.0701),
        Round(mended=False, actions=0, needed=1),
    ]
    told = json.loads(
        json.dumps(
            report(
                "kafka://b:1",
                {
                    "kill": kills,
                    "stall": [
                        Round(mended=True, actions=0, needed=0, detected_s=None, commanded_s=None, answering_s=1.0)
                    ],
                },
            )
        )
    )
    assert told == {
        "log": "kafka://b:1",
        "scenarios": {
            "kill": {
                "rounds": 3,
                "mended": 2,
                "actions": 2,
                "needless": 0,
                "detected_s": {"min": 0.002, "median": 0.003, "max": 0.004},
                "commanded_s": {"min": 0.01, "median": 0.015, "max": 0.02},
                "answering_s": {"min": 0.05, "median": 0.06, "max": 0.07},
            },
            "stall": {
                "rounds": 1,
                "mended": 1,
                "actions": 0,
                "needless": 0,
                "detected_s": {"min": None, "median": None, "max": None},
                "commanded_s": {"min": None, "median": None, "max": None},
                "answering_s": {"min": 1.0, "median": 1.0, "max": 1.0},
            },
        },
    }


def test_an_action_on_a_stall_is_needless() -> None:
    """What goes on by itself needs no action, and what is killed needs one."""
    assert Round(mended=True, actions=1, needed=0).needless == 1
    assert Round(mended=True, actions=1, needed=1).needless == 0
    assert Round(mended=True, actions=2, needed=1).needless == 1


def test_another_action_than_the_one_that_was_needed_is_needless() -> None:
    """A restart where a number was to be changed is no repair of it, though it is one action too."""
    assert Round(mended=True, actions=1, needed=1, stray=1).needless == 1


def test_only_mended_without_need_is_good() -> None:
    """The exit status hangs on every round of every scenario."""
    good, needless, broken = (
        Round(mended=True, actions=1, needed=1),
        Round(mended=True, actions=1, needed=0),
        Round(mended=False, actions=1, needed=1),
    )
    assert all_good({"kill": [good, good]})
    assert not all_good({"kill": [good], "stall": [needless]})
    assert not all_good({"kill": [good, broken]})


def test_a_limit_that_was_passed_is_not_good() -> None:
    """An action that comes too late did not prevent anything, and the JSON counts it."""
    found = [Finding(good=not one, counts={"crossed": one}) for one in (False, True, False)]
    crossed = [Round(mended=True, actions=1, needed=1, found=one) for one in found]
    assert 1 == report("sqlite", {"leak": crossed})["scenarios"]["leak"]["crossed"]
    assert [True, False, True] == [one.good for one in crossed]
    assert not all_good({"leak": crossed})


def test_data_that_are_other_ones_afterwards_are_not_good() -> None:
    """However quickly the service answers; the JSON has both hashes of each round."""
    found = [
        Finding(
            good=after == "ab",
            counts={"intact": after == "ab"},
            times={"recovery_point_s": 2.5, "recovery_time_s": 0.75},
            shown={"sha256": {"before": "ab", "after": after}},
            same={"bytes": 100},
        )
        for after in ("ab", "cd")
    ]
    rounds = [Round(mended=True, actions=1, needed=1, found=one) for one in found]
    told = report("sqlite", {"corrupt-data": rounds})["scenarios"]["corrupt-data"]
    assert (100, 1) == (told["bytes"], told["intact"])
    assert [{"before": "ab", "after": "ab"}, {"before": "ab", "after": "cd"}] == told["sha256"]
    assert (2.5, 0.75) == (told["recovery_point_s"]["max"], told["recovery_time_s"]["min"])
    assert [True, False] == [one.good for one in rounds]
