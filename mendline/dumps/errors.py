"""The errors of this folder."""

from __future__ import annotations


class DumpError(Exception):
    """A dump is none, damaged, cut off, of a newer version, or cannot be read or written; the message says which."""


class NoDumpError(DumpError):
    """There is no such file, or something else in its place."""
