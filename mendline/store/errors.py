"""What may be wrong with a store."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used; the message says which, why and what to do."""


class StoreAwayError(StoreError):
    """The store does not answer now, or takes nothing: wait, try again."""


class NoStoreError(Exception):
    """A package that the store needs is not installed."""
