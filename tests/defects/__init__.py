"""Deliberate defects, kept as patches, each with the check that must find it.

A checker that has never found anything proves nothing.

`python -m tests.defects` puts them into copies of the tree, one at a time, and runs their checks there.
"""
