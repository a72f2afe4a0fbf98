"""What a series did before the log begins, from the store, where there is one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings
    from mendline.web.blocks import Span
    from mendline.web.charts import Found

logger = logging.getLogger(__name__)

LATE_MS = 60_000
"""What begins so much later than was asked for is looked for in the store."""


def with_past(settings: Settings, span: Span, label: str, found: Found) -> Found:
    """Return what was found of a series, and before it the windows that the store has.

    A store that does not answer is told of in the messages: what the log has is shown all the same.
    """
    first = min((min(points) for points in found.values() if points), default=span.end)
    if settings.store is None or first <= span.begin + LATE_MS:
        return found
    from mendline.store.errors import NoStoreError, StoreError
    from mendline.store.past import read_past

    try:
        past = read_past(settings.store, span.source, label, span.begin, first)
    except (NoStoreError, StoreError) as error:
        logger.warning("nothing older than the log is shown: %s", error)
        return found
    if past is None:
        return found
    key = min(found, key=lambda one: one[2], default=(label, past.unit, past.width_ms))
    return {key: {**past.values, **found.get(key, {})}}
