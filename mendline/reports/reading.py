"""Reading all that a report is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mendline.fleet import read_fleet
from mendline.keys import key_ring
from mendline.reports.history import Span, read_history
from mendline.reports.outlook import read_levels
from mendline.reports.report import Report, make_report

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings


def read_report(log: Log, settings: Settings, span: Span, tell: Callable[[int], None] = lambda _: None) -> Report:
    """Return the report on a span; `tell` hears how many more records of the journal were read.

    Raises as `read_batches`, and KeyFileError.
    """
    history = read_history(log, settings, key_ring(settings).why_not, span, tell)
    levels = read_levels(log, settings, *history.bounds)
    watched = (f"{name}/{service}" for name, host in read_fleet(log, settings).items() for service in host.services)
    return make_report(history, watched, levels)
