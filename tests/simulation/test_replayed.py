"""What planners decided in simulated worlds follows from the journal through all harm; what was forged does not."""

from __future__ import annotations

import pytest

from mendline.dumps.recording import LogRecording
from mendline.replaying.inputs import Wanted
from tests.replaying.support import verified
from tests.simulation.run import workshop

INCIDENTS = 60


@pytest.mark.slow
@pytest.mark.parametrize("name", ["11/0", "11/7"])
def test_a_replay_finds_forged_intents_and_nothing_else(name: str) -> None:
    """Planners were killed and frozen, two at a time, and records late, lost and said twice."""
    with workshop() as work:
        world = work(name)
        world.run(INCIDENTS)
        with LogRecording(world.log) as recording:
            verdict = verified(recording, world.plan.versions[0], Wanted(topics=("journal",)))
    forged = world.harms["intent of another try"]
    assert 0 < verdict.different <= forged
    assert all(one.what.startswith("the intent of ") and "does not follow" in one.how for one in verdict.first)
    assert verdict.equal["intents"] > forged
    assert verdict.left_out == 0
