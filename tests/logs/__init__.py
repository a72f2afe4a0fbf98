"""One behaviour suite over the three logs, and what only one of them has."""
