"""Worlds in which something was wrong once: every build simulates them again, beside new ones.

A world is what it was until somebody changes what is drawn: so what was found in one has a test of its own as well.
"""

INCIDENTS: tuple[str, ...] = ()
FLEETS = ("51/0", "7/3")
DENSE = ("184805/2",)
