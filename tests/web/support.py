"""The page served for real, on a port of its own, over a log in memory that a story was written to."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from mendline.logs.memory import MemoryLog
from mendline.runtime.together import run_together
from mendline.schemas.base import Envelope
from mendline.schemas.records import Evidence, Fault, encode_record
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.settings import DetectorSettings, Settings, WebSettings
from mendline.schemas.stream import NewRecord
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings
from mendline.web.server import PageServer
from tests.cli.support import until
from tests.responders.support import START_MS, Scene, fault, outcome, policy, raw_of, settings

HOSTILE = "<img src=x onerror=\"document.title='taken'\">\x1b[31m\u202e&amp;"
"""A name or text that markup, a terminal or the direction of writing could be taken over by."""
PATIENCE_S = 60.0


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as values."""
        return json.loads(self.body)


class Site:
    """A served page. Use it as a context; `again` serves it anew on the same port."""

    def __init__(self, folder: Path, detectors: Sequence[DetectorSettings] = (), **web: Any) -> None:
        """Keep the state in `folder`; `web` are settings of the page."""
        listening: dict[str, Any] = {"listen": "127.0.0.1:0", **web}
        self.settings = Settings(
            name="host-1",
            state=str(folder / "state"),
            web=WebSettings.model_validate(listening),
            detectors=tuple(detectors),
        )
        self.clock = ManualClock(START_MS + 60_000)
        self.log = MemoryLog(clock=self.clock)
        self.log.ensure_topics(topic_settings(self.settings.topics))

    def __enter__(self) -> Self:
        """Serve until it answers."""
        self.server = PageServer(self.settings, self.log, self.clock)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=run_together, args=(self.server.runners, self._stop))
        self._thread.start()
        until("the page answers", lambda: not self.get("/api/overview").json["trouble"], PATIENCE_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End the server."""
        self._stop.set()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port it is served on."""
        return int(self.server.address.rpartition(":")[2].strip("/"))

    @property
    def token(self) -> str:
        """This host's token."""
        return self.server.page.access.own_token

    def keep_port(self) -> None:
        """Be served on the same port the next time."""
        web = self.settings.web.model_copy(update={"listen": f"127.0.0.1:{self.port}"})
        self.settings = self.settings.model_copy(update={"web": web})

    def append(self, topic: Any, *records: Envelope | bytes) -> None:
        """Append records to partition 0 of a topic."""
        made = [one if isinstance(one, bytes) else encode_record(one) for one in records]
        producer = self.log.producer("test")
        name = self.settings.topics.topic(topic)
        producer.append([NewRecord(name, value, b"default", 0) for value in made]).result(10)
        producer.close()

    def tell(self, scene: Scene) -> None:
        """Let the journal be that of a scene, with its own times."""
        self.log.restore(raw_of(scene.entries))
        self.clock.now = max(self.clock.now, START_MS + scene.now)

    def chartable(self) -> Fault:
        """Append a hundred rounds and an open fault that rests on them, and return that."""
        for second in range(100):
            value = 1500.0 + 40 * (second % 7) + (0 if second < 80 else 3000)
            sample = Sample(service="web", metric="process.memory.usage", unit="By", value=value)
            self.append("metrics", Round(source="host-1", time=START_MS - 1000 * (80 - second), samples=(sample,)))
        found = fault(name="unusual", evidence=evidence(value=4500.0, low=1024.0, high=2048.0, surprise=9.3))
        self.append("journal", found)
        return found

    def get(self, path: str, method: str = "GET", token: str | None = None, **more: Any) -> Answer:
        """Ask for `path` with this host's token, or another; `more` are `body` and further `headers`."""
        shown = self.token if token is None else token
        headers = ({"Authorization": f"Bearer {shown}"} if shown else {}) | more.get("headers", {})
        return call(self.port, path, method, headers, more.get("body"))


def call(
    port: int, path: str, method: str = "GET", headers: Mapping[str, Any] | None = None, body: Any = None
) -> Answer:
    """Return what a server on loopback answers. Raises OSError when it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def evidence(**fields: Any) -> Evidence:
    """Return the evidence of a value that is unusual."""
    given = {"event_time": START_MS, "topic": "mendline.metrics", "partition": 0, "offsets": (0, 0), "unit": "By"}
    return Evidence.model_validate(given | {"series": "web process.memory.usage"} | fields)


def asking(reason: str = "process 7 was killed by SIGKILL") -> Scene:
    """Return the story of a fault whose restart waits for a person, and of one that was mended before."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault(reason=reason))
    return scene


def mended() -> Scene:
    """Return the story of a service that died, was restarted and came back."""
    scene = Scene(settings(policy("auto")))
    scene.say(fault(reason="process 7 was killed by SIGKILL"))
    scene.tick()
    (intent,) = scene.intents
    scene.say(outcome(intent, reason="process 8 started", attached={"stderr": "bye\n" + HOSTILE}))
    scene.tick()
    scene.say(
        fault(
            transition="resolved",
            revision=1,
            time=START_MS + scene.now,
            reason="process 7 was killed by SIGKILL",
            ended="process 8 runs",
        )
    )
    scene.tick()
    return scene
