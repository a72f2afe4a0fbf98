"""A whole fleet in one process: real planners, executors and ledgers on the memory log, under a virtual clock.

All that runs is a `Fibre`: a greenlet that works only while the clock has handed it the word. So of two runs of one
seed every step is the same. A `Process` is one life of a program; it may die or freeze between any two of its steps.
"""
