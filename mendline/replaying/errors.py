"""The one error of this folder."""

from __future__ import annotations


class ReplayError(Exception):
    """What is asked for cannot be replayed: a topic is missing, or a stage fails on a record; the message says what."""
