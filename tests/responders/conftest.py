"""Fixtures of the responders' tests."""

from tests.support.docker import docker
from tests.support.systemd import systemd

__all__ = ["docker", "systemd"]
