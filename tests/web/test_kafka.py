"""The page over a real Kafka."""

from __future__ import annotations

import uuid
from pathlib import Path

from mendline.logs import open_log
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.settings import TopicsSettings
from mendline.testing.kafka import LocalKafka
from mendline.topics import topic_settings
from tests.cli.support import until
from tests.responders.support import fault
from tests.web.support import Site, evidence


def test_all_is_answered_from_kafka(kafka: LocalKafka, tmp_path: Path) -> None:
    """Overview, incident with its time line and chart, journal, and an order."""
    site = Site(tmp_path)
    topics = TopicsSettings(prefix=f"page-{uuid.uuid4().hex[:8]}")
    site.settings = site.settings.model_copy(update={"topics": topics})
    with open_log(kafka.url) as log:
        log.ensure_topics(topic_settings(topics))
        site.log = log  # type: ignore[assignment] # as good as the one in memory
        with site:
            now = site.clock.now
            sample = Sample(service="web", metric="process.memory.usage", unit="By", value=7.0)
            site.append("metrics", Round(source="host-1", time=now, samples=(sample,)))
            found = fault(name="unusual", evidence=evidence(value=7.0, topic=topics.topic("metrics")), time=now)
            site.append("journal", found)
            (row,) = until("it is there", lambda: site.get("/api/overview").json["open"], 60)
            assert ["opened"] == [one["what"] for one in site.get(f"/api/incidents/{row['id']}").json["entries"]]
            chart = site.get(f"/api/faults/{found.id}/chart?begin={now - 1000}&end={now + 1000}").json
            assert [[7.0]] == [one["values"] for one in chart["curves"]]
            body = '{"kind": "note", "text": "hello"}'
            assert (
                201 == site.get("/api/orders", "POST", body=body, headers={"Content-Type": "application/json"}).status
            )
            entries = until("the note", lambda: site.get("/api/journal?words=hello").json["entries"], 60)
            assert ["note"] == [one["what"] for one in entries]
