"""What a scenario is: a service as it stands in the file, how it is broken, and how it is judged what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mendline.schemas.records import Command, Fault, Hold, Intent, Outcome, Verification

if TYPE_CHECKING:
    from mendline.demo.deployment import Deployment

About = TypeVar("About", Command, Fault, Hold, Intent, Outcome, Verification)


def _nothing(_: Path) -> None:
    pass


def _nothing_known(_: Path) -> Mapping[str, str]:
    return {}


def _nobody(_: Path, __: Mapping[str, int]) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Part:
    """What a scenario puts into the configuration, as YAML, and into the deployment's folder.

    `services` are the names of its services; the client asks the first. In the texts $NAME is the port of each of them
    and of each of `receivers`, which the demonstration itself listens on; $python is the interpreter and $NAME_program
    one of the demonstration's programs, in quotes; `known` returns more, for the deployment's folder. `more` are
    sections of their own. `prepare` makes in the folder what must be there before a service starts; `beside` is entered
    with the folder and the ports, and left at the end.
    """

    services: tuple[str, ...]
    settings: str
    policies: str
    detectors: str = ""
    more: str = ""
    receivers: tuple[str, ...] = ()
    known: Callable[[Path], Mapping[str, str]] = _nothing_known
    prepare: Callable[[Path], None] = _nothing
    beside: Callable[[Path, Mapping[str, int]], AbstractContextManager[None]] = _nobody


def probed(service: str, fail_after: str = "5s") -> str:
    """Return how its health is asked for, as it stands in the settings of the service of this name."""
    asked = f'http: "http://127.0.0.1:${service}/health", body: ^ok'
    return f"    probes:\n      - {{name: health, {asked}, every: 200ms, fail_after: {fail_after}}}\n"


def exchange(file: Path, text: str) -> None:
    """Write the file as a whole, as editors do: nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@dataclass(frozen=True, slots=True)
class Victim:
    """The service's process that is to be broken, where it listens, and the deployment that it belongs to."""

    pid: int
    port: int
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Broken:
    """A break: of whom, when by the wall clock (ms) and the monotonic one (s), after how many processes."""

    victim: Victim
    services: tuple[str, ...]
    wall_ms: float
    moment: float
    processes: int

    def told(self, kind: type[About], service: str = "") -> list[tuple[int, About]]:
        """Return what was appended since about its services, or this one, with the append time (ms), in order."""
        names = (service,) if service else self.services
        found = self.victim.deployment.journal.since(self.wall_ms, kind)
        return [(time, one) for time, one in found if one.target.partition("/")[2] in names]


@dataclass(frozen=True, slots=True)
class Finding:
    """What else a round came to, by the names that stand in the JSON.

    `counts` are answers yes or no, of which the JSON tells how often they were yes; `times` are in seconds, None for
    what did not happen; `shown` is shown of each round, `same` is the same in all of them.
    """

    good: bool = True
    counts: Mapping[str, bool] = field(default_factory=dict)
    times: Mapping[str, float | None] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    same: Mapping[str, Any] = field(default_factory=dict)


Break = Callable[[Victim], None]
Judge = Callable[[Broken], AbstractContextManager[Callable[[], Finding]]]
"""Entered before the break; what it gives is called when all is quiet again."""


@contextmanager
def nothing_more(_: Broken) -> Iterator[Callable[[], Finding]]:
    """Judge by the answers and the actions alone."""
    yield Finding


@dataclass(frozen=True, slots=True)
class Scenario:
    """Breaks in turn, the actions that each takes, and what the service then is.

    A break returns when the service is ill. `anew`: only another process than the broken one is a mended service.
    `lasts_s` is how long a break that needs no action goes on. The service is asked for its health every `every_s`
    seconds. `ready` waits for what must be there before a break.
    """

    title: str
    part: Part
    breaks: tuple[Break, ...]
    needed: tuple[str, ...] = ("restart",)
    anew: bool = True
    lasts_s: float = 0.0
    every_s: float = 0.05
    judge: Judge = nothing_more
    ready: Callable[[Deployment], None] | None = None

    def break_of(self, number: int) -> Break:
        """Return how the round of this number (from 0) breaks the service."""
        return self.breaks[number % len(self.breaks)]
