"""A local Kafka of one or more nodes."""

from __future__ import annotations

import base64
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

from mendline.testing.kafka.errors import LocalKafkaError
from mendline.testing.kafka.jars import archive_path, fetch_jars, find_java
from mendline.testing.kafka.node import READY_S, Node, Places
from mendline.testing.kafka.ports import free_ports, require_free

_QUORUM = 3
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # half the CPU time to ready


class LocalKafka:
    """A real Apache Kafka on loopback, to be frozen and killed at will.

        with LocalKafka(folder) as kafka:
            KafkaProducer(bootstrap_servers=kafka.bootstrap)

    One node keeps everything once; three or more keep it three times, of which two must be there. Data stay in
    `folder`, so the same folder again is the same Kafka. A node takes about 300 MB of memory. Nodes count from 1;
    methods that take node numbers mean all nodes when none is given.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        nodes: int = 1,
        quick: bool = False,
        java_options: Sequence[str] = (),
        overrides: Mapping[str, str] | None = None,
        format_options: Sequence[str] = (),
    ) -> None:
        """Take a folder and ports; nothing is started.

        `port` is the first node's, the others' are free ones; None: a free one too. `quick` halves what a start costs
        and what the broker can do later: right for a test, wrong for a measurement. `java_options` are more for Java.
        `overrides` are broker settings in which {port}, {controller_port}, {spare_port}, {node} and {folder} stand for
        those of each node. `format_options` go to Kafka's storage tool, such as `--add-scram`.
        """
        self._folder = Path(folder).resolve()
        self._port = port
        self._format_options = tuple(format_options)
        places = list(_places(self._folder, nodes, port))
        java = find_java()
        options = (*(_QUICK if quick else ()), *_archived(java), *java_options)
        command = [java, *options, "-cp", f"{fetch_jars()}/*"]
        settings = _settings(places, overrides or {})
        self.nodes = [Node(place, command, settings(place)) for place in places]

    @property
    def bootstrap(self) -> str:
        """Return HOST:PORT of every node, separated by commas."""
        return ",".join(f"localhost:{node.places.port}" for node in self.nodes)

    @property
    def url(self) -> str:
        """Return this Kafka as a log for Mendline's settings."""
        return f"kafka://{self.bootstrap}"

    def start(self, *numbers: int, wait: bool = True) -> None:
        """Start nodes that do not run, formatted first if they are new; by default wait until they serve.

        Raises PortTakenError, or BrokerError after 120 s or when a node ends by itself.
        """
        chosen = self._chosen(numbers)
        for node in chosen:
            if not node.running:
                require_free(node.places.port)
                node.format(self._cluster_id(), self._format_options)
        for node in chosen:
            node.launch()
        if wait:
            self.wait_ready(*numbers)

    def wait_ready(self, *numbers: int, timeout_s: float = READY_S) -> None:
        """Wait until started nodes serve. Raises BrokerError after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        for node in self._chosen(numbers):
            node.wait_ready(deadline)

    def stop(self, *numbers: int) -> None:
        """Stop nodes in order, thawed first; returns when they are gone."""
        chosen = self._chosen(numbers)
        for node in chosen:
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGTERM)
        for node in chosen:
            node.wait_stopped()

    def kill(self, *numbers: int) -> None:
        """End nodes at once by SIGKILL, frozen ones too. Data stay."""
        for node in self._chosen(numbers):
            node.kill()

    def freeze(self, *numbers: int) -> None:
        """Stop nodes by SIGSTOP: their ports take connections, and nothing answers."""
        for node in self._chosen(numbers):
            node.freeze()

    def thaw(self, *numbers: int) -> None:
        """Let frozen nodes go on."""
        for node in self._chosen(numbers):
            node.signal(signal.SIGCONT)

    def check(self) -> None:
        """Raise BrokerError when a node is not there, frozen ones not counted."""
        for node in self.nodes:
            node.check()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of every node's log since its last start."""
        return "\n".join(node.log_tail(lines) for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _chosen(self, numbers: tuple[int, ...]) -> list[Node]:
        """Return the nodes of these numbers, or all."""
        return [self.nodes[number - 1] for number in numbers] or self.nodes

    def _cluster_id(self) -> str:
        """Return the name that all nodes are formatted with, the same over restarts."""
        kept = self._folder / "cluster-id"
        if not kept.exists():
            kept.write_text(random_id())
        return kept.read_text()


def _archived(java: str) -> tuple[str, ...]:
    """Return the option for classes that were read before; Java looks itself whether they fit it and the jars."""
    archive = archive_path(java)
    return (f"-XX:SharedArchiveFile={archive}",) if archive.exists() else ()


def random_id() -> str:
    """Return a new cluster's name, as Kafka writes them; one that began with a dash would be taken for an option."""
    while (name := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return name


def _places(folder: Path, nodes: int, port: int | None) -> Iterator[Places]:
    """Give each node its folder and three ports."""
    if nodes < 1:
        raise LocalKafkaError(f"nodes={nodes}: a local Kafka has at least one node")
    ports = iter(free_ports(3 * nodes))
    for number in range(1, nodes + 1):
        own, controller, spare = next(ports), next(ports), next(ports)
        first = port if number == 1 and port is not None else own
        yield Places(number, first, controller, spare, folder / f"node-{number}")


def _settings(places: Sequence[Places], overrides: Mapping[str, str]) -> Callable[[Places], dict[str, str]]:
    """Return what makes a node's settings: the template filled in, then the overrides."""
    template = resources.files(__package__).joinpath("server.properties").read_text()
    lines = [line for line in template.splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines) | dict(overrides)
    voters = ",".join(f"{place.number}@localhost:{place.controller}" for place in places)
    replicas, in_sync = (3, 2) if len(places) >= _QUORUM else (1, 1)
    common = {"voters": voters, "replicas": str(replicas), "in_sync": str(in_sync)}
    return lambda place: {key: _filled(value, common | _names(place)) for key, value in settings.items()}


def _names(place: Places) -> dict[str, str]:
    """Return what the names in braces stand for at one node."""
    return {
        "node": str(place.number),
        "port": str(place.port),
        "controller_port": str(place.controller),
        "spare_port": str(place.spare),
        "folder": str(place.folder),
        "data": str(place.folder / "data"),
    }


def _filled(text: str, names: Mapping[str, str]) -> str:
    """Replace {name} by its value, and leave every other brace alone: login settings may contain some."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text
