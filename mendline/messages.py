"""What Mendline's processes say of themselves, on standard error: for a person, or as one JSON object a line.

The object has the fields of OpenTelemetry's log data model: `timestamp`, `severity`, `body`, and as attributes
`logger` (the module), `thread` (the member) and, for what nobody foresaw, `exception`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonFormatter(logging.Formatter):
    """Writes a message as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; line breaks within it are escaped."""
        attributes = {"logger": record.name, "thread": record.threadName}
        if record.exc_info:
            attributes["exception"] = self.formatException(record.exc_info)
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "severity": record.levelname,
            "body": record.getMessage(),
            "attributes": attributes,
        }
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(style: Literal["text", "json"], verbose: int = 0) -> None:
    """Write messages to standard error: warnings only, with `verbose` 1 what goes on, 2 everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=LEVELS[min(verbose, 2)], handlers=[handler], force=True)
