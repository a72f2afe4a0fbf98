"""The whole report, as numbers: what `--json` prints, and what the pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.reports.availability import ServiceReport, Stretch, joined, length, services
from mendline.reports.deeds import (
    End,
    IncidentsReport,
    PlaybookReport,
    Story,
    incidents_report,
    playbooks,
    stories,
)
from mendline.reports.detection import (
    ChangeReport,
    DetectorReport,
    SourceReport,
    changes,
    detectors,
    sources,
)
from mendline.reports.outlook import Levels, OutlookReport
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from mendline.reports.history import History

MOST_LISTED = 20
MOST_BLIND = 50
STEPS_MS = (60_000, 600_000, 3_600_000, 6 * 3_600_000, 86_400_000, 7 * 86_400_000)
MOST_BUCKETS = 60


class IncidentReport(Frozen):
    """One incident: its id, target and kind of its root, when it was heard of (ms), how long it took, how it ended.

    `took_ms` is from its begin to its end; `wrong_ms` how long one of its faults was open, in `spells` with times
    between in which none was. It ended as the last of them did.
    """

    id: str
    target: str
    kind: str
    severity: str
    faults: int
    opened: int
    took_ms: int | None
    wrong_ms: int | None
    spells: int
    end: End


class Bucket(Frozen):
    """The spells that began within some time from `begin` (ms) on, and how many of them Mendline mended alone."""

    begin: int
    spells: int
    mended: int


class Report(Frozen):
    """All of it. `begin` and `end` (ms, the journal's append times) are what is covered, `blind_ms` unwatched of that.

    `blind` are the longest stretches of those. `longest` lists the incidents that took longest, those that are still
    open first. `outlook` are those of `outlook_of` series that run out first. `buckets` are `bucket_ms` wide.
    `reflexes` counts what agents mended by themselves while the log was away. `ignored` counts orders and outcomes that
    were not believed, by why.
    """

    begin: int
    end: int
    blind_ms: int
    blind: tuple[Stretch, ...]
    services: tuple[ServiceReport, ...]
    incidents: IncidentsReport
    longest: tuple[IncidentReport, ...]
    bucket_ms: int
    buckets: tuple[Bucket, ...]
    playbooks: tuple[PlaybookReport, ...]
    detectors: tuple[DetectorReport, ...]
    sources: tuple[SourceReport, ...]
    changes: tuple[ChangeReport, ...]
    outlook: tuple[OutlookReport, ...]
    outlook_of: int
    reflexes: int
    ignored: dict[str, int]


def make_report(history: History, watched: Iterable[str] = (), levels: Levels | None = None) -> Report:
    """Return the report of all that `history` took in; `watched` are targets that it may have nothing to tell of.

    `levels` are those of the series that may run out.
    """
    told = stories(history)
    begin, end = history.bounds
    blind = joined(history.blind(), begin, end)
    step = next((one for one in STEPS_MS if (end - begin) / one <= MOST_BUCKETS), STEPS_MS[-1])
    return Report(
        begin=begin,
        end=end,
        blind_ms=length(blind),
        blind=tuple(sorted(blind, key=lambda one: one[0] - one[1])[:MOST_BLIND]),
        services=tuple(services(history, watched)),
        incidents=incidents_report(told),
        longest=tuple(_told(one) for one in sorted(told, key=_length)[:MOST_LISTED]),
        bucket_ms=step,
        buckets=tuple(_buckets(told, begin, end, step)),
        playbooks=tuple(playbooks(history)),
        detectors=tuple(detectors(history)),
        sources=tuple(sources(history)),
        changes=tuple(changes(history, told)),
        outlook=tuple(levels.outlook()[:MOST_LISTED] if levels else ()),
        outlook_of=len(levels) if levels else 0,
        reflexes=history.reflexes,
        ignored=dict(sorted(history.ignored.items())),
    )


def _length(story: Story) -> tuple[bool, int, int]:
    return story.end != "open", -(story.took_ms or 0), story.opened


def _told(story: Story) -> IncidentReport:
    about = story.incident.root.latest
    return IncidentReport(
        id=story.incident.id,
        target=about.target,
        kind=about.kind,
        severity=about.severity,
        faults=len(story.incident.faults),
        opened=story.opened,
        took_ms=story.took_ms,
        wrong_ms=story.wrong_ms,
        spells=len(story.spells),
        end=story.end,
    )


def _buckets(told: Sequence[Story], begin: int, end: int, step: int) -> Iterator[Bucket]:
    spells = [spell for one in told for spell in one.spells if spell.opened <= end]
    for first in range(begin - begin % step, end + 1, step):
        mine = [one for one in spells if first <= one.opened < first + step]
        yield Bucket(begin=first, spells=len(mine), mended=sum(one.end == "mended" for one in mine))
