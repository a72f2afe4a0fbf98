"""Kafka's classes as Java has read and checked them once (class data sharing), so that each start need not again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mendline.testing.kafka.cluster import LocalKafka
from mendline.testing.kafka.jars import archive_path, find_java, locked


def archive_classes() -> None:
    """Keep the classes that a broker needs beside its jars, once for each Java: each start then costs half.

    That takes a start of a broker, and 50 MB. Of several processes that want it one does it and the others wait. Raises
    ToolMissingError, JarsError, BrokerError.
    """
    path = archive_path(find_java())
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            _archive(path)


def _archive(path: Path) -> None:
    """Let Java write the archive when a broker has ended, and give it its name when it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as scratch:
        made = Path(scratch, "classes.jsa")
        with LocalKafka(Path(scratch, "kafka"), quick=True, java_options=[f"-XX:ArchiveClassesAtExit={made}"]):
            pass
        # A broker that took too long over its end on busy cores was killed: the next who wants an archive tries again.
        if made.exists():
            made.rename(path)
