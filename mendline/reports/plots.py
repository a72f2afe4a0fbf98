"""The report as pictures that stand alone, through matplotlib (the extra `mendline[plot]`): for slides and mails.

Names come from the journal and the windows, so each stands as text: matplotlib's own markup is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.reports.outlook import MOST_DRAWN, course_of
from mendline.reports.sections import covered, least_available, length
from mendline.schemas.quantities import amount, span
from mendline.words import printable

if TYPE_CHECKING:
    from pathlib import Path

    from mendline.reports.outlook import OutlookReport
    from mendline.reports.report import Report

DOTS_PER_INCH = 110
WIDE, LINE_HIGH, HIGHEST = 11.0, 0.34, 12.0
GOOD, BAD, BLIND, MARK, BAR = "#1a7f37", "#c62828", "#8c959f", "#0b57a4", "#9ec5e8"
MOST_LANES = 30

Draw = Callable[["Report", Any], None]


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Write the pictures that there is something to draw for into `folder`, as PNG, and return them. Raises OSError."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    with rc_context({"text.parse_math": False, "font.size": 9.0}):
        return [_write(report, folder / f"{name}.png", draw, high) for name, draw, high in _pictures(report)]


def _write(report: Report, file: Path, draw: Draw, high: float) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE, min(high, HIGHEST)), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    draw(report, axes)
    figure.text(0.002, 0.004, f"Mendline, {covered(report)}", fontsize=7, color=BLIND)
    figure.savefig(file, format="png")
    return file


def _pictures(report: Report) -> Iterator[tuple[str, Draw, float]]:
    """Yield the name of each picture, what draws it, and how high it is in inches."""
    if report.services:
        yield "availability", _availability, 1.2 + LINE_HIGH * min(len(report.services), MOST_LANES)
    if report.incidents.count:
        yield "incidents", _incidents, 3.4
        yield "times", _times, 2.4
    if report.sources:
        yield "noisiest", _noisiest, 1.2 + LINE_HIGH * len(report.sources)
    for number, one in enumerate(report.outlook[:MOST_DRAWN], 1):
        yield f"outlook-{number}", _outlook_of(one), 3.8


def _when(moments: Any) -> Any:
    return np.asarray(moments, dtype="datetime64[ms]")


def _dated(axes: Any) -> None:
    from matplotlib import dates as untyped

    dates: Any = untyped
    ticks = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(ticks, tz=UTC))
    axes.grid(axis="x", alpha=0.3)


def _availability(report: Report, axes: Any) -> None:
    shown = least_available(report)[:MOST_LANES]
    begin, end = _when([report.begin, report.end])
    for lane, one in enumerate(shown):
        axes.barh(lane, end - begin, left=begin, height=0.6, color=GOOD, alpha=0.25)
        for outage in one.outages:
            first, last = _when([outage.begin, outage.end])
            axes.barh(lane, last - first, left=first, height=0.6, color=BAD, edgecolor=BAD, linewidth=1)
    for first, last in report.blind:
        axes.axvspan(*_when([first, last]), color=BLIND, alpha=0.4, linewidth=0)
    axes.set_yticks(range(len(shown)), [printable(one.service) for one in shown])
    axes.invert_yaxis()
    axes.set_xlim(begin, end)
    axes.set_title("When each service was down (red); nobody watched (grey); times are UTC", loc="left")
    _dated(axes)


def _incidents(report: Report, axes: Any) -> None:
    begins = _when([one.begin for one in report.buckets])
    width = np.timedelta64(round(report.bucket_ms * 0.9), "ms")
    kinds = (("all", BAR, [one.spells for one in report.buckets]), ("mended alone", MARK, _alone(report)))
    for label, colour, counts in kinds:
        axes.bar(begins, counts, width=width, align="edge", color=colour, label=label)
    axes.set_title(f"How often something was wrong, by {span(report.bucket_ms)}; times are UTC", loc="left")
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    axes.yaxis.get_major_locator().set_params(integer=True)
    _dated(axes)


def _alone(report: Report) -> list[int]:
    return [one.mended for one in report.buckets]


def _times(report: Report, axes: Any) -> None:
    told = report.incidents
    rows = [(name, one) for name, one in (("detect", told.detect), ("act", told.act), ("recover", told.recover))]
    for place, (_, one) in enumerate(rows):
        median, most = one.median or 0.0, one.most or 0.0
        axes.barh(place, most / 1000, height=0.6, color=BAR)
        axes.barh(place, median / 1000, height=0.6, color=MARK)
        words = "never" if one.median is None else f" {length(one.median)}, 90 % within {length(one.most)}"
        axes.text(most / 1000, place, words, va="center")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("s")
    axes.set_title("Time to detect, act and recover: half of the times (dark), nine of ten (light)", loc="left")


def _noisiest(report: Report, axes: Any) -> None:
    names = [printable(one.host) for one in report.sources]
    places = range(len(names))
    axes.barh(places, [one.faults for one in report.sources], height=0.6, color=BAR, label="faults")
    axes.barh(places, [one.again for one in report.sources], height=0.6, color=MARK, label="back soon after the end")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    axes.set_title("Noisiest hosts", loc="left")


def _outlook_of(one: OutlookReport) -> Draw:
    def draw(_: Report, axes: Any) -> None:
        course = course_of(one)
        points = [math.nan if point is None else point for point in one.points]
        axes.plot(_when(course.middles), points, color=MARK, label="mean of a part of the time")
        axes.axhline(one.limit, color=BAD, linestyle="--", linewidth=1, label=f"limit {amount(one.limit, one.unit)}")
        axes.axvspan(*_when(course.reached), color=BAD, alpha=0.15, linewidth=0, label="reached, with 90 %")
        axes.plot(_when([course.now, one.likely]), [one.value, one.limit], color=MARK, linestyle=":", label="the trend")
        axes.set_xlim(*_when([one.begin, course.farthest]))
        axes.set_title(printable(f"{one.source} {one.series}"), loc="left")
        axes.legend(frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.06), fontsize=8)
        _dated(axes)

    return draw
