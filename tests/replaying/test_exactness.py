"""What was recorded comes again whatever the settings, the data, the lives of members, and the log."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mendline.schemas.rounds import encode_round
from mendline.schemas.stream import ROUND_HEADERS, NewRecord
from tests.replaying.support import TABLE, Studio, settings_of, verify

USES = ("zscore", "ewma", "mad", "cusum", "auto", "threshold", "absence")
SEEDS = 4


def settings_by_chance(chance: random.Random, folder: Path) -> Any:
    """Return settings with windows, detectors and partitions by chance."""
    pane = chance.choice((1, 2, 5))
    widths = sorted({pane, pane * chance.randint(2, 5)})
    windows = {
        "pane": f"{pane}s", "widths": [f"{width}s" for width in widths], "grace": f"{chance.choice((0, 1, 3))}s",
        "quantiles": chance.choice(([], [0.5, 0.99])),
    }  # fmt: skip
    detectors = [_detector(chance, number, widths) for number in range(chance.randint(1, 5))]
    return settings_of(folder, windows=windows, detectors=detectors, topics={"partitions": chance.randint(1, 3)})


def _detector(chance: random.Random, number: int, widths: list[int]) -> dict[str, Any]:
    use = chance.choice(USES)
    window = chance.choice((0, *widths)) if use != "absence" else chance.choice(widths)
    one: dict[str, Any] = {"name": f"d{number}", "use": use, "window": f"{window}s", "match": {"metric": "*"}}
    if use == "threshold":
        one["open"] = {"above": chance.choice((2, 5, 40)), "for": f"{chance.choice((0, 3))}s"}
    return one


@dataclass
class Unsteady(Studio):
    """Hosts that miss rounds, repeat them, send them late, and say odd values now and then."""

    chance: random.Random = field(default_factory=random.Random)
    held_back: list[NewRecord] = field(default_factory=list)

    def rounds(self) -> list[NewRecord]:
        """Return what comes in a second."""
        made = [self._odd(host) for host in ("host-1", "host-2", "host-3") if self.chance.random() < 0.95]
        kept = [one for one in made if self.chance.random() < 0.9]
        late = self.held_back
        self.held_back = [one for one in made if one not in kept]
        return [*kept, *late, *(one for one in kept if self.chance.random() < 0.1)]

    def _odd(self, host: str) -> NewRecord:
        values = [self.chance.gauss(1, 0.1), self.chance.choice((1.0, 1.0, 1.0, 50.0, float("nan")))]
        time = self.clock() + self.chance.choice((0, 0, 0, 400))
        value = encode_round(host, 1, self.second, time, TABLE, values)
        return NewRecord(self.settings.topics.topic("metrics"), value, host.encode(), headers=ROUND_HEADERS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_recording_comes_again(tmp_path: Path, seed: int) -> None:
    """Under settings by chance, of unsteady hosts, through restarts, crashes and polls of any size."""
    chance = random.Random(seed)
    studio = Unsteady(settings_by_chance(chance, tmp_path), chance=chance)
    for _ in range(chance.randint(2, 5)):
        for _ in range(chance.randint(1, 4)):
            studio.record(chance.randint(1, 12), turns=chance.choice((0, 1, 3)))
        studio.end(crash=chance.random() < 0.5)
        studio.begin()
    studio.record(15)
    studio.end()
    verdict = verify(studio)
    assert verdict.first == []
    assert verdict.reproduced
