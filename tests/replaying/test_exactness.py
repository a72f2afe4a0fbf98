"""What was recorded comes again whatever the settings, the data, the lives of members, and the log."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mendline.dumps.recording import LogRecording
from tests.replaying.chance import Recut, record_by_chance
from tests.replaying.elsewhere import differences, said_again, said_in
from tests.replaying.support import verified, verify

SEEDS = 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_recording_comes_again(tmp_path: Path, seed: int) -> None:
    """Under settings by chance, of unsteady hosts, through restarts, crashes and polls of any size."""
    studio = record_by_chance(seed, tmp_path)
    verdict = verify(studio)
    assert verdict.first == []
    assert verdict.reproduced
    with LogRecording(studio.log) as recording:
        assert verified(Recut(recording, random.Random(seed)), studio.settings) == verdict


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1, 3])
def test_other_partitions_and_an_undisturbed_life_say_the_same_of_each_host(tmp_path: Path, partitions: int) -> None:
    """Each window to the bit, and each fault but for where it stands."""
    studio = record_by_chance(2, tmp_path)
    with LogRecording(studio.log) as recording:
        said = said_in(recording, studio.settings)
        again = said_again(recording, studio.settings, tmp_path, partitions)
    assert differences(said, again) == []
    assert (len(said.windows) > 50, len(said.faults) > 0) == (True, True)
