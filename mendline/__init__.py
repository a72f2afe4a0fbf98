"""Mendline finds the faults of a distributed system as they happen, and mends them."""

__version__ = "0.1.0"
