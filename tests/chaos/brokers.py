"""Harm to the brokers: one after the other, and none before all copies have caught up with the last."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from mendline.logs.base import LogError
from mendline.logs.kafka.admin import admin_client
from mendline.logs.kafka.options import KafkaOptions
from mendline.testing.kafka import LocalKafka
from tests.chaos.room import Room
from tests.chaos.schedule import Deed, Schedule

PATIENCE_MS = 1_000
REST_S = 3.0
"""How long all brokers are left alone after one is back: its copies have to catch up before the next may go."""
FULL_S = (2.0, 6.0)
"""How long a broker's disk is full, at least and at most."""
ENDS_WITHIN_S = 2.0


class BrokerHarm:
    """What can be done to the brokers. Call `look_after` often. `ended` counts those that ended on a full disk."""

    def __init__(self, schedule: Schedule, kafka: LocalKafka, rooms: list[Room], prefix: str) -> None:
        """Harm `kafka`, on whose disks (`rooms`, one per node, or none) the topics that begin with `prefix` lie."""
        self._schedule = schedule
        self._kafka = kafka
        self._rooms = rooms
        self._prefix = prefix
        self._rest_until = time.monotonic() + REST_S
        self._starting: int | None = None
        self._full: int | None = None
        self._to_restart: list[int] = []
        self.ended = 0

    def kinds(self) -> Mapping[str, tuple[int, Deed]]:
        """Return what can be done now: its weight and the deed."""
        if time.monotonic() < self._rest_until:
            return {}
        full = {"fill a broker's disk": (2, self._fill)} if self._rooms else {}
        return {
            "kill a broker": (2, self._kill),
            "freeze a broker": (2, self._freeze),
            "rolling restart": (1, self._roll),
            **full,
        }

    def look_after(self) -> None:
        """Note when a starting broker serves; then all rest, and the next of a rolling restart has its turn."""
        if self._starting is None or not self._kafka.nodes[self._starting - 1].says_ready():
            return
        self._starting = None
        if self._to_restart:
            self._schedule.after(REST_S, self._restart_next)
        else:
            self._rest()

    def end(self) -> None:
        """Undo all that is not undone yet, and wait until all brokers are there."""
        self._to_restart.clear()
        for room in self._rooms:
            room.empty()
        if self._full:
            self._kafka.kill(self._full)
        self._kafka.thaw()
        self._kafka.start()

    def _kill(self) -> None:
        number = self._begin("kill a broker")
        self._kafka.kill(number)
        self._schedule.after(self._schedule.chance.uniform(0, 6), partial(self._start, number))

    def _freeze(self) -> None:
        number = self._begin("freeze a broker")
        self._kafka.freeze(number)
        self._schedule.after(self._schedule.chance.uniform(1, 12), partial(self._thaw, number))

    def _fill(self) -> None:
        number = self._full = self._begin("fill the disk of a broker")
        self._rooms[number - 1].fill()
        self._schedule.after(self._schedule.chance.uniform(*FULL_S), partial(self._make_room, number))

    def _roll(self) -> None:
        self._rest_until = float("inf")
        self._schedule.done["rolling restart"] += 1
        self._to_restart = [1, 2, 3]
        self._restart_next()

    def _begin(self, kind: str) -> int:
        """Choose a broker, and leave the others alone from now on."""
        self._rest_until = float("inf")
        whom, number = self._victim()
        self._schedule.done[f"{kind}: {whom}"] += 1
        self._schedule.blow("broker")
        return number

    def _restart_next(self) -> None:
        number = self._to_restart.pop(0)
        self._kafka.stop(number)
        self._start(number)

    def _start(self, number: int) -> None:
        self._kafka.start(number, wait=False)
        self._starting = number

    def _thaw(self, number: int) -> None:
        self._kafka.thaw(number)
        self._rest()

    def _make_room(self, number: int) -> None:
        """Do as an operator does: make room; a broker that ends for want of it does so soon."""
        self._rooms[number - 1].empty()
        self._schedule.after(ENDS_WITHIN_S, partial(self._revive, number))

    def _revive(self, number: int) -> None:
        self._full = None
        if self._kafka.nodes[number - 1].running:
            self._rest()
        else:
            self.ended += 1
            self._start(number)

    def _rest(self) -> None:
        self._rest_until = time.monotonic() + REST_S

    def _victim(self) -> tuple[str, int]:
        """Return who is to be hit: the controller, the leader of a partition of metrics, or anyone."""
        whom = self._schedule.chance.choice(["controller", "leader", "any"])
        anyone = self._schedule.chance.choice([1, 2, 3])
        try:
            return (whom, self._ask(whom)) if whom != "any" else (whom, anyone)
        except LogError:
            return "any", anyone  # too busy to say who it is

    def _ask(self, whom: str) -> int:
        with admin_client(self._kafka.bootstrap.split(","), KafkaOptions(), PATIENCE_MS) as admin:
            if whom == "controller":
                return int(admin.describe_metadata_quorum()["topics"][0]["partitions"][0]["leader_id"])
            topic = admin.describe_topics([f"{self._prefix}.metrics"])[0]
            return int(self._schedule.chance.choice(topic["partitions"])["leader_id"])
