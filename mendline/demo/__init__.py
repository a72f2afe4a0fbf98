"""The demonstration: a throw-away service under `mendline up`, broken on purpose, and timed from the outside."""
