"""What is done to members and brokers, drawn from a seed: one harm after the other, each undone some time later."""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

from mendline.logs.base import LogError
from mendline.logs.kafka.admin import admin_client
from mendline.logs.kafka.options import KafkaOptions
from mendline.testing.kafka import LocalKafka
from tests.chaos.members import ROLES, Members

PATIENCE_MS = 1_000
REST_S = 3.0
"""How long all brokers are left alone after one is back: its copies have to catch up before the next may go."""

_MEMBER_HARMS = {"kill": 6, "freeze": 3, "stop": 2, "add": 1, "reload": 1}
_BROKER_HARMS = {"kill a broker": 2, "freeze a broker": 2, "rolling restart": 1}


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that silences a part for a time: what was hit (a role, or `broker`), and when (ms)."""

    hit: str
    at: int


class Harm:
    """The schedule. Call `turn` often: it does what is due, waits for nothing, and looks after the members."""

    def __init__(self, seed: int, members: Members, kafka: LocalKafka | None, every_s: float) -> None:
        """Do a harm every `every_s` seconds on average."""
        self._chance = random.Random(seed)
        self._members = members
        self._kafka = kafka
        self._every_s = every_s
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._brokers_rest_until = time.monotonic() + REST_S
        self._starting: int | None = None
        self._to_restart: list[int] = []
        self.done: Counter[str] = Counter()
        self.blows: list[Blow] = []
        self._in(every_s, self._harm)

    def turn(self) -> None:
        """Do what is due."""
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            heapq.heappop(self._agenda)[2]()
        self._members.supervise()
        self._look_after_brokers()

    def end(self) -> None:
        """Undo all that is not undone yet, and wait until all brokers are there."""
        self._to_restart.clear()
        self._agenda.clear()
        if self._kafka:
            self._kafka.thaw()
            self._kafka.start()
        self._members.settle()

    def _in(self, seconds: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._numbers), deed))

    def _harm(self) -> None:
        self._in(self._chance.uniform(0, 2 * self._every_s), self._harm)
        weights = _MEMBER_HARMS | (_BROKER_HARMS if self._brokers_ready() else {})
        kind = self._chance.choices(list(weights), list(weights.values()))[0]
        if kind in _BROKER_HARMS:
            self._harm_brokers(kind)
        else:
            self._harm_members(kind)

    # Members -----------------------------------------------------------------------------------------------------

    def _harm_members(self, kind: str) -> None:
        up = self._members.up
        if kind == "reload":
            self._members.reload()
        elif kind == "add":
            self._add()
        elif up:
            name = self._chance.choice(up)
            {"kill": self._kill, "freeze": self._freeze, "stop": self._stop}[kind](name)
        self.done[kind] += kind in {"reload", "add"} or bool(up)

    def _kill(self, name: str) -> None:
        self._members.lose(name)
        self._blow(name.partition("-")[0])
        self._in(self._chance.choice([0.0, 0.0, self._chance.uniform(0, 4)]), partial(self._start, name))

    def _freeze(self, name: str) -> None:
        self._members.freeze(name)
        longest = 15.0 if self._chance.random() < 0.3 else 4.0
        self._in(self._chance.uniform(0.3, longest), partial(self._thaw, name))

    def _stop(self, name: str) -> None:
        self._members.leave(name)
        self._in(self._chance.uniform(1, 4), partial(self._start, name))

    def _add(self) -> None:
        name = f"{self._chance.choice(ROLES)}-{next(self._numbers) + 100}"
        self._members.start(name)
        self._in(self._chance.uniform(4, 12), partial(self._remove, name))

    def _start(self, name: str) -> None:
        if name in self._members.leaving:
            self._in(0.2, partial(self._start, name))
        elif name not in self._members.processes:
            self._members.start(name)

    def _thaw(self, name: str) -> None:
        if name in self._members.frozen:
            self._members.thaw(name)

    def _remove(self, name: str) -> None:
        if name not in self._members.up:
            self._in(0.5, partial(self._remove, name))
            return
        self._members.leave(name)
        self.done["remove"] += 1

    def _blow(self, hit: str) -> None:
        self.blows.append(Blow(hit, time.time_ns() // 1_000_000))

    # Brokers -----------------------------------------------------------------------------------------------------

    def _brokers_ready(self) -> bool:
        return bool(self._kafka) and time.monotonic() >= self._brokers_rest_until

    def _harm_brokers(self, kind: str) -> None:
        assert self._kafka
        self._brokers_rest_until = float("inf")
        if kind == "rolling restart":
            self._to_restart = [1, 2, 3]
            self.done[kind] += 1
            self._restart_next()
            return
        whom, number = self._victim()
        self.done[f"{kind}: {whom}"] += 1
        self._blow("broker")
        if kind == "kill a broker":
            self._kafka.kill(number)
            self._in(self._chance.uniform(0, 6), partial(self._start_broker, number))
        else:
            self._kafka.freeze(number)
            self._in(self._chance.uniform(1, 12), partial(self._thaw_broker, number))

    def _restart_next(self) -> None:
        assert self._kafka
        number = self._to_restart.pop(0)
        self._kafka.stop(number)
        self._start_broker(number)

    def _start_broker(self, number: int) -> None:
        assert self._kafka
        self._kafka.start(number, wait=False)
        self._starting = number

    def _thaw_broker(self, number: int) -> None:
        assert self._kafka
        self._kafka.thaw(number)
        self._brokers_rest_until = time.monotonic() + REST_S

    def _look_after_brokers(self) -> None:
        """Note when a starting broker serves; then all rest, and the next of a rolling restart has its turn."""
        if self._kafka is None or self._starting is None or not self._kafka.nodes[self._starting - 1].says_ready():
            return
        self._starting = None
        if self._to_restart:
            self._in(REST_S, self._restart_next)
        else:
            self._brokers_rest_until = time.monotonic() + REST_S

    def _victim(self) -> tuple[str, int]:
        """Return who is to be hit: the controller, the leader of a partition of metrics, or anyone."""
        assert self._kafka
        whom = self._chance.choice(["controller", "leader", "any"])
        anyone = self._chance.choice([1, 2, 3])
        try:
            return (whom, self._ask(whom)) if whom != "any" else (whom, anyone)
        except LogError:
            return "any", anyone  # too busy to say who it is

    def _ask(self, whom: str) -> int:
        assert self._kafka
        with admin_client(self._kafka.bootstrap.split(","), KafkaOptions(), PATIENCE_MS) as admin:
            if whom == "controller":
                return int(admin.describe_metadata_quorum()["topics"][0]["partitions"][0]["leader_id"])
            topic = admin.describe_topics([f"{self._members.prefix}.metrics"])[0]
            return int(self._chance.choice(topic["partitions"])["leader_id"])
