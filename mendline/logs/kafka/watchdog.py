"""Whether a member that hears nothing is still a member: the client itself does not always notice.

A member whose name another process took over reads on as if nothing had happened. So who has no partition or no
heartbeat for long asks the brokers. A join that the client forgets is ended: see `joins`.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from mendline.logs.base import LogError, LogUnavailableError, MemberFencedError
from mendline.logs.kafka.admin import PATIENCE_MS, admin_client
from mendline.logs.kafka.errors import translated
from mendline.logs.kafka.joins import end_join
from mendline.logs.kafka.options import KafkaOptions

_logger = logging.getLogger(__name__)


class Watchdog(ABC):
    """Looks after one member of a group, whichever client it reads through."""

    def __init__(self, client: Any, servers: Sequence[str], options: KafkaOptions, group: str, instance: str) -> None:
        """Watch the member called `instance` of `group`, which reads through `client`."""
        self._client = client
        self._servers = servers
        self._options = options
        self._group = group
        self._instance = instance
        self._session_s = options.session_timeout_ms / 1000
        self._ask_at = time.monotonic() + 2 * self._session_s
        self._look_at = 0.0
        self._missing = False

    def look(self, *, owns: bool) -> None:
        """Ask the brokers when it is time to; cheap otherwise. `owns`: the member has partitions.

        Raises MemberFencedError when the name belongs to another process now, LogError when the member is none any
        more and its client does not know.
        """
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._session_s / 5
        if owns and self._silence() < self._session_s:
            self._ask_at = now + self._session_s
        elif now >= self._ask_at:
            self._ask()
            self._ask_at = time.monotonic() + 2 * self._session_s

    def _silence(self) -> float:
        """Return the seconds since the last answer to a heartbeat, as far as the client tells."""
        return 0.0

    @abstractmethod
    def _member_id(self) -> str:
        """Return what the brokers call this member; empty while it is none."""

    def _ask(self) -> None:
        mine = self._member_id()
        try:
            with admin_client(self._servers, self._options, PATIENCE_MS) as admin, translated("describe group"):
                group = admin.describe_groups([self._group])[self._group]
        except LogUnavailableError as error:
            _logger.info("%s: cannot ask whether it is still in group %s: %s", self._instance, self._group, error)
            return
        if not group["error"] or "GroupIdNotFound" in group["error"]:
            self._judge(mine, {member["group_instance_id"] or "": member["member_id"] for member in group["members"]})

    def _judge(self, mine: str, members: dict[str, str]) -> None:
        theirs = members.get(self._instance)
        if theirs and mine and theirs != mine:
            msg = f"{self._instance}: another process joined group {self._group} under this name; names must be unique"
            raise MemberFencedError(msg)
        # A member may be missing for a moment while it joins, so only the second time in a row counts.
        if self._missing and not theirs:
            msg = f"{self._instance}: fell out of group {self._group} without being told; start it again"
            raise LogError(msg)
        self._missing = not theirs


class ClientWatchdog(Watchdog):
    """Looks after a member that reads through kafka-python."""

    def look(self, *, owns: bool) -> None:
        """Ask the brokers when it is time to, and keep the client joining. Raises what `Watchdog.look` raises."""
        end_join(self._client)
        super().look(owns=owns)

    def _silence(self) -> float:
        for name, metric in self._client.metrics(raw=True).items():
            if name.name == "last-heartbeat-seconds-ago":
                return float(metric.value())
        return 0.0

    def _member_id(self) -> str:
        return str(self._client.group_metadata().member_id)
