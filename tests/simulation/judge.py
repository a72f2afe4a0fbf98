"""What must never happen, in plain words: what was really done is held against what people and services really said.

Each broken promise is a line of text under one of `KINDS`. The planners' own words count for nothing but this: a deed
needs an intent, at a place in the journal where it was right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mendline.schemas.records import Cancel, Command, Intent, Outcome, Stop, Verification
from tests.simulation.story import Line, Story, of_kind

if TYPE_CHECKING:
    from tests.simulation.deeds import Deed

KINDS = (
    *("without_live_fault", "repeated", "outside_allow", "against_guards"),
    *("not_called_back", "forgotten", "not_as_undisturbed"),
)
BEGIN_WITHIN_MS = 10_000
OVERTIME_MS = 1_000
MOST_REFLEXES, REFLEXES_WITHIN_MS = 3, 600_000


class Wrong(NamedTuple):
    """A broken promise: its kind, and what happened."""

    kind: str
    text: str


@dataclass(frozen=True)
class Judge:
    """Goes through a story that is over."""

    story: Story

    def wrongs(self) -> Iterator[Wrong]:
        """Yield all that must not have happened."""
        for deed in self.story.deeds:
            yield from self._allowed(deed)
            yield from self._stopped(deed)
            if deed.alone:
                yield from self._reflex(deed)
            elif line := self.story.decision(deed.intent):
                yield from (Wrong("without_live_fault", f"{deed}: {why}") for why in self._not_called_for(deed, line))
                yield from (Wrong("against_guards", f"{deed}: {why}") for why in self._guarded(deed, line))
            else:
                yield Wrong("without_live_fault", f"{deed}: no intent in the journal may be obeyed")
        yield from self._repeated()
        yield from self._together()
        yield from self._without_pause()
        yield from self._not_called_back()
        yield from self._forgotten()
        yield from self._not_as_undisturbed()

    def on_the_well(self) -> list[int]:
        """Return how long (ms) before a deed the sickness was over in truth, of deeds that came too late in truth."""
        found = []
        for deed in self.story.deeds:
            line = self.story.decision(deed.intent)
            sickness = self.story.sicknesses.get(line.record.fault) if line else None
            if sickness and sickness.over is not None and sickness.over < deed.began and not deed.again:
                found.append(deed.began - sickness.over)
        return found

    # One deed ---------------------------------------------------------------------------------------------------------

    def _allowed(self, deed: Deed) -> Iterator[Wrong]:
        if deed.action not in deed.allowed:
            yield Wrong("outside_allow", f"{deed}: the host does not allow it")

    def _stopped(self, deed: Deed) -> Iterator[Wrong]:
        stops = [one.record.active for one in of_kind(self.story.commands, Stop) if one.offset < deed.read]
        if stops[-1:] == [True]:
            yield Wrong("against_guards", f"{deed}: its host had read that nothing is to be begun")

    def _reflex(self, deed: Deed) -> Iterator[Wrong]:
        """Yield what a host did alone to a service that was not dead, or more often than it may."""
        sickness = self.story.sicknesses.get(deed.sick)
        if not deed.again and (sickness is None or sickness.kind != "dead"):
            yield Wrong("without_live_fault", f"{deed}: the service had not exited")
        since = deed.began - REFLEXES_WITHIN_MS
        mine = [one for one in self.story.deeds if one.alone and not one.again and one.target == deed.target]
        lately = [one for one in mine if since < one.began <= deed.began]
        if len(lately) > MOST_REFLEXES and deed.host not in self.story.unsteady:
            yield Wrong("against_guards", f"{deed}: it was the reflex number {len(lately)} lately")

    def _guarded(self, deed: Deed, line: Line[Intent]) -> Iterator[str]:
        if line.record.mode == "auto" and not self.story.is_granted(line.record.fault):
            if self.story.is_ordered("maintenance", deed.target, line.offset):
                yield "its target was under maintenance"
            if (age_ms := self.story.age_ms(line.record.fault, line.offset)) > self.story.plan.guards.fresh:
                yield f"what was known of its fault was {age_ms} ms old"

    def _not_called_for(self, deed: Deed, line: Line[Intent]) -> Iterator[str]:
        intent = line.record
        if (intent.host, intent.target, intent.action) != (deed.host, deed.target, deed.action):
            yield f"its intent is to {intent.action} {intent.target} on {intent.host}"
        if not self.story.was_live(intent.fault, line.offset):
            yield "what it was decided for had not begun, or was known to be over"
        cancels = [one for one in of_kind(self.story.commands, Cancel) if one.record.intent == intent.id]
        if any(one.offset < deed.read for one in cancels):
            yield "its host had read that it was called off"
        if self._is_overtaken(deed, line):
            yield "the service was started anew after what is known of it"
        if not deed.again:
            yield from self._late(deed, line)

    def _is_overtaken(self, deed: Deed, line: Line[Intent]) -> bool:
        """Say whether the host could know that the service was started anew; nobody can whose clock was set."""
        wanted = line.record.mode == "ask" or self.story.is_granted(line.record.fault)
        if wanted or deed.host in self.story.unsteady:
            return False
        return deed.started > self.story.known_at(line.record.fault, line.offset)

    def _late(self, deed: Deed, line: Line[Intent]) -> Iterator[str]:
        approved = [one.time for one in self.story.approvals(line) if one.time <= deed.began]
        decided = max(approved, default=0) if line.record.mode == "ask" else line.time
        if deed.began > decided + BEGIN_WITHIN_MS:
            yield "it began after its deadline, or before a person had said yes"
        sickness = self.story.sicknesses.get(line.record.fault)
        if sickness and sickness.over_told and deed.began > sickness.over_told.timestamp + BEGIN_WITHIN_MS:
            yield f"for {BEGIN_WITHIN_MS} ms the log had told that the service is well"

    # Deeds together ---------------------------------------------------------------------------------------------------

    def _repeated(self) -> Iterator[Wrong]:
        """Yield deeds that were done before: by the same intent, or by another for the same try."""
        seen: set[object] = set()
        for deed in self.story.deeds:
            line = self.story.decision(deed.intent)
            names = {deed.intent, *([(line.record.fault, line.record.step, line.record.attempt)] if line else [])}
            if names & seen and not deed.again:
                yield Wrong("repeated", f"{deed}: it was done before")
            seen |= names

    def _together(self) -> Iterator[Wrong]:
        """Yield deeds beside others on the same service, or beside as many as may be at work anywhere."""
        most = self.story.plan.guards.concurrent
        for deed in self.story.deeds:
            others = [one for one in self.story.deeds if one is not deed and _at_work(one, deed.began)]
            if any(one.target == deed.target for one in others):
                yield Wrong("against_guards", f"{deed}: another was at work on the service")
            if sum(deed.began < one.began + self._limit_ms(one) for one in others) >= most and not deed.alone:
                yield Wrong("against_guards", f"{deed}: {most} others were at work")

    def _limit_ms(self, deed: Deed) -> int:
        """Return for how long a deed counts as being at work: its host says then that it came to no end."""
        line = self.story.decision(deed.intent)
        return line.record.timeout_ms + OVERTIME_MS if line else 0

    def _without_pause(self) -> Iterator[Wrong]:
        """Yield deeds that nobody approved, and that came too soon after another one on their target."""
        by_target: dict[str, list[Line[Intent]]] = defaultdict(list)
        for deed in self.story.deeds:
            if (line := self.story.decision(deed.intent)) and not deed.again:
                by_target[deed.target].append(line)
        for target, lines in by_target.items():
            for one, other in pairwise(sorted(lines, key=self.story.place)):
                passed = self.story.log_time(self.story.place(one), self.story.place(other))
                if passed < self.story.plan.guards.cooldown and not self.story.is_granted(other.record.fault):
                    yield Wrong("against_guards", f"{target}: only {passed} ms between {one} and {other}")

    # Nothing is lost --------------------------------------------------------------------------------------------------

    def _not_called_back(self) -> Iterator[Wrong]:
        """Yield commands that stood when their fault was told to be over, and that nobody ever called off."""
        cancelled = {one.record.intent for one in of_kind(self.story.commands, Cancel)}
        for command in of_kind(self.story.commands, Command):
            line = self.story.decision(command.record.intent)
            if line and command.record.intent not in cancelled and self._stood(command, line):
                yield Wrong("not_called_back", f"{command} was never called off")

    def _stood(self, command: Line[Command], line: Line[Intent]) -> bool:
        over = self.story.sicknesses[line.record.fault].over_told
        return over is not None and command.time < over.timestamp and not self._answered(line.record.id, over.offset)

    def _answered(self, intent: str, offset: int) -> bool:
        said = [one.record for one in self.story.journal[:offset]]
        return any(isinstance(one, Outcome | Verification) and one.intent == intent for one in said)

    def _forgotten(self) -> Iterator[Wrong]:
        """Yield faults that stayed open, and of which nobody says what becomes of them."""
        for fault in (name for name, one in self.story.sicknesses.items() if one.told):
            silent = not self.story.is_held(fault) and not self.story.is_worked_on(fault)
            if silent and not self.story.is_closed(fault):
                yield Wrong("forgotten", f"fault {fault}: it is open, nothing is under way, and nobody says why")
            elif self.story.is_held_in_vain(fault) and not self.story.is_closed(fault):
                yield Wrong("forgotten", f"fault {fault}: it waits for the end of a maintenance that is over")

    def _not_as_undisturbed(self) -> Iterator[Wrong]:
        """Yield commands and cancels that do not follow from the journal, and those that follow and are not there."""
        for value in sorted(self.story.believed - self.story.expected):
            yield Wrong("not_as_undisturbed", f"it does not follow from the journal: {value.decode()}")
        for value in sorted(self.story.expected - self.story.believed):
            yield Wrong("not_as_undisturbed", f"it follows from the journal, and is not there: {value.decode()}")


def _at_work(deed: Deed, time: int) -> bool:
    return deed.began <= time and (deed.ended is None or time < deed.ended)
