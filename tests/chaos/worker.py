"""A service that notes each of its starts in a file, and then waits for its end."""

import os
import signal
import sys

with open(sys.argv[1], "a") as starts:  # noqa: PTH123 - importing pathlib takes longer than all else here
    starts.write(f"{os.getpid()}\n")
while True:
    signal.pause()
