"""Fixtures of the responders' tests."""

from tests.support.systemd import systemd

__all__ = ["systemd"]
