"""Runs a stage on a log: log time, state, outputs before offsets, dead letters, ticks, progress.

`Member` is one member of a stage's consumer group; `StageSpec` says what it runs. See docs/architecture.md.
"""
