"""When a source is silent, or missing: expected and never heard of. What liveness asks of one source and the log.

A source is silent after a fixed time, at least three of its intervals, or by its own rhythm (`phi`) where the settings
want that and the rhythm is known. After an outage of the log the fixed time counts in any case: the others may be back
at once, and it takes its time. All of it is log time, which all but stands still while the log is away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mendline.detectors.faults import LATE_MS, Moments, Sighting
from mendline.detectors.liveness_state import NEVER, Source

if TYPE_CHECKING:
    from mendline.schemas.settings import LivenessSettings

INTERVALS = 3


class Missed(NamedTuple):
    """The word for the fault of a source that is missed, and what was seen of it."""

    kind: str
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Silence:
    """Judges how long nothing may be heard of a source."""

    settings: LivenessSettings

    def begins(self, source: Source) -> int:
        """Return the log time (ms) from which on the source is missed, if nothing more is heard of it."""
        if source.left >= 0 or source.silent:
            return NEVER
        phi = self.settings.silent
        rhythm = source.beats.rhythm(phi) if phi else None
        if phi and rhythm:
            return max(source.seen + rhythm.limit(phi.phi), source.patience)
        return source.seen + self._fixed(source)

    def _fixed(self, source: Source) -> int:
        return max(self.settings.silent_after, INTERVALS * source.interval_ms)

    def has_begun(self, source: Source, moments: Moments, index: int) -> bool:
        """Say whether the source is missed at the record `index`; if the log was away, it is waited for longer."""
        now = moments.log_times[index]
        if self.settings.silent and now >= self.begins(source) and _was_log_away(source, moments, index):
            source.patience = source.seen + self._fixed(source)
        return now >= max(self.begins(source), source.patience)

    def beat(self, source: Source, time: int, moments: Moments, index: int, *, is_round: bool) -> None:
        """Learn the source's rhythm; what was away, or kept back and sent later, says nothing of it."""
        if not self.settings.silent:
            return
        now, beats = moments.log_times[index], source.beats
        is_late = moments.append_times[index] - time > LATE_MS
        if is_late or source.silent or source.left >= 0 or _was_log_away(source, moments, index):
            beats.skip()
        # A heartbeat beside a round is no beat of its own.
        if not is_late and (is_round or now - beats.last >= source.interval_ms / 2):
            beats.beat(now, self.settings.silent.window)

    def missed(self, source: Source, moments: Moments, index: int) -> Missed:
        """Return the fault of a source that is missed from the record `index` on."""
        quiet = float(moments.log_times[index] - source.seen)
        limit = float(self.begins(source) - source.seen)
        kind, reason, surprise = "silent", f"nothing was heard of it for {quiet / 1000:.1f} s", None
        rhythm = source.beats.rhythm(self.settings.silent) if self.settings.silent else None
        if not source.was_heard:
            kind, reason = "missing", f"it is expected, and was never heard of; it was waited for {quiet / 1000:.1f} s"
        elif rhythm:
            surprise = rhythm.phi(quiet)
            reason += f", which by its rhythm has phi {round(surprise, 1):g}"
        return Missed(kind, Sighting(moments.append_times[index], "", quiet, None, limit, surprise, "ms", reason))


def _was_log_away(source: Source, moments: Moments, index: int) -> bool:
    """Say whether the log was away since the last record of the source: append time goes on then, log time does not."""
    return moments.append_times[index] - source.appended > moments.log_times[index] - source.seen
