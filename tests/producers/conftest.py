"""A real systemd for the tests that want one."""

from tests.support.systemd import systemd

__all__ = ["systemd"]
