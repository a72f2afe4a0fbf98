"""Restores the data of a place and kills itself at the step of a number: `python -m … FOLDER KIND NUMBER`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from mendline.responders.snapshots.restoration import Restoration
from tests.responders.snapshots.support import Place, soon


class Killer:
    """Counts steps, says their names, and kills this process at the one that is wanted."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, name: str) -> None:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def main() -> None:
    """Restore."""
    place = Place(Path(sys.argv[1]))
    kill = Killer(int(sys.argv[3]))
    Restoration(place.store, place.settings(kind=sys.argv[2]), place.service, soon(), step=kill).run()


if __name__ == "__main__":
    main()
