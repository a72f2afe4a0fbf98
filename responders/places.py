"""Where the faults of a fold are: by target, and how many targets of a service are sick.

It follows from the faults alone, so it stands in no snapshot and is the same after one. Guards ask it for each intent:
without it each would go through all faults, and a thousand at once would take a million steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.responders.facts import DRIFT, PLANNER, service_of

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact


class Places:
    """An index of faults. Memory: 150 bytes for each target with a fault, and 50 more for each that is sick.

    `drifting` are the open faults of drift by their ids: they say nothing of a service's health.
    """

    def __init__(self) -> None:
        """Begin without faults."""
        self._faults: dict[str, tuple[FaultFact, ...]] = {}
        self._sick: dict[str, set[str]] = {}
        self.drifting: dict[str, FaultFact] = {}

    def __eq__(self, other: object) -> bool:
        """Say whether the other says the same of the same faults."""
        return isinstance(other, Places) and (self._faults, self._sick) == (other._faults, other._sick)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def faults_of(self, target: str) -> tuple[FaultFact, ...]:
        """Return all faults of a target, in the order in which they were first heard of."""
        return self._faults.get(target, ())

    def sick_of(self, service: str) -> int:
        """Return how many targets of the service have an open fault."""
        return len(self._sick.get(service, ()))

    def take(self, fault: FaultFact) -> None:
        """Note a fault, and whether it is open."""
        if fault.latest.kind == DRIFT and fault.latest.stage == PLANNER:
            self.drifting.pop(fault.id, None)
            self.drifting |= {fault.id: fault} if fault.open else {}
        here = self.faults_of(fault.latest.target)
        self._put(fault.latest.target, here if any(one is fault for one in here) else (*here, fault))

    def forget(self, fault: FaultFact) -> None:
        """Leave out a fault of which nothing more will come."""
        target = fault.latest.target
        self.drifting.pop(fault.id, None)
        self._put(target, tuple(one for one in self.faults_of(target) if one is not fault))

    def _put(self, target: str, faults: tuple[FaultFact, ...]) -> None:
        sick = self._sick.setdefault(service_of(target), set())
        (sick.add if any(one.open and one.latest.kind != DRIFT for one in faults) else sick.discard)(target)
        if not sick:
            del self._sick[service_of(target)]
        if faults:
            self._faults[target] = faults
        else:
            self._faults.pop(target, None)
