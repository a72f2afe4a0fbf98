"""A journal that a planner wrote about random faults, with hosts that answer at random, and people who say things."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mendline.reading import Stored
from mendline.reports.history import History, Span
from mendline.reports.report import Report, make_report
from mendline.schemas.records import Command, ConfigurationChange, Fault, Hold, Order, Outcome
from mendline.schemas.settings import StepSettings
from tests.responders.support import SECOND, START_MS, Entry, Scene, fault, order, outcome, policy, settings

STATUSES = ("succeeded", "succeeded", "succeeded", "failed", "refused", "overtaken", "interrupted")
KINDS = ("dead", "hung", "unusual")
SILENT = "host-3"
ALL = Span()
EVIL = "<img src=x onerror=alert(1)>\x1b[31m|`*_[a](b)"


def scene_of_two_policies() -> Scene:
    """Return a journal where the web is restarted, the database after a question, and caches only looked at."""
    step = StepSettings(action="restart", attempts=2, timeout=5 * SECOND, verify=10 * SECOND)
    look = StepSettings(action="diagnose", attempts=1, timeout=5 * SECOND, verify=5 * SECOND)
    policies = (
        policy("auto", step, target="web").model_copy(update={"name": "web"}),
        policy("ask", step, target="db").model_copy(update={"name": "db"}),
        policy("shadow", look, step, target="cache").model_copy(update={"name": "cache"}),
        policy("auto", look, step).model_copy(update={"name": "rest"}),
    )
    return Scene(settings(*policies, cooldown=2 * SECOND, blast_radius=1.0, concurrent=3))


@dataclass
class Life:
    """What happens, second by second, drawn from `seed`."""

    seed: int
    scene: Scene = field(default_factory=scene_of_two_policies)
    open: dict[str, Fault] = field(default_factory=dict)
    over: list[Fault] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin where chance is at its beginning."""
        self.chance = random.Random(self.seed)

    def live(self, seconds: int) -> list[Entry]:
        """Let so much time pass, and return the journal."""
        acts: tuple[tuple[float, Callable[[], None]], ...] = (
            (0.03, self._break),
            (0.04, self._heal),
            (0.3, self._answer),
            (0.03, self._say),
            (0.2, self._allow),
            (0.01, self._change),
            (0.004, lambda: self.scene.blind(self.chance.choice((20, 60)) * SECOND)),
        )
        for _ in range(seconds):
            for likely, act in acts:
                if self.chance.random() < likely:
                    act()
            self.scene.tick()
        return self.scene.entries

    def _break(self) -> None:
        host, service = (
            self.chance.choice(("host-1", "host-2", SILENT)),
            self.chance.choice(("web", "db", "cache", "x")),
        )
        kind = self.chance.choice(KINDS)
        target = f"{host}/{service}"
        if host == SILENT and self.chance.random() < 0.3:
            target, kind = host, "silent"
        if f"{target} {kind}" in self.open:
            return
        delay = self.chance.randrange(4)
        now = self.scene.time()
        record = fault(
            target,
            time=now - delay * SECOND,
            name=kind,
            opened_at=now - delay * SECOND,
            delay_ms=delay * SECOND,
            detector="liveness" if kind != "unusual" else self.chance.choice(("zscore", "ewma")),
            flapping=self.chance.random() < 0.1,
        )
        record = record.model_copy(update={"id": f"{len(self.over) + len(self.open):04}{record.id[4:]}"})
        self.open[f"{target} {kind}"] = record
        self._tell(record)

    def _heal(self) -> None:
        if self.open:
            self._end(self.chance.choice(sorted(self.open)))

    def _end(self, name: str) -> None:
        before = self.open.pop(name)
        end = self.chance.choice(("resolved", "resolved", "resolved", "orphaned"))
        after = {"revision": before.revision + 1, "transition": end, "time": self.scene.time()}
        self.over.append(before.model_copy(update=after))
        self._tell(self.over[-1])

    def _tell(self, record: Fault) -> None:
        """Write a record, and now and then an old one again."""
        self.scene.say(record)
        if self.over and self.chance.random() < 0.2:
            self.scene.say(self.chance.choice(self.over))

    def _answer(self) -> None:
        waiting = [one for one in self.scene.commands if isinstance(one, Command) and one.intent not in self.answered]
        if not waiting:
            return
        command = self.chance.choice(waiting)
        self.answered.add(command.intent)
        status = self.chance.choice(STATUSES)
        took = self.chance.randrange(3) * 100
        begun = {} if status in ("refused", "overtaken") else {"began_at": 7_000, "ended_at": 7_000 + took}
        self.scene.say(outcome(command, status, **begun))  # type: ignore[arg-type]
        mended = [name for name in self.open if name.startswith(f"{command.target} ")]
        if status == "succeeded" and mended and self.chance.random() < 0.7:
            self._end(mended[0])

    def _say(self) -> None:
        known = [*self.open.values(), *self.over]
        if not known:
            return
        about = self.chance.choice(known)
        said = order("label", about.id, text=self.chance.choice(("true", "true", "false", "useless", "harmful: so")))
        self.scene.say(said.model_copy(update={"active": self.chance.random() < 0.9}))

    def _allow(self) -> None:
        asking = [one.asking for one in self.scene.journal.open_faults() if one.asking]
        if asking:
            self.scene.say(order(self.chance.choice(("approve", "approve", "deny")), asking[-1].record.id))

    def _change(self) -> None:
        now = self.scene.time()
        self.scene.say(
            ConfigurationChange(source="host-1", time=now, service="web", path="/etc/web", hash=str(now)),
            order("note", "*", text="deployed"),
        )


def history_of(entries: Iterable[Entry], span: Span = ALL, **distrusted: str) -> History:
    """Return the history that a journal makes; records of a `source` that is `distrusted` are not believed."""

    def why_not(record: Order | Outcome) -> str | None:
        return distrusted.get(record.source)

    history = History(why_not, span)
    for entry in entries:
        history.apply(Stored(entry.offset, entry.append_time, entry.log_time, entry.record))
    return history


def report_of(entries: Iterable[Entry], begin: int | None = None, end: int | None = None, **distrusted: str) -> Report:
    """Return the report on a journal between two seconds of the scene."""
    moments = (None if one is None else START_MS + one * SECOND for one in (begin, end))
    return make_report(history_of(entries, Span(*moments), **distrusted))


def evil_report() -> Report:
    """Return the report on a journal in which every name is made of markup and escapes."""
    scene = Scene()
    broken = fault(f"host{EVIL}/web{EVIL}", detector=EVIL, name="dead")
    change = ConfigurationChange(source=broken.host, time=START_MS, service=f"web{EVIL}", path=EVIL, hash="")
    hold = Hold(source="x", time=START_MS, fault=broken.id, target="t", policy=EVIL, guard=EVIL, reason=EVIL)
    scene.say(change, order("note", "*", text=EVIL), broken, hold)
    scene.tick(5 * SECOND)
    scene.say(outcome(scene.intents[0]), order("label", broken.id, text="true"))
    scene.say(broken.model_copy(update={"revision": 1, "transition": "resolved", "time": scene.time()}))
    return report_of(scene.entries)
