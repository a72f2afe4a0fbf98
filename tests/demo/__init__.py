"""The demonstration: its parts, and whole runs of it on real logs."""
