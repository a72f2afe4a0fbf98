"""The one error of a configuration."""

from __future__ import annotations


class ConfigError(Exception):
    """Raised when a configuration file cannot be used; the message has a line for each mistake in it."""
